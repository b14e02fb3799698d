"""The rules of crossing against a Brownian bridge that is simulated finely."""

import numpy as np
import pytest
import torch
from scipy import stats

from sam_sde.regions.crossing import bridge_probability, bridge_reach, crossing_fraction, shift_distance

VARIANCE = 0.09


def fine_bridges(level0: float, level1: float, n_bridges: int, n_steps: int, seed: int) -> np.ndarray:
    """First crossing of zero as a fraction of the step, NaN where there is none: each fine step crosses by its own
    bridge, uniformly in the step, so that only the time within a fine step is approximate."""
    rng = np.random.default_rng(seed)
    position = np.full(n_bridges, level0)
    crossing = np.full(n_bridges, np.nan)
    for step in range(n_steps):
        left = n_steps - step
        mean = position + (level1 - position) / left
        spread = np.sqrt(VARIANCE / n_steps * (left - 1) / left)
        following = mean + spread * rng.standard_normal(n_bridges)
        inside = np.exp(-2 * position * following / (VARIANCE / n_steps))
        crosses = (following >= 0) | (rng.random(n_bridges) < inside)
        first = crosses & np.isnan(crossing)
        crossing[first] = (step + rng.random(first.sum())) / n_steps
        position = following
    return crossing


@pytest.mark.parametrize("ends", [(-0.2, -0.1), (-0.3, 0.2), (-0.1, -0.4), (-0.15, 0.5)])
def test_probability_and_time_of_crossing_are_those_of_a_finely_simulated_bridge(ends):
    n = 20_000
    crossing = fine_bridges(*ends, n, 400, seed=5)
    level0, level1, variance = (torch.full((n,), x, dtype=torch.float64) for x in (*ends, VARIANCE))
    probability = bridge_probability(level0, level1, variance)[0].item()
    error = np.sqrt(probability * (1 - probability) / n)
    assert abs(np.mean(~np.isnan(crossing)) - probability) <= 4 * error

    rng = np.random.default_rng(6)
    normal, uniform = torch.tensor(rng.standard_normal(n)), torch.tensor(rng.random(n))
    fraction = crossing_fraction(level0, level1, variance, normal, uniform).numpy()
    assert stats.ks_2samp(fraction, crossing[~np.isnan(crossing)]).pvalue > 1e-4


def test_without_noise_the_crossing_is_the_linear_interpolation():
    level0, level1 = torch.tensor([-1.0, -0.2, -3.0]).double(), torch.tensor([1.0, 0.6, 0.0]).double()
    zero = torch.zeros(3, dtype=torch.float64)
    fraction = crossing_fraction(level0, level1, zero, torch.randn(3), torch.rand(3))
    torch.testing.assert_close(fraction, level0 / (level0 - level1))
    assert bridge_probability(level0, -level1.abs() - 1, zero).tolist() == [0, 0, 0]


def test_a_bridge_that_ends_on_the_boundary_crosses_before_its_end():
    level0, zero = torch.full((1000,), -0.1, dtype=torch.float64), torch.zeros(1000, dtype=torch.float64)
    normal, uniform = torch.randn(1000, generator=torch.manual_seed(0)).double(), torch.full((1000,), 0.5)
    fraction = crossing_fraction(level0, zero, zero + VARIANCE, normal, uniform)
    assert fraction.isfinite().all()
    assert (fraction > 0).all()
    assert (fraction <= 1).all()


def test_beyond_the_reach_no_uniform_is_small_enough_to_cross():
    level = torch.tensor(-bridge_reach(VARIANCE), dtype=torch.float64)
    assert bridge_probability(level, level, torch.tensor(VARIANCE)) < 2.0**-33


def test_the_shift_is_the_constant_of_the_overshoot_of_a_walk():
    assert shift_distance(1.0) == pytest.approx(0.5826, abs=1e-4)
