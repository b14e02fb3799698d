"""Figures of a sweep from tables: what is drawn is what they hold."""

import numpy as np
import pytest

from sam_sde.report.sweep import sweep_figures
from tests.report.samples import sweep_tables

RHO, BATCH = "arms.SAM.rho", "optimizer.batch_size"


@pytest.mark.parametrize(
    ("values", "x", "y"),
    [([1.0, 2.0, 5.0], "linear", "linear"), ([1, 3, 10], "log", "log"), (["euler", "heun"], "category", "linear")],
)
def test_axes_are_logarithmic_where_the_values_span_a_decade(values, x, y):
    (drawing,) = sweep_figures(sweep_tables({RHO: values}), [RHO])
    assert (drawing.figure.layout.xaxis.type, drawing.figure.layout.yaxis.type) == (x, y)


def test_each_arm_has_its_times_with_a_band_against_the_key():
    tables = sweep_tables({RHO: [5.0, 1.0, 400.0]})
    (drawing,) = sweep_figures(tables, [RHO])
    assert drawing.arms == ["SGD", "SAM"]
    for arm in drawing.arms:
        low, high, line = (trace for trace in drawing.figure.data if trace.legendgroup == arm)
        rows = tables["summary"].query("arm == @arm").sort_values(RHO)
        for trace, column in ((low, "rmst_low"), (high, "rmst_high"), (line, "rmst")):
            np.testing.assert_array_equal(trace.x, rows[RHO])
            np.testing.assert_array_equal(trace.y, rows[column])
    assert line.marker.symbol == ("circle", "circle", "circle-open")  # hardly any escaped at 400


def test_two_keys_make_a_map_of_the_ratio_with_its_contour_at_one():
    tables = sweep_tables({RHO: [20.0, 0.2, 1.0], BATCH: [4, 16]})
    (drawing,) = sweep_figures(tables, [RHO, BATCH])
    cells, contour = drawing.figure.data
    assert drawing.figure.layout.xaxis.ticktext == ("0.2", "1", "20")
    assert drawing.figure.layout.yaxis.ticktext == ("4", "16")
    expected = np.log10(np.minimum(np.outer([4, 16], [0.2, 1.0, 20.0]), 100.0))
    np.testing.assert_allclose(cells.z, expected)
    np.testing.assert_allclose(contour.z, expected)
    assert (contour.contours.start, contour.contours.end) == (0, 0)
    assert cells.text.tolist() == [["0.80", "4.0", "80"], ["3.2", "16", "≥ 100"]]
    assert drawing.note == (
        "Orange is where SAM stays longer, blue where it leaves sooner. The line is where both stay equally long. "
        "≥ marks a lower bound: hardly any path of SAM escaped."
    )


def test_a_map_of_many_cells_has_the_signs_alone_and_long_words_are_cut():
    tables = sweep_tables({RHO: [2.0 + i for i in range(50)], BATCH: [1, 4]})
    (drawing,) = sweep_figures(tables, [RHO, BATCH])
    assert set(drawing.figure.data[0].text.ravel()) == {"", "≥ "}
    (drawing,) = sweep_figures(
        sweep_tables({RHO: [1.0, 2.0], "surface.expression": ["x" * 99, "y"]}), [RHO, "surface.expression"]
    )
    assert drawing.figure.layout.yaxis.ticktext == ("x" * 15 + "…", "y")


def test_a_ratio_to_a_reference_that_hardly_leaves_is_in_doubt():
    tables = sweep_tables({RHO: [1.0, 2.0], BATCH: [4, 16]})
    summary = tables["summary"]
    summary.loc[(summary["arm"] == "SGD") & (summary[RHO] == 1.0), "n_escaped"] = 0
    (drawing,) = sweep_figures(tables, [RHO, BATCH])
    assert drawing.figure.data[0].text.tolist() == [["? 4.0", "8.0"], ["? 16", "32"]]


def test_a_condition_without_a_ratio_is_a_gap():
    tables = sweep_tables({RHO: [1.0, 2.0], BATCH: [4, 16]})
    tables["comparison"] = tables["comparison"].iloc[1:]
    (drawing,) = sweep_figures(tables, [RHO, BATCH])
    assert np.isnan(drawing.figure.data[0].z[0][0])
    assert drawing.figure.data[0].text[0][0] == ""


def test_a_key_that_follows_another_one_does_not_count():
    tables = {name: rows.assign(**{BATCH: rows[RHO]}) for name, rows in sweep_tables({RHO: [1.0, 2.0]}).items()}
    (drawing,) = sweep_figures(tables, [RHO, BATCH])
    assert drawing.title == f"Mean time against {RHO}"


def test_three_keys_are_not_drawn():
    keys = [RHO, BATCH, "run.dt"]
    assert sweep_figures(sweep_tables({key: [1.0, 2.0] for key in keys}), keys) == []
