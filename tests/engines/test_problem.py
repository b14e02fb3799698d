"""An escape is checked before anything runs, and its end is a whole number of steps."""

import math

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import EscapeProblem
from sam_sde.random import Stream
from sam_sde.regions.crossing import bridge_probability, shift_distance
from sam_sde.surfaces import quadratic

SADDLE, WHITE = quadratic([1.0, -0.5]), ss.IsotropicNoise(1.0)
BALL = ss.Ball([0, 0], 1e6)


def problem(dt=0.01, t_max=1e4, noise=WHITE, **options) -> EscapeProblem:
    dynamics = ss.SGD(SADDLE, noise, lr=0.01)
    region = options.pop("region", BALL)
    return EscapeProblem(dynamics=dynamics, region=region, stream=Stream(), t_max=t_max, dt=dt, **options)


@pytest.mark.parametrize(
    ("t_max", "dt", "n_steps"), [(1.0, 0.1, 10), (0.3, 0.1, 3), (1.0, 0.3, 4), (50.0, 0.001, 50_000)]
)
def test_t_max_is_rounded_up_to_whole_steps(t_max, dt, n_steps):
    assert problem(dt=dt, t_max=t_max).n_steps == n_steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.0}, "dt: expected a number above 0"),
        ({"dt": float("nan")}, "dt"),
        ({"dt": 2.0, "t_max": 1.0}, "dt: expected at most t_max"),
        ({"t_max": float("inf")}, "t_max"),
        ({"t_max": 1e30}, "t_max: expected at most"),
        ({"crossing": "bridges"}, "crossing.*did you mean 'bridge'"),
    ],
)
def test_bad_problems_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        problem(**options)


def test_beyond_its_reach_no_step_crosses():
    """The variance along a direction of the weights is η σ²/B = 0.01 here, 1e-4 for a step."""
    reach = problem(crossing="bridge").reach
    assert bridge_probability(*torch.tensor([-reach, -reach, 1e-4], dtype=torch.float64)) < 2.0**-33
    assert problem(crossing="shift").reach == pytest.approx(shift_distance(1e-4), rel=1e-3)
    assert problem(crossing="none").reach == 0.0


def test_where_no_bound_is_known_its_reach_is_infinite():
    assert problem(region=ss.LevelSet(lambda w: w.sum() - 1.0)).reach == math.inf
    assert problem(noise=ss.HessianNoise(SADDLE)).reach == math.inf
