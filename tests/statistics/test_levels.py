"""The restricted mean over levels: against plain numpy on arrays."""

import numpy as np
import pytest

from sam_sde.statistics import Level, Sample, compare_samples, restrict, summarize

T_MAX = 2.0


def sample(times, t_max=T_MAX) -> Sample:
    return Sample(np.minimum(times, t_max), (times > t_max).astype(int), t_max, 0.1)


def with_levels(rng: np.random.Generator, scale: float = 1.0, sizes=(4000, 1000, 400)) -> Sample:
    """Exponential times, and the same with a little noise as the coarse ones."""
    fine = [scale * rng.exponential(size=n) for n in sizes]
    coarse = [None, *(times * (1 + 0.1 * rng.normal(size=len(times))).clip(0.5) for times in fine[1:])]
    levels = tuple(
        Level(0.1 / 2**level, sample(one), None if other is None else sample(other))
        for level, (one, other) in enumerate(zip(fine, coarse, strict=True))
    )
    last = levels[-1].fine
    return Sample(last.times, last.outcome, last.t_max, last.lr, levels=levels)


def by_hand(levels, t_max: float) -> tuple[float, float]:
    mean = variance = 0.0
    for level in levels:
        values = np.minimum(level.fine.times, t_max)
        if level.coarse is not None:
            values = values - np.minimum(level.coarse.times, t_max)
        mean, variance = mean + values.mean(), variance + values.var(ddof=1) / len(values)
    return mean, variance**0.5


def test_only_the_restricted_mean_is_over_the_levels():
    found = with_levels(np.random.default_rng(0))
    summary, alone = summarize(found), summarize(restrict_to_itself(found))
    mean, error = by_hand(found.levels, T_MAX)
    assert summary["rmst"] == pytest.approx(mean)
    assert (summary["rmst_high"] - summary["rmst_low"]) / 2 == pytest.approx(1.96 * error, rel=0.02)
    assert summary["rmst_high"] - summary["rmst_low"] < 0.7 * (alone["rmst_high"] - alone["rmst_low"])
    for name in set(summary) - {"rmst", "rmst_low", "rmst_high", "mean_time", "mean_low", "mean_high", "mean_steps"}:
        assert summary[name] == pytest.approx(alone[name], nan_ok=True), name


def restrict_to_itself(found: Sample) -> Sample:
    return Sample(found.times, found.outcome, found.t_max, found.lr)


@pytest.mark.parametrize("t_max", [0.5, 1.0, T_MAX])
def test_a_shorter_time_restricts_every_level(t_max):
    found = with_levels(np.random.default_rng(1))
    assert summarize(restrict(found, t_max))["rmst"] == pytest.approx(by_hand(found.levels, t_max)[0])


def test_a_comparison_takes_the_means_over_the_levels_and_all_else_of_the_samples():
    rng = np.random.default_rng(2)
    arm, reference = with_levels(rng, 2.0), with_levels(rng)
    (mean, error), (base, base_error) = (by_hand(each.levels, T_MAX) for each in (arm, reference))
    row = compare_samples({"reference": reference, "arm": arm}).iloc[0]
    alone = compare_samples({"reference": restrict_to_itself(reference), "arm": restrict_to_itself(arm)}).iloc[0]
    assert row.rmst_difference == pytest.approx(mean - base)
    assert row.rmst_ratio == pytest.approx(mean / base)
    half_width = (row.difference_high - row.difference_low) / 2
    assert half_width == pytest.approx(1.96 * np.hypot(error, base_error), rel=0.03)
    for name in ("rate_ratio", "rate_ratio_low", "logrank_statistic", "p_value", "curves_cross"):
        assert row[name] == alone[name]


def test_pairs_of_which_a_path_failed_are_left_out():
    fine = Sample(np.array([1.0, 0.5, 0.7]), np.array([0, 2, 0]), T_MAX, 0.1)
    coarse = Sample(np.array([1.5, 0.5, 0.1]), np.array([0, 0, 2]), T_MAX, 0.1)
    np.testing.assert_array_equal(Level(0.1, fine, coarse).values, [-0.5])
    np.testing.assert_array_equal(Level(0.1, coarse).values, [1.5, 0.5])


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_a_sum_beyond_the_bounds_of_the_mean_has_an_interval_within_them(shift):
    """Changes of -1 or 1 at the second level, to means of 0.1 or 1.9."""
    rng = np.random.default_rng(3)
    first, low = sample(np.full(50, 1.0 + 0.9 * shift) + 0.01 * rng.random(50)), rng.random(20)
    pair = Level(0.05, sample(low + max(shift, 0.0)), sample(low - min(shift, 0.0)))
    found = Sample(pair.fine.times, pair.fine.outcome, T_MAX, 0.1, levels=(Level(0.1, first), pair))
    summary = summarize(found)
    assert 0 <= summary["rmst_low"] <= summary["rmst"] <= summary["rmst_high"] <= T_MAX
