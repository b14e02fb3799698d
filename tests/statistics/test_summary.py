import math

import numpy as np
import pytest
from scipy import special, stats

from sam_sde.statistics import (
    Outcome,
    Sample,
    median_time,
    restricted_mean,
    summarize,
    summary_table,
    survival_curve,
)
from sam_sde.statistics.intervals import t_interval

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


@pytest.mark.parametrize(("n_escaped", "n_paths"), [(0, 5), (1, 5), (5, 5), (30, 100), (3000, 4000)])
def test_rate_bounds_are_where_the_poisson_tails_are_two_and_a_half_percent(n_escaped, n_paths):
    outcome = np.repeat([ESCAPED, CENSORED], [n_escaped, n_paths - n_escaped])
    times = np.linspace(0.5, 2.0, n_paths)
    row = summarize(Sample(times, outcome, t_max=2.0, lr=1))
    exposure = times.sum()
    assert special.pdtr(n_escaped, row["rate_high"] * exposure) == pytest.approx(0.025)
    if n_escaped == 0:
        assert row["rate"] == row["rate_low"] == 0
    else:
        assert special.pdtrc(n_escaped - 1, row["rate_low"] * exposure) == pytest.approx(0.025)


def test_mean_needs_every_path_to_have_escaped_and_steps_are_time_over_lr():
    sample = exponential_sample(2, 30, t_max=100.0, lr=0.02)
    row = summarize(sample)
    expected = stats.ttest_1samp(sample.times, 0.0).confidence_interval(0.95)
    assert row["mean_time"] == pytest.approx(sample.times.mean())
    assert (row["mean_low"], row["mean_high"]) == pytest.approx((expected.low, expected.high))
    assert row["mean_steps"] == pytest.approx(row["mean_time"] / 0.02)
    assert row["rmst"] == pytest.approx(row["mean_time"])


def test_survival_columns_are_those_of_the_curve():
    sample = exponential_sample(3, 200)
    row = summarize(sample)
    mean, error = restricted_mean(sample)
    z = stats.norm.ppf(0.975)
    assert (row["rmst"], row["rmst_low"], row["rmst_high"]) == pytest.approx((mean, mean - z * error, mean + z * error))
    assert (row["median"], row["median_low"], row["median_high"]) == median_time(survival_curve(sample))


def test_restricted_mean_interval_stays_between_zero_and_t_max():
    row = summarize(Sample([0.1, 2.0, 2.0], [ESCAPED, CENSORED, CENSORED], t_max=2.0, lr=1))
    assert 0 <= row["rmst_low"] < row["rmst"] < row["rmst_high"] == 2.0


@pytest.mark.parametrize(
    ("times", "outcome", "unknown"),
    [
        pytest.param([2.0] * 9, [CENSORED] * 9, "mean_time rmst_low rmst_high median median_low", id="none escaped"),
        pytest.param([0.5] * 9, [ESCAPED] * 9, "mean_low rmst_low median_high", id="all at one time"),
        pytest.param([0.0] * 9, [ESCAPED] * 9, "rate rate_low rate_high", id="all at time zero"),
        pytest.param([0.5], [ESCAPED], "mean_low mean_high rmst_low median_high", id="one path"),
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


TRUTH = {
    "fraction": 1 - math.exp(-1.5),
    "rmst": 1 - math.exp(-1.5),
    "median": math.log(2),
    "rate": 1.0,
    "mean": 1.0,
}


@pytest.fixture(scope="module")
def experiments():
    """2,000 experiments of 400 exponential escape times, censored at 1.5; the mean from uncensored ones."""
    rows = [summarize(exponential_sample(seed, 400)) for seed in range(2000)]
    for seed, row in enumerate(rows):
        row["mean_low"], row["mean_high"] = t_interval(exponential_sample(seed, 400, t_max=100.0).times)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTH)
def test_intervals_hold_the_truth_in_95_percent_of_experiments(experiments, name):
    held = np.mean([row[f"{name}_low"] <= TRUTH[name] <= row[f"{name}_high"] for row in experiments])
    print(f"coverage {name}: {held:.4f}")
    assert 0.93 < held < 0.97
