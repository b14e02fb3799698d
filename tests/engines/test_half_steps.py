"""Paths at dt and at dt/2 with the same Brownian motion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import BlockResult, EscapeProblem, half_steps, run_block
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Stream
from sam_sde.surfaces import double_well, quadratic

WHITE = ss.IsotropicNoise(1.0)
SAM = ss.SAM(quadratic([1.0, -1.0]), WHITE, lr=0.05, batch_size=2, rho=0.1)


class BrownianMotion(ss.Dynamics):
    lr, noise_type = 0.05, "additive"

    def __init__(self, dim: int = 1):
        self.dim = self.channels = dim

    def f(self, t, w):
        return torch.zeros_like(w)

    def g(self, t, w):
        return torch.eye(self.dim, dtype=w.dtype).expand(len(w), -1, -1)


def problem(dynamics, region, t_max=6.0, **options) -> EscapeProblem:
    options = {"stream": Stream(5), "dt": dynamics.lr, "method": "heun", **options}
    return EscapeProblem(dynamics=dynamics, region=region, t_max=t_max, **options)


def run(problem: EscapeProblem, n_paths: int, chunk: int = 32) -> BlockResult:
    dynamics, paths = problem.dynamics, torch.arange(n_paths)
    start = dynamics.initial_state(torch.zeros(n_paths, dynamics.dim, dtype=torch.float64), torch.zeros(n_paths, 1))
    return run_block(problem, advance, start, paths, chunk=chunk)


@pytest.mark.parametrize("region", [ss.Ball([0.0], 1.0), ss.LevelSet(lambda w: w[0] - 1.0)], ids=["ball", "half line"])
def test_of_a_brownian_motion_and_flat_walls_each_path_leaves_at_the_same_time_with_either_step(region):
    """Nothing is left to the step there: neither the path nor the bridge."""
    coarse, fine = (run(each, 500) for each in half_steps(problem(BrownianMotion(), region)))
    assert np.array_equal(coarse.outcome, fine.outcome)
    np.testing.assert_allclose(coarse.time, fine.time, rtol=1e-9)
    np.testing.assert_allclose(coarse.point, fine.point, atol=1e-9)


@pytest.mark.parametrize("crossing", ["bridge", "shift", "none"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_each_has_the_law_that_the_problem_has_with_its_step(crossing, momentum):
    sam = ss.SAM(quadratic([1.0, -1.0]), WHITE, lr=0.05, batch_size=2, rho=0.1, momentum=momentum)
    asked = problem(sam, ss.Ball([0, 0], 0.8), crossing=crossing)
    for own, alone in zip(half_steps(asked), (asked, replace(asked, dt=asked.dt / 2)), strict=True):
        alone = replace(alone, stream=Stream(6))
        first, second = (run(each, 1500).time.numpy() for each in (own, alone))
        assert own.dt == alone.dt
        assert abs(first.mean() - second.mean()) < 4 * np.hypot(first.std(), second.std()) / 1500**0.5


@pytest.mark.parametrize(
    "region",
    [ss.Ball([0.0] * 4, 1.0), ss.LevelSet(lambda w: w @ w - 1.0), ss.Box([-0.7, -1.0, -2.0, -2.0], [1.0] * 4)],
    ids=["ball", "level set", "box"],
)
def test_a_step_crosses_with_the_law_that_it_has_without_halves(region):
    """Where the two rules would differ most, at curved walls and long steps; both have the same ends of all steps."""
    whole = problem(BrownianMotion(4), region, dt=0.1)
    in_halves, _ = half_steps(whole)
    times, alone = (run(each, 5000).time.numpy() for each in (in_halves, whole))
    change = times - alone
    assert abs(change.mean()) < 4 * change.std() / 5000**0.5


@pytest.mark.parametrize("dynamics", [SAM, ss.SGD(double_well(), WHITE, lr=0.05)], ids=["SAM", "double well"])
def test_paths_of_a_pair_leave_at_about_the_same_time(dynamics):
    coarse, fine = (run(each, 1000).time.numpy() for each in half_steps(problem(dynamics, ss.Ball([0, 0], 0.5))))
    assert np.corrcoef(coarse, fine)[0, 1] > 0.9


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_change_nothing(chunk):
    for each in half_steps(problem(SAM, ss.Ball([0, 0], 0.3), t_max=2.0)):
        np.testing.assert_allclose(run(each, 50, chunk).time, run(each, 50).time, rtol=1e-12)
