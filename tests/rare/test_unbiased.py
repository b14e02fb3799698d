"""The mean time is that of the chain of steps itself, whatever the score: no error of the step is in these tests."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic
from tests.rare.integral_equation import mean_escape_time
from tests.rare.problems import LR, Below, ornstein_uhlenbeck, saddle_sam

BOUND = 4.5  # standard errors, a part of which is that of the standard error itself, from 8 repeats


def assert_close(time, expected: float, error: float = 0.0) -> None:
    """expected: with a relative error of its own."""
    assert time.relative_error < 0.3  # else the test would say little
    assert abs(math.log(time.value / expected)) < BOUND * math.hypot(time.relative_error, error)


@pytest.mark.parametrize(
    ("z", "crossing"),
    [(3.0, "bridge"), (3.0, "none"), (5.0, "bridge"), (5.0, "none")],
)
def test_long_steps_of_an_ornstein_uhlenbeck_process_against_the_integral_equation(z, crossing):
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(),
        start=[0.0],
        region=Below(z),
        method="euler",
        crossing=crossing,
        walkers=1000,
        repeats=8,
        engine="compiled",
    )
    steps = mean_escape_time(lambda x: x * (1 - LR), math.sqrt(2 * LR), z, crossing == "bridge", -8.0)
    assert_close(result.mean_time, LR * steps)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*(not to be trusted|known to)")
def test_the_intervals_of_small_experiments_hold_the_mean_as_often_as_they_say():
    """Forty of three repeats each, which share the pilot alone."""
    n, repeats = 40, 3
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(),
        start=[0.0],
        region=Below(3.0),
        method="euler",
        walkers=100,
        repeats=n * repeats,
        engine="compiled",
    )
    expected = LR * mean_escape_time(lambda x: x * (1 - LR), math.sqrt(2 * LR), 3.0, True, -8.0)
    parts = [replace(result, repeats=result.repeats[repeats * i : repeats * (i + 1)]).mean_time for i in range(n)]
    held = np.mean([part.low <= expected <= part.high for part in parts])
    assert held > 0.95 - 4 * math.sqrt(0.95 * 0.05 / n)


@pytest.mark.parametrize("levels", [[1.0, 1.1], [0.5, 1.0, 1.5, 2.0, 2.5, 2.9], [1.0, 1.5, 2.0, 2.5, 3.5]])
def test_any_levels_give_the_same_even_one_beyond_the_exit(levels):
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(),
        start=[0.0],
        region=Below(3.0),
        score=Below(0.0),
        core=0.0,
        levels=levels,
        method="euler",
        walkers=1000,
        repeats=8,
        engine="compiled",
    )
    steps = mean_escape_time(lambda x: x * (1 - LR), math.sqrt(2 * LR), 3.0, True, -8.0)
    assert_close(result.mean_time, LR * steps)


@pytest.mark.parametrize("start", [-2.0, 0.0, 2.0])
def test_the_way_from_any_start_is_in_the_mean_time(start):
    """Of an escape that is hardly rare, where it counts."""
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(),
        start=[start],
        region=Below(3.0),
        method="euler",
        walkers=2000,
        repeats=8,
        engine="compiled",
    )
    shift = start  # the integral equation starts from 0
    steps = mean_escape_time(
        lambda x: (x + shift) * (1 - LR) - shift, math.sqrt(2 * LR), 3.0 - shift, True, -8.0 - shift
    )
    assert_close(result.mean_time, LR * steps)


def minibatches() -> ss.SGD:
    """A mean of squares over 12 samples, as an algorithm that draws 2 of them."""
    samples = torch.linspace(-1.0, 1.0, 12).double()[:, None] ** 3 * torch.tensor([[6.0, 1.0]])
    surface = ss.FiniteSum(lambda w, x: 0.5 * ((w - x[0]) ** 2).sum(), (samples,), dim=2)
    return ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.3, batch_size=2)


NARROW = ss.Ball([0, 0], 0.5)
HEAVY = ss.SGD(quadratic([1.0, 3.0]), ss.IsotropicNoise(1.0), lr=0.1, batch_size=4, momentum=0.5)
PROBLEMS = {
    "SAM at a saddle": (saddle_sam(0.045), NARROW, 5000.0, {"engine": "compiled"}),
    "heavy ball": (HEAVY, ss.Box([-0.45, -0.45], [0.45, 0.45]), 5e3, {"engine": "compiled"}),
    "minibatches": (minibatches(), ss.Slab([0, 0], [1, 0.2], 2.6), 3e3, {"engine": "discrete"}),
}
# Of other coordinates too, which have nothing to do with the way out.
SCORES = {"a good score": "auto", "a poor score": lambda w: w[0] + 0.5 * (w[-1] - 0.3).abs() ** 1.5}


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_same_as_direct_simulation_with_a_good_and_with_a_poor_score(problem):
    dynamics, region, t_max, options = PROBLEMS[problem]
    run = {"start": [0.0] * dynamics.dim, "region": region} | options
    direct = ss.escape_times(dynamics, t_max=t_max, n_paths=120, seed=5, **run)
    assert (direct.outcome == ss.Outcome.ESCAPED).all()
    mean = direct.times.mean()
    error = direct.times.std() / mean / np.sqrt(len(direct))
    for score in SCORES.values():
        rare = ss.rare_escape_times(dynamics, score=score, walkers=400, repeats=6, **run)
        assert rare.probability.value < 0.1
        assert_close(rare.mean_time, mean, error)
