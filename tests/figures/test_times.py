"""Survival curves, numbers at risk and histograms: what is drawn is what the tables hold."""

import math

import numpy as np
import pandas as pd
import pytest

from sam_sde.figures.times import (
    _log_edges,
    draw_escape_times,
    draw_exact_survival,
    draw_survival,
    numbers_at_risk,
)
from tests.figures.samples import legend_of, results


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("means", "options"),
    [
        pytest.param({"SAM": np.inf}, {"n_paths": 1}, id="one path that stays"),
        pytest.param({"SGD": 0.5}, {"n_paths": 1}, id="one path that leaves"),
        pytest.param({"SGD": 0.5, "SAM": 1.0}, {"failed": 1.0}, id="all failed"),
        pytest.param({"SGD": 0.5, "SAM": np.inf}, {"failed": 0.2}, id="one arm without an escape"),
        pytest.param({"SGD": 0.0}, {}, id="all at one time"),
    ],
)
def test_times_of_every_kind_can_be_drawn(tmp_path, means, options):
    survival, summary, paths = results(means, **options)
    figures = draw_survival(survival, summary), draw_escape_times(paths, summary)
    for figure in figures:
        assert len(legend_of(figure)) == len(means)
        figure.savefig(tmp_path / "figure.png")


def test_numbers_at_risk_are_those_of_the_csv():
    survival, summary, paths = results({"SGD": 0.5, "SAM": 3.0})
    axes, table = draw_survival(survival, summary).axes
    ticks = axes.get_xticks()
    shown = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in table.texts}
    assert len(shown) == 2 * len(ticks)
    for row, arm in enumerate(["SGD", "SAM"]):
        times = paths.loc[paths["arm"] == arm, "time"]
        curve = survival[survival["arm"] == arm]
        assert table.get_yticklabels()[row].get_text() == arm
        for tick in ticks:
            following = curve.loc[curve["time"] >= tick, "at_risk"]
            expected = following.iloc[0] if len(following) else 0
            assert int(shown[row, tick]) == expected == (times >= tick).sum()
    assert table.get_xlim() == axes.get_xlim()


def test_a_tick_a_rounding_error_beside_a_row_means_that_row():
    curve = pd.DataFrame({"time": [0.0, 0.3, 0.9], "at_risk": [5, 4, 2]})
    np.testing.assert_array_equal(numbers_at_risk(curve, np.array([0.0, 3 * 0.1, 0.5, 0.9, 1.0])), [5, 4, 2, 2, 0])


def test_the_survival_axis_goes_from_0_to_1_and_names_the_restriction():
    survival, summary, _ = results({"SGD": 0.5, "SAM": 3.0})
    axes = draw_survival(survival, summary).axes[0]
    assert axes.get_ylim() == (0, 1)
    assert axes.get_xlabel() == "time t = lr · steps, restricted to t ≤ 4"
    survival, summary, _ = results({"SGD": 0.1})
    assert draw_survival(survival, summary).axes[0].get_xlabel() == "time t = lr · steps"


def test_the_area_of_a_histogram_is_the_fraction_that_escaped():
    _, summary, paths = results({"SGD": 0.5, "SAM": 3.0, "none": np.inf}, failed=0.1)
    axes = draw_escape_times(paths, summary).axes[0]
    fills = [patch.get_data() for patch in axes.patches if patch.get_fill()]
    areas = [np.sum(data.values * np.diff(np.log10(data.edges))) for data in fills]
    np.testing.assert_allclose(areas, summary["fraction_escaped"][:2])
    assert max(data.edges[-1] for data in fills) <= 4.0 * (1 + 1e-12)


def test_the_legend_counts_escaped_censored_and_failed_paths():
    outcome = ["escaped"] * 3 + ["censored"] * 4 + ["failed"]
    paths = pd.DataFrame({"arm": "SAM", "outcome": outcome, "time": 1.0})
    columns = {"n_paths": 8, "n_escaped": 3, "n_censored": 4, "n_failed": 1, "t_max": 2.0, "dt_change": math.nan}
    figure = draw_escape_times(paths, pd.DataFrame([{"arm": "SAM"} | columns]))
    assert list(legend_of(figure)) == ["SAM: 3 of 8 escaped (37.5 %, 1 failed)"]


def test_the_legend_has_the_mean_with_both_its_errors_where_the_step_was_looked_at():
    paths = pd.DataFrame({"arm": "SAM", "outcome": ["escaped"] * 4, "time": 1.0})
    columns = {"n_paths": 4, "n_escaped": 4, "n_censored": 0, "n_failed": 0, "t_max": 2.0}
    mean = {"rmst": 1.25, "rmst_low": 1.2, "rmst_high": 1.3, "dt_change": -0.02}
    figure = draw_escape_times(paths, pd.DataFrame([{"arm": "SAM"} | columns | mean]))
    assert list(legend_of(figure)) == ["SAM: 4 of 4 escaped (100 %),\nmean 1.25 ± 0.05 statistical ± 0.02 step"]


@pytest.mark.parametrize(
    ("n_escaped", "share"),
    [(0, "0 %"), (1, "< 0.1 %"), (5000, "50.0 %"), (9_999, "> 99.9 %"), (10_000, "100 %")],
)
def test_a_percentage_says_none_or_all_only_where_that_is_so(n_escaped, share):
    paths = pd.DataFrame({"arm": "SAM", "outcome": ["escaped"] * n_escaped, "time": 1.0})
    counts = {"n_paths": 10_000, "n_escaped": n_escaped, "n_censored": 10_000 - n_escaped, "n_failed": 0}
    figure = draw_escape_times(paths, pd.DataFrame([{"arm": "SAM", "t_max": 2.0, "dt_change": math.nan} | counts]))
    assert list(legend_of(figure)) == [f"SAM: {n_escaped:,} of 10,000 escaped ({share})"]


def test_bins_are_no_narrower_than_the_steps_of_times():
    # Times of a discrete arm lie on a grid; bins narrower than it, among a wide range, would leave empty gaps.
    steps = np.log10(0.04 * np.repeat(np.arange(18, 26), [2, 8, 20, 30, 30, 20, 8, 2]))
    later = np.log10(np.linspace(3.2, 3.6, 120))
    wide = np.log10(np.linspace(0.72, 12.0, 120))
    counts, _ = np.histogram(steps, _log_edges([steps, later, wide], 1.2))
    occupied = np.flatnonzero(counts)
    assert (counts[occupied[0] : occupied[-1] + 1] > 0).all()


def exact_curves() -> pd.DataFrame:
    times = np.linspace(0.0, 9.0, 50)
    return pd.concat(
        pd.DataFrame({"arm": arm, "time": times, "survival": np.exp(-times / mean)})
        for arm, mean in (("SGD", 0.5), ("SAM", 3.0))
    )


def test_exact_curves_are_dashed_in_the_colours_of_their_arms():
    survival, summary, _ = results({"SGD": 0.5, "SAM": 3.0})
    without = draw_survival(survival, summary)
    figure = draw_survival(survival, summary, exact=exact_curves())
    lines = figure.axes[0].get_lines()
    assert len(lines) == 4
    assert [line.get_color() for line in lines[:2]] == [line.get_color() for line in lines[2:]]
    np.testing.assert_allclose(lines[3].get_ydata(), np.exp(-lines[3].get_xdata() / 3.0))
    assert list(legend_of(figure)) == [*legend_of(without), "exact"]


def test_exact_curves_alone():
    figure = draw_exact_survival(exact_curves())
    lines = figure.axes[0].get_lines()
    assert list(legend_of(figure)) == ["SGD", "SAM"]
    np.testing.assert_allclose(lines[0].get_ydata(), np.exp(-lines[0].get_xdata() / 0.5))
