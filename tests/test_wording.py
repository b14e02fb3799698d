"""The text of the tables: every cell, with and without intervals."""

import math

import pandas as pd
import pytest

from sam_sde.jobs.tables import TABLES
from sam_sde.wording import (
    comparison_text,
    displacement_text,
    ends_lines,
    interval,
    step_words,
    summary_text,
    weak_text,
)


def rows(name, *values):
    """Rows of a table, NaN where nothing is given."""
    return pd.DataFrame([dict.fromkeys(TABLES[name].columns, math.nan) | row for row in values])


SGD = {"arm": "SGD", "n_paths": 40, "n_escaped": 40, "n_failed": 0, "t_max": 2.0, "fraction_escaped": 1.0}
SGD |= {"rmst": 0.18312, "rmst_low": 0.18101, "rmst_high": 0.18549, "rate": 5.0, "rate_low": 4.0, "rate_high": 6.0}
SAM = {"arm": "[SAM]", "n_paths": 40, "n_escaped": 1, "n_failed": 3, "t_max": 2.0, "fraction_escaped": 0.025}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.18312, 0.18101, 0.18549), "0.1831 (0.181–0.1855)"),
        ((1234567.0, math.nan, 2.0), "1.235e+06"),
        ((0.5, 0.25, math.nan), "0.5"),
        ((math.nan, 1.0, 2.0), "not reached"),
    ],
)
def test_a_number_stands_with_its_interval(numbers, text):
    assert interval(*numbers) == text


def test_the_summary_has_a_row_an_arm():
    table = summary_text(rows("summary", SGD, SAM))
    assert table.title == "Escape times, restricted to t_max = 2 (time = lr · steps, 95 % intervals)"
    assert table.columns == ("arm", "paths", "escaped", "failed", "mean time", "median", "rate")
    assert table.rows == [
        ("SGD", "40", "100 %", "0", "0.1831 (0.181–0.1855)", "not reached", "5 (4–6)"),
        ("[SAM]", "40", "2.5 %", "3", "not known", "not reached", "not reached"),
    ]


def test_times_are_called_restricted_only_where_paths_stayed():
    assert summary_text(rows("summary", SGD)).title == "Escape times (time = lr · steps, 95 % intervals)"


def test_the_comparison_has_a_row_for_each_other_arm():
    row = {"arm": "SAM", "reference": "SGD", "rmst_difference": 0.5, "difference_low": 0.25, "difference_high": 0.75}
    table = comparison_text(rows("comparison", row | {"p_adjusted": 1.234e-9}), paired=False)
    assert table.title == "Compared with SGD"
    assert table.rows == [("SAM", "0.5 (0.25–0.75)", "not known", "not known", "1.2e-09")]
    below = comparison_text(rows("comparison", row | {"p_adjusted": 0.0}), paired=False)
    assert below.rows[0][-1] == "< 1e-300"
    paired = comparison_text(rows("comparison", row), paired=True)
    assert paired.title == "Compared with SGD (paired: common noise)"
    assert paired.rows[0][-1] == ""


def test_weak_errors_stand_at_the_largest_and_the_smallest_lr_with_their_order():
    errors = rows(
        "weak",
        *(
            {"arm": "1", "test_function": "loss", "lr": lr, "error": lr, "error_low": lr / 2, "error_high": 2 * lr}
            for lr in (0.1, 0.05, 0.025)
        ),
    )
    table = weak_text(errors, rows("weak_order", {"arm": "1", "test_function": "loss"}))
    assert table.columns == ("arm", "test function", "error at lr 0.1", "error at lr 0.025", "order")
    assert table.rows == [("1", "loss", "0.1 (0.05–0.2)", "0.025 (0.0125–0.05)", "not shown")]


def test_end_states_are_counted_in_one_line_an_arm():
    states = ["minimum", "minimum", "moving", "saddle"]
    ends = rows("ends", *({"arm": arm, "state": state} for arm in ("SGD", "SAM") for state in states))
    counts = "end states of 4: 2 at a minimum, 1 at a saddle, 0 stalled, 1 moving"
    assert ends_lines(ends) == [f"SGD, {counts}", f"SAM, {counts}"]


@pytest.mark.parametrize(("change", "words"), [(-0.00123, " ± 0.0012 step"), (0.5, " ± 0.5 step"), (float("nan"), "")])
def test_what_the_step_does_stands_beside_the_interval(change, words):
    assert step_words(change) == words


def test_displacement_has_a_row_for_each_direction_and_the_window_of_its_formula():
    first = {"arm": "SGD", "direction": 0, "eigenvalue": -1.0, "time": 0.5, "formula_valid": 1.0}
    last = first | {"time": 1.0, "msd": 0.5, "msd_low": 0.4, "msd_high": 0.6, "exact": 0.51, "formula_valid": 0.0}
    other = {"arm": "SAM", "direction": 0, "eigenvalue": -1.0, "time": 1.0, "msd": 0.25}
    table = displacement_text(rows("displacement", first, last, other))
    assert table.title == "Mean-squared displacement at t = 1 (time = lr · steps, 95 % intervals)"
    assert table.rows == [
        ("SGD", "0 (λ = -1)", "0.5 (0.4–0.6)", "0.51", "", "", "0.5–0.5"),
        ("SAM", "0 (λ = -1)", "0.25", "", "", "", ""),
    ]
