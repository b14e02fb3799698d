"""The verdict over a grid: each condition is counted once, and the ends are those of the table."""

import math

import pytest

from sam_sde.report.sweep_verdict import sweep_verdicts
from tests.report.samples import sweep_tables

RHO, BATCH = "arms.SAM.rho", "optimizer.batch_size"


def told(grid, change=lambda tables: None):
    tables = sweep_tables(grid)
    change(tables)
    return sweep_verdicts(tables["summary"], tables["comparison"], list(grid))


def test_each_condition_is_counted_and_the_ends_are_named():
    counts, largest, smallest = told({RHO: [0.5, 1.0, 3.0], BATCH: [1, 4]})
    assert counts == (
        "Under 4 of 6 conditions SAM stays longer than SGD; under 1 SAM leaves sooner than SGD; under 1 no difference "
        "between them is shown."
    )
    assert largest == (
        "The largest ratio is at SAM.rho = 3 and batch_size = 4: SAM stays 12 times longer than SGD, 95 % interval "
        "11–13, p < 1e-16."
    )
    assert smallest == (
        "The smallest ratio is at SAM.rho = 0.5 and batch_size = 1: SAM leaves sooner than SGD: it stays 0.50 times as "
        "long, 95 % interval 0.45–0.55, p < 1e-16."
    )


def test_one_finding_of_all_conditions_is_said_of_all():
    assert told({RHO: [2.0, 3.0]})[0] == "Under all 2 conditions SAM stays longer than SGD."


def test_a_bound_is_told_as_one():
    counts, largest, _ = told({RHO: [2.0, 200.0]})
    assert counts == "Under all 2 conditions SAM stays longer than SGD (in 1 of them the ratio is a lower bound)."
    assert largest.startswith(
        "The largest ratio is at SAM.rho = 200: SAM stays at least 100 times longer than SGD, a lower"
    )


def test_a_bound_that_may_hide_the_largest_ratio_is_not_passed_over():
    def short_horizon(tables):
        tables["comparison"].loc[1, ["rmst_ratio", "ratio_low", "ratio_high"]] = [1.5, 1.4, 1.6]

    _, largest, smallest = told({RHO: [2.0, 200.0]}, short_horizon)
    assert largest.startswith("The largest ratio, unless a bound hides a larger one, is at SAM.rho = 2: SAM stays 2.0")
    assert smallest.startswith("The smallest ratio is at SAM.rho = 200: SAM stays at least 1.5 times")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tables: tables["comparison"].__setitem__("ratio_low", math.nan), "they cannot be compared"),
        (lambda tables: tables["summary"].__setitem__("n_escaped", 1), "hardly any path of either escapes"),
    ],
)
def test_where_no_ratio_is_shown_none_is_told(change, words):
    assert told({RHO: [2.0, 3.0]}, change) == [f"Under all 2 conditions {words}."]


def test_arms_that_are_compared_with_none_have_the_ends_of_their_times():
    summary = sweep_tables({RHO: [2.0, 3.0]})["summary"]
    told = sweep_verdicts(summary, None, [RHO])
    assert [sentence.split(":")[0] for sentence in told] == [
        "Under all conditions",
        "The largest time is at SAM.rho = 3",
        "The smallest time is at SAM.rho = 2",
    ]
