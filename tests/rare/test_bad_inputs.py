"""What cannot be measured by splitting is said before any walker takes a step."""

import math

import pytest
import torch

import sam_sde as ss
from tests.rare.problems import Below, ornstein_uhlenbeck

RUN = {"start": [0.0], "region": Below(4.0)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"walkers": 99}, "walkers: expected a whole number of at least 100, got 99"),
        ({"repeats": 1}, "repeats: expected a whole number of at least 2, got 1"),
        ({"walkers": 10**6}, "repeats: expected at most 7 with 1000000 walkers each, got 16"),
        ({"levels": [-3 + 0.01 * i for i in range(256)]}, "levels: expected at most 255 of them, got 256"),
        ({"start": [4.5]}, "start: it lies outside the region"),
        ({"core": 0.0}, "core: expected a level of the region inside it, below 0, got 0"),
        ({"core": math.inf}, "core: expected a finite number"),
        ({"levels": [-2.0, -2.0]}, "levels: expected scores that increase"),
        ({"levels": []}, "levels: expected a list of numbers"),
        ({"core": -1.0, "levels": [-2.0, -1.0]}, "core: expected a score below the first level -2, got -1"),
        ({"score": "regio"}, "score: unknown value 'regio'; did you mean 'region'"),
        ({"score": "unstable"}, "score: 'unstable': no unstable direction.*try 'region'"),
        ({"score": lambda w: w[0] * math.nan}, "score: expected a finite number at the start, got nan"),
        ({"score": lambda w: w}, "score: .*scalar"),
        ({"score": ss.Ball([0, 0], 1.0)}, "score: made for 2 coordinates"),
        ({"check_dt": 1}, "check_dt: expected True or False"),
        ({"dt": -0.1}, "dt: expected a number above 0"),
        ({"engine": "discrete", "check_dt": True}, "check_dt: engine 'discrete'"),
    ],
)
def test_each_argument_that_is_wrong(options, message):
    with pytest.raises(ss.ArgumentError, match=message):
        ss.rare_escape_times(ornstein_uhlenbeck(), **(RUN | options))


@pytest.mark.parametrize(
    "dynamics",
    [
        ornstein_uhlenbeck(lr_schedule=ss.CosineSchedule(t_end=10.0)),
        ss.Switch(ornstein_uhlenbeck(), ornstein_uhlenbeck(), at=3.0),
    ],
)
def test_dynamics_that_change_with_time_are_refused(dynamics):
    with pytest.raises(ss.ArgumentError, match="changes with time, by a schedule or a switch"):
        ss.rare_escape_times(dynamics, **RUN)


def test_dynamics_of_ones_own_that_change_with_time_are_refused():
    class Growing(ss.Dynamics):
        dim = channels = 1
        lr, noise_type = 0.1, "diagonal"

        def f(self, t, x):
            return -x * (1 + t)

        def g(self, t, x):
            return torch.ones_like(x)

    with pytest.raises(ss.ArgumentError, match="changes with time"):
        ss.rare_escape_times(Growing(), **RUN)


@pytest.mark.parametrize("engine", ["discrete", "compiled_discrete"])
def test_minibatches_that_remember_what_was_drawn_are_refused(engine):
    surface = ss.FiniteSum(lambda w, sample: ((w - sample[0]) ** 2).sum(), (torch.randn(8, 1),), dim=1)
    noise = ss.EmpiricalNoise(surface, sampling="epochs")
    dynamics = ss.SGD(surface, noise, lr=0.1, batch_size=2)
    with pytest.raises(ss.ArgumentError, match="sampling: 'epochs' remembers"):
        ss.rare_escape_times(dynamics, engine=engine, **RUN)


def test_a_score_of_the_loss_needs_one():
    class Free(ss.Dynamics):
        dim = channels = 1
        lr, noise_type = 0.1, "diagonal"

        def f(self, t, x):
            return -x

        def g(self, t, x):
            return torch.ones_like(x)

    with pytest.raises(ss.ArgumentError, match="score: 'loss_rises' needs a loss, and Free has none"):
        ss.rare_escape_times(Free(), score="loss_rises", **RUN)
