"""Figures of one run: what is drawn is what the tables hold."""

import numpy as np
import pytest

from sam_sde.errors import InputError
from sam_sde.figures.styles import arm_styles
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.regions import Ball
from sam_sde.report.drawing import DARK, lines_of
from sam_sde.report.surface import points_table, surface_drawing
from sam_sde.report.survival import survival_drawing, survival_table
from sam_sde.surfaces import beale
from tests.figures.samples import EIGHT, results, walks


def test_every_colour_has_one_for_a_dark_page_and_no_two_are_alike():
    arms = lines_of([f"arm {i}" for i in range(8)] + ["SGD", "SAM"])
    assert {line["color"] for line in arms.values()} <= set(DARK)
    assert len(set(DARK.values())) == len(DARK)


def test_an_arm_has_the_colour_of_the_other_figures():
    assert {arm: line["color"] for arm, line in lines_of(EIGHT).items()} == {
        arm: style["color"] for arm, style in arm_styles(EIGHT).items()
    }
    assert len({line["dash"] for line in lines_of(EIGHT).values()}) == 8


def test_a_survival_curve_and_its_band_are_the_table():
    survival, summary, _ = results({"SGD": 0.5, "SAM": 3.0})
    drawing = survival_drawing(survival, summary)
    for arm in ("SGD", "SAM"):
        low, high, line = (trace for trace in drawing.figure.data if trace.legendgroup == arm)
        rows = survival[survival["arm"] == arm]
        for trace, column in ((low, "low"), (high, "high"), (line, "survival")):
            np.testing.assert_array_equal(trace.x, rows["time"])
            np.testing.assert_array_equal(trace.y, rows[column])
            assert trace.line.shape == "hv"
    assert drawing.figure.data[-1].x == (4.0, 4.0)  # t_max, where paths were censored


def test_times_at_which_so_many_are_inside_are_those_of_the_paths():
    survival, summary, paths = results({"SGD": 0.5, "SAM": 3.0}, n_paths=1000)
    table = survival_table(survival, summary)
    assert table.columns == ("arm", "90 %", "75 %", "50 %", "25 %", "10 %")
    for arm, *cells in table.rows:
        times = np.sort(paths.loc[paths["arm"] == arm, "time"])
        for part, cell in zip((0.9, 0.75, 0.5, 0.25, 0.1), cells, strict=True):
            time = times[round((1 - part) * 1000) - 1]
            assert cell == "not reached" if time == 4.0 else abs(float(cell) / time - 1) < 0.006


def test_paths_boundary_and_points_lie_on_the_surface():
    paths = walks(["SGD", "SAM"])
    (_, landscape), (_, points) = landscape_tables(paths, beale(), Ball([0, 1], 0.5))
    drawing = surface_drawing(paths, landscape, points, {"SGD": "sgd", "SAM": "sam"})
    shades, boundary, *rest = drawing.figure.data
    np.testing.assert_allclose(shades.customdata.ravel(), landscape["loss"], rtol=1e-6)
    np.testing.assert_allclose(boundary.z.ravel(), landscape["level"], rtol=1e-5, atol=1e-6)
    line = next(trace for trace in rest if trace.legendgroup == "SAM")
    drawn = np.stack([line.x, line.y], axis=1)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    np.testing.assert_allclose(drawn, paths.loc[paths["arm"] == "SAM", ["x0", "x1"]], rtol=1e-6)
    assert [trace.name for trace in rest if trace.legendgroup is None] == ["saddle"]
    assert [row[0] for row in points_table(points).rows] == ["minimum 0", "saddle 1", "saddle 2"]


def test_of_many_arms_the_first_of_each_kind_is_shown():
    arms = {"SGD": "sgd", "SGD 0.9": "sgd", "SAM": "sam", "SAM 0.9": "sam"}
    paths = walks(arms, steps=5)
    (_, landscape), (_, points) = landscape_tables(paths, beale(), Ball([0, 1], 0.5))
    drawing = surface_drawing(paths, landscape, points, arms)
    assert drawing.arms == list(arms)
    assert sorted(drawing.shown) == ["SAM", "SGD"]
    with pytest.raises(InputError, match="no grid of points"):
        surface_drawing(paths, landscape[:-1], points, arms)
