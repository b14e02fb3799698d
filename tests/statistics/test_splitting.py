"""The mean time from repeats of splitting: its interval covers, its ratios too, and repeats that disagree are told."""

import math

import numpy as np
import pytest

from sam_sde.statistics.splitting import distrust, log_ratio_interval, mean_escape_time, mean_of_repeats


def repeats(n: int, n_repeats: int, walkers: int = 100, fractions=(0.3,) * 8, seed: int = 0) -> np.ndarray:
    """p̂ (n, n_repeats) of levels at which all walkers are in the same state: products of binomial fractions."""
    random = np.random.default_rng(seed)
    return np.prod([random.binomial(walkers, p, (n, n_repeats)) / walkers for p in fractions], axis=0)


@pytest.mark.parametrize("n_repeats", [4, 16])
def test_the_interval_covers_the_mean_time(n_repeats):
    n, expected = 2000, 2.0 + 0.9 * 5.0 / 0.3**8
    covered, random = 0, np.random.default_rng(1)
    for p in repeats(n, n_repeats):
        loop, start = random.normal(5.0, 0.2, n_repeats), random.normal(2.0, 0.1, n_repeats)
        time = mean_escape_time(p, loop, start, np.full(n_repeats, 0.1))
        covered += time.low <= expected <= time.high
    assert 0.93 < covered / n < 0.97


def test_means_are_taken_before_they_are_divided():
    """The mean of 1/p̂ is larger."""
    time = mean_escape_time(np.array([0.1, 0.3]), np.array([1.0, 3.0]), np.zeros(2), np.zeros(2))
    assert time.value == pytest.approx(2.0 / 0.2)


def test_the_error_is_that_of_the_delta_method():
    p = np.array([1.0, 1.2, 0.9, 1.1, 1.05]) * 1e-6
    assert mean_of_repeats(p).relative_error == pytest.approx(p.std(ddof=1) / p.mean() / math.sqrt(5), rel=0.02)


def test_without_a_walker_that_left_the_time_is_not_known():
    time = mean_escape_time(np.zeros(3), np.ones(3), np.ones(3), np.zeros(3))
    assert time.value == math.inf
    assert math.isnan(time.low)
    assert math.isnan(time.high)


def test_the_interval_of_a_ratio_covers():
    covered, n = 0, 2000
    for one, other in zip(repeats(n, 16), repeats(n, 16, fractions=(0.3,) * 3, seed=1), strict=True):
        a, b = mean_of_repeats(one), mean_of_repeats(other)
        low, high = log_ratio_interval(a.value, (a.low, a.high), b.value, (b.low, b.high))
        covered += low <= 0.3**5 <= high
    assert 0.93 < covered / n < 0.97


@pytest.mark.parametrize(
    ("probability", "ancestors", "why"),
    [
        ([1.0] * 15 + [100.0], 500, "disagree"),
        ([1.0 + 0.01 * i for i in range(15)] + [2.5], 500, "disagree"),
        ([0.0] + [1.0] * 7, 500, "in 1 of 8 repeats no walker"),
        ([0.0] * 4, 0, "no walker of any repeat"),
        ([1.0 + 0.01 * i for i in range(16)], 3, "descend from 3"),
    ],
)
def test_repeats_that_are_not_to_be_trusted(probability, ancestors, why):
    assert why in distrust(np.array(probability), ancestors)


@pytest.mark.parametrize("n_repeats", [2, 3, 6, 16])
def test_repeats_that_are_are(n_repeats):
    doubted = sum(distrust(p, 100) is not None for p in repeats(1000, n_repeats, fractions=(0.3,) * 3))
    assert doubted < 20
