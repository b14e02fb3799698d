import math

import numpy as np
import pytest
from scipy import special, stats

from sam_sde.statistics import (
    Outcome,
    Sample,
    median_time,
    summarize,
    summary_table,
    survival_curve,
)

ESCAPED, CENSORED, FAILED = Outcome

COLUMNS = [
    "n_paths",
    "n_escaped",
    "n_censored",
    "n_failed",
    "t_max",
    "fraction_escaped",
    "fraction_low",
    "fraction_high",
    "mean_time",
    "mean_low",
    "mean_high",
    "rmst",
    "rmst_low",
    "rmst_high",
    "median",
    "median_low",
    "median_high",
    "rate",
    "rate_low",
    "rate_high",
    "mean_steps",
]


def exponential_sample(seed, n_paths, t_max=1.5, lr=0.01):
    escape = np.random.default_rng(seed).exponential(1.0, n_paths)
    return Sample(np.minimum(escape, t_max), np.where(escape <= t_max, ESCAPED, CENSORED), t_max, lr)


def test_table_has_one_row_for_each_arm_and_the_columns_of_the_file():
    table = summary_table({"SGD": exponential_sample(0, 50), "SAM": exponential_sample(1, 60)})
    assert table.columns.tolist() == ["arm", *COLUMNS]
    assert table["arm"].tolist() == ["SGD", "SAM"]
    assert table["n_paths"].tolist() == [50, 60]


def test_counts_and_estimates_of_a_small_sample_by_hand():
    """Two escapes in 1+2+3+4+4+2 = 16; without the failed path survival is 4/5 from 1, 3/5 from 2 on."""
    outcome = np.array([ESCAPED, ESCAPED, CENSORED, CENSORED, CENSORED, FAILED], dtype=np.int8)
    row = summarize(Sample([1, 2, 3, 4, 4, 2], outcome, t_max=4, lr=0.1))
    assert [row[name] for name in COLUMNS[:5]] == [6, 2, 3, 1, 4.0]
    assert row["fraction_escaped"] == 2 / 6
    assert row["rate"] == 2 / 16
    assert row["rmst"] == pytest.approx(1 + 4 / 5 + 2 * 3 / 5)
    assert all(math.isnan(row[name]) for name in ("mean_time", "mean_low", "mean_high", "mean_steps", "median"))


@pytest.mark.parametrize(("n_escaped", "n_failed", "n_paths"), [(0, 0, 9), (3, 2, 40), (40, 0, 40), (700, 100, 1000)])
def test_fraction_bounds_solve_wilsons_quadratic_with_failures_counted_both_ways(n_escaped, n_failed, n_paths):
    """The bounds p of Wilson's interval solve (k/n - p)² = z² p(1-p)/n."""

    def roots(k):
        z2 = stats.norm.ppf(0.975) ** 2
        return np.sort(np.roots([1 + z2 / n_paths, -(2 * k + z2) / n_paths, (k / n_paths) ** 2]).real)

    outcome = np.repeat([ESCAPED, FAILED, CENSORED], [n_escaped, n_failed, n_paths - n_escaped - n_failed])
    row = summarize(Sample(np.ones(n_paths), outcome, t_max=1, lr=1))
    assert row["fraction_low"] == pytest.approx(roots(n_escaped)[0], abs=1e-9)
    assert row["fraction_high"] == pytest.approx(roots(n_escaped + n_failed)[1], abs=1e-9)


@pytest.mark.parametrize("n_paths", [1, 5, 4000])
def test_rate_without_escapes_is_bounded_where_the_poisson_tail_is_two_and_a_half_percent(n_paths):
    times = np.linspace(0.5, 2.0, n_paths)
    row = summarize(Sample(times, np.full(n_paths, CENSORED), t_max=2.0, lr=1))
    assert row["rate"] == row["rate_low"] == 0
    assert special.pdtr(0, row["rate_high"] * times.sum()) == pytest.approx(0.025)


def test_mean_needs_every_path_to_have_escaped_and_is_the_restricted_mean_then():
    sample = exponential_sample(2, 30, t_max=100.0, lr=0.02)
    row = summarize(sample)
    assert row["mean_time"] == pytest.approx(sample.times.mean())
    assert row["mean_steps"] == pytest.approx(row["mean_time"] / 0.02)
    for end in ("", "_low", "_high"):
        assert row[f"rmst{end}"] == row["mean_time" if not end else f"mean{end}"]


def test_median_is_that_of_the_curve():
    sample = exponential_sample(3, 200)
    row = summarize(sample)
    assert (row["median"], row["median_low"], row["median_high"]) == median_time(survival_curve(sample))


@pytest.mark.parametrize("t_max", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("n_paths", [8, 30, 400])
def test_restricted_mean_interval_is_students_on_the_logit_scale(t_max, n_paths):
    """Against the delta method on the times themselves."""
    sample = exponential_sample(3, n_paths, t_max=t_max)
    row, n_escaped = summarize(sample), np.count_nonzero(sample.escaped)
    share = sample.times.mean() / t_max
    error = stats.sem(sample.times) / t_max / (share * (1 - share))
    quantile = stats.t.ppf(0.975, min(n_escaped + 3, n_paths - 2))
    bounds = t_max * special.expit(special.logit(share) + np.array([-1, 1]) * quantile * error)
    assert (row["rmst_low"], row["rmst_high"]) == pytest.approx(tuple(bounds), rel=1e-9)


@pytest.mark.parametrize("n_paths", [1, 2, 20, 400])
@pytest.mark.parametrize("time", [0.0, 0.5, 2.0])
def test_where_all_paths_did_the_same_as_many_may_do_otherwise_as_clopper_and_pearson_allow(n_paths, time):
    row = summarize(Sample(np.full(n_paths, time), np.full(n_paths, ESCAPED), t_max=2.0, lr=1))
    share = stats.binomtest(0, n_paths).proportion_ci(0.95, method="exact").high
    assert row["rmst_low"] == pytest.approx(time * (1 - share))
    assert row["rmst_high"] == pytest.approx(time + (2.0 - time) * share)


def test_restricted_mean_interval_stays_between_zero_and_t_max():
    row = summarize(Sample([0.1, 2.0, 2.0], [ESCAPED, CENSORED, CENSORED], t_max=2.0, lr=1))
    assert 0 < row["rmst_low"] < row["rmst"] < row["rmst_high"] < 2.0


@pytest.mark.parametrize(
    ("times", "outcome", "unknown"),
    [
        pytest.param([2.0] * 9, [CENSORED] * 9, "mean_time mean_low median median_low", id="none escaped"),
        pytest.param([0.5] * 9, [ESCAPED] * 9, "median_high", id="all at one time"),
        pytest.param([0.0] * 9, [ESCAPED] * 9, "rate rate_low rate_high", id="all at time zero"),
        pytest.param([0.5], [ESCAPED], "median_high", id="one path"),
        pytest.param(
            [1.0] * 9,
            [FAILED] * 9,
            "mean_time mean_steps rmst rmst_low rmst_high median median_low median_high",
            id="all failed",
        ),
    ],
)
def test_degenerate_samples_leave_unknown_numbers_empty_and_never_infinite(times, outcome, unknown):
    row = summarize(Sample(times, outcome, t_max=2.0, lr=0.01))
    assert not np.isinf(list(row.values())).any()
    assert all(math.isnan(row[name]) for name in unknown.split())
    assert 0 <= row["fraction_low"] <= row["fraction_escaped"] <= row["fraction_high"] <= 1


def test_all_failed_bounds_the_fraction_by_nothing_escaped_and_everything_escaped():
    row = summarize(Sample(np.ones(1000), np.full(1000, FAILED), t_max=2.0, lr=1))
    assert (row["fraction_escaped"], row["fraction_low"], row["fraction_high"]) == (0, 0, 1)
