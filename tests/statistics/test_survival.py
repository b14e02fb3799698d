import math

import lifelines
import lifelines.utils
import numpy as np
import pytest

from sam_sde.statistics import (
    Outcome,
    Sample,
    median_time,
    outcome_words,
    restrict,
    restricted_mean,
    survival_curve,
    thin,
)

ESCAPED, CENSORED, FAILED = Outcome


def random_sample(seed, n_paths=150, *, t_max=1.5, grid=None, censored_early=False, failed=0.0):
    """Exponential escape times of mean 1, if wanted on a grid, lost to observation at random, or failed."""
    generator = np.random.default_rng(seed)
    escape = generator.exponential(1.0, n_paths)
    if grid is not None:
        escape = np.ceil(escape / grid) * grid
    end = np.minimum(generator.uniform(0, 3 * t_max, n_paths), t_max) if censored_early else t_max
    outcome = np.where(escape <= end, ESCAPED, CENSORED)
    outcome[generator.random(n_paths) < failed] = FAILED
    return Sample(np.minimum(escape, end), outcome, t_max, lr=0.01)


def lifelines_fit(sample):
    kept = sample.outcome != FAILED
    return lifelines.KaplanMeierFitter().fit(sample.times[kept], sample.outcome[kept] == ESCAPED)


every_kind_of_data = pytest.mark.parametrize(
    "sample",
    [
        pytest.param(random_sample(0, t_max=50.0), id="uncensored"),
        pytest.param(random_sample(1), id="censored at t_max"),
        pytest.param(random_sample(2, censored_early=True), id="censored early"),
        pytest.param(random_sample(3, grid=0.25), id="ties"),
        pytest.param(random_sample(4, grid=0.25, censored_early=True, failed=0.2), id="ties and failures"),
        pytest.param(random_sample(5, n_paths=5), id="five paths"),
    ],
)


@every_kind_of_data
def test_curve_and_band_are_those_of_lifelines(sample):
    curve, other = survival_curve(sample), lifelines_fit(sample)
    np.testing.assert_allclose(curve["survival"], other.predict(curve["time"]), rtol=1e-12, atol=1e-15)
    inside = curve[(curve["survival"] > 0) & (curve["survival"] < 1)]
    band = other.confidence_interval_.loc[inside["time"]].to_numpy()
    np.testing.assert_allclose(inside[["low", "high"]], band, rtol=1e-9)


@every_kind_of_data
def test_at_risk_counts_the_paths_that_are_observed_at_a_time_or_later(sample):
    curve = survival_curve(sample)
    observed = sample.times[sample.outcome != FAILED]
    assert curve["at_risk"].tolist() == [np.sum(observed >= time) for time in curve["time"]]


@every_kind_of_data
def test_curve_starts_at_one_ends_at_the_last_observation_and_stays_in_its_band(sample):
    curve = survival_curve(sample)
    assert curve.loc[0, ["time", "survival", "low", "high"]].tolist() == [0, 1, 1, 1]
    assert curve["time"].iloc[-1] == sample.times[sample.outcome != FAILED].max()
    assert curve["time"].is_monotonic_increasing
    assert np.isfinite(curve).all(axis=None)
    assert (curve["low"] <= curve["survival"]).all()
    assert (curve["survival"] <= curve["high"]).all()


def test_where_survival_is_zero_low_is_zero_and_high_stays_where_it_was():
    curve = survival_curve(Sample([1, 2, 3], [ESCAPED] * 3, t_max=5, lr=1))
    assert curve["survival"].iloc[-1] == curve["low"].iloc[-1] == 0
    assert curve["high"].iloc[-1] == curve["high"].iloc[-2]


def test_failed_paths_are_as_if_they_had_never_been():
    sample = random_sample(6, failed=0.3)
    kept = sample.outcome != FAILED
    without = Sample(sample.times[kept], sample.outcome[kept], sample.t_max, sample.lr)
    assert survival_curve(sample).equals(survival_curve(without))
    assert restricted_mean(sample) == restricted_mean(without)


@pytest.mark.parametrize("rows", [2, 10, 1000])
def test_thin_keeps_first_and_last_rows_spreads_evenly_and_changes_none(rows):
    curve = survival_curve(random_sample(7, n_paths=5000))
    thinned = thin(curve, rows)
    assert len(thinned) == rows
    assert thinned.iloc[0].equals(curve.iloc[0])
    assert thinned.iloc[-1].equals(curve.iloc[-1])
    kept = np.flatnonzero(curve["time"].isin(thinned["time"]))
    assert thinned.equals(curve.iloc[kept].reset_index(drop=True))
    assert np.ptp(np.diff(kept)) <= 1


def test_thin_leaves_a_short_curve_alone():
    curve = survival_curve(random_sample(8))
    assert thin(curve).equals(curve)


@every_kind_of_data
@pytest.mark.parametrize("share_of_t_max", [0.3, 1.0])
def test_restricted_mean_is_that_of_lifelines(sample, share_of_t_max):
    sample = restrict(sample, share_of_t_max * sample.t_max)
    expected = lifelines.utils.restricted_mean_survival_time(lifelines_fit(sample), t=sample.t_max)
    assert restricted_mean(sample)[0] == pytest.approx(expected, rel=1e-10)


# The other package integrates a step function by quadrature, and so only to a few digits.
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("grid", [None, 0.25])
def test_without_early_censoring_the_error_is_that_of_a_mean_of_restricted_times(grid):
    sample = random_sample(9, grid=grid)
    fit = lifelines_fit(sample)
    _, variance = lifelines.utils.restricted_mean_survival_time(fit, t=sample.t_max, return_variance=True)
    _, error = restricted_mean(sample)
    assert error == pytest.approx(math.sqrt(variance / len(sample)), rel=2e-3)
    assert error == pytest.approx(sample.times.std() / math.sqrt(len(sample)), rel=1e-9)


def test_with_early_censoring_the_error_is_the_spread_over_experiments():
    experiments = [restricted_mean(random_sample(seed, n_paths=200, censored_early=True)) for seed in range(1500)]
    means, errors = np.array(experiments).T
    spread_error = 1 / math.sqrt(2 * len(means))
    assert errors.mean() == pytest.approx(means.std(), rel=4 * spread_error)
    assert means.mean() == pytest.approx(1 - math.exp(-1.5), abs=4 * means.std() / math.sqrt(len(means)))


@pytest.mark.parametrize("t_max", [0.1, 1.0, 5.0])
def test_restricted_mean_of_exponential_times_is_one_minus_exp_of_minus_t_max(t_max):
    mean, error = restricted_mean(random_sample(10, n_paths=100_000, t_max=t_max))
    assert mean == pytest.approx(1 - math.exp(-t_max), abs=4 * error)


@every_kind_of_data
def test_median_and_its_interval_are_those_of_lifelines(sample):
    fit = lifelines_fit(sample)
    interval = lifelines.utils.median_survival_times(fit.confidence_interval_).to_numpy().ravel()
    expected = np.array([fit.median_survival_time_, *interval])
    expected[np.isinf(expected)] = np.nan
    np.testing.assert_array_equal(median_time(survival_curve(sample)), expected)


@pytest.mark.parametrize(
    ("n_escaped", "reached"),
    [
        (20, (False, False, False)),
        (45, (False, True, False)),
        (55, (True, True, False)),
        (80, (True, True, True)),
    ],
)
def test_median_and_each_end_of_its_interval_are_nan_on_their_own_when_not_reached(n_escaped, reached):
    times = np.minimum(np.arange(1, 101), n_escaped + 1)
    sample = Sample(times, np.where(times <= n_escaped, ESCAPED, CENSORED), t_max=n_escaped + 1, lr=1)
    assert tuple(np.isfinite(median_time(survival_curve(sample)))) == reached


def test_median_takes_a_product_that_rounds_to_just_above_one_half_for_one_half():
    """With an even number of paths, half of them escaped singly, the median is the last of their times."""
    for n_paths in range(2, 400, 2):
        times = np.minimum(np.arange(1, n_paths + 1), n_paths / 2 + 1)
        outcome = np.where(times <= n_paths / 2, ESCAPED, CENSORED)
        curve = survival_curve(Sample(times, outcome, t_max=n_paths, lr=1))
        assert median_time(curve)[0] == n_paths / 2


@pytest.mark.parametrize(
    ("times", "outcome", "mean", "last_survival"),
    [
        pytest.param([2.0] * 4, [CENSORED] * 4, 2.0, 1.0, id="none escaped"),
        pytest.param([0.5] * 4, [ESCAPED] * 4, 0.5, 0.0, id="all at one time"),
        pytest.param([0.0] * 4, [ESCAPED] * 4, 0.0, 0.0, id="all at time zero"),
        pytest.param([2.0] * 4, [ESCAPED] * 4, 2.0, 0.0, id="all at t_max"),
        pytest.param([0.5], [ESCAPED], 0.5, 0.0, id="one path escaped"),
        pytest.param([2.0], [CENSORED], 2.0, 1.0, id="one path stayed"),
        pytest.param([0.5, 1.0], [ESCAPED, FAILED], 0.5, 0.0, id="one path left"),
        pytest.param([1.0, 2.0], [FAILED] * 2, math.nan, math.nan, id="all failed"),
    ],
)
def test_degenerate_samples_have_a_curve_and_no_infinity(times, outcome, mean, last_survival):
    sample = Sample(times, outcome, t_max=2.0, lr=0.01)
    curve = survival_curve(sample)
    np.testing.assert_equal(restricted_mean(sample)[0], mean)
    np.testing.assert_equal(curve["survival"].iloc[-1], last_survival)
    assert not np.isinf(curve).any(axis=None)
    assert not np.isinf(median_time(curve)).any()


def test_restrict_takes_every_path_with_a_later_end_for_censored_then():
    sample = Sample([1, 2, 3, 3, 3], [ESCAPED, ESCAPED, ESCAPED, FAILED, CENSORED], t_max=3, lr=0.5)
    shorter = restrict(sample, 2.0)
    assert shorter.times.tolist() == [1, 2, 2, 2, 2]
    assert shorter.outcome.tolist() == [ESCAPED, ESCAPED, CENSORED, CENSORED, CENSORED]
    assert (shorter.t_max, shorter.lr) == (2.0, 0.5)
    assert restrict(sample, 3.0) is sample


def test_outcome_words_are_those_of_the_files():
    assert outcome_words(np.array([2, 0, 1], dtype=np.int8)).tolist() == ["failed", "escaped", "censored"]


@pytest.mark.parametrize(
    ("named", "arguments"),
    [
        ("times", {"times": []}),
        ("times", {"times": [[1.0]]}),
        ("times", {"times": [1.0, math.nan]}),
        ("times", {"times": [1.0, -1.0]}),
        ("times", {"times": [1.0, 2.5]}),
        ("outcome", {"outcome": [0]}),
        ("outcome", {"outcome": [0, 3]}),
        ("outcome", {"outcome": [0.0, 1.0]}),
        ("t_max", {"t_max": math.inf}),
        ("t_max", {"t_max": 0}),
        ("lr", {"lr": -0.1}),
    ],
)
def test_sample_refuses_what_is_no_sample_and_names_the_argument(named, arguments):
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        Sample(**({"times": [1.0, 2.0], "outcome": [0, 1], "t_max": 2.0, "lr": 0.1} | arguments))


def test_a_time_that_is_a_rounding_error_above_t_max_is_t_max():
    assert Sample([1.0 + 1e-9], [CENSORED], t_max=1.0, lr=0.1).times.tolist() == [1.0]
