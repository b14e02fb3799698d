"""Escape of the heavy ball from a linear maximum in one dimension, against exact transitions of (w, v) in numpy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.linalg import expm

import sam_sde as ss
from sam_sde.random import Stream
from sam_sde.surfaces import quadratic

CURVATURE, RADIUS = 1.5, 0.4  # λ of the loss -λw²/2, half the interval's width
LR, BATCH, SIGMA, RHO = 0.05, 4, 3.0, 0.4
FOUR_SIGMA = 2 * stats.norm.sf(4)
N_PATHS, N_REFERENCE = 15_000, 40_000


def exact_exits(gamma, velocity, rate, *, n_paths=N_REFERENCE, dt=0.005, seed=1):
    """First times at which |w| passes RADIUS, for d(w, v) = A (w, v) dt + √Q dW and its exact Gaussian steps."""
    a = np.array([[0.0, -1.0], [-rate / LR, -(1 - gamma) / LR]])
    q = np.diag([0.0, SIGMA**2 / (BATCH * LR)])
    flow = expm(np.block([[-a, q], [np.zeros((2, 2)), a.T]]) * dt)
    step = flow[2:, 2:].T
    root = np.linalg.cholesky(step @ flow[:2, 2:])
    random = np.random.default_rng(seed)
    state = np.zeros((2, n_paths))
    if velocity == "equilibrium":
        state[1] = math.sqrt(SIGMA**2 / (2 * BATCH * (1 - gamma))) * random.normal(size=n_paths)
    times, k = [], 0
    while state.shape[1]:
        after = step @ state + root @ random.normal(size=state.shape)
        before, reached = np.abs(state[0]), np.abs(after[0])
        out = reached >= RADIUS
        times.append((k + (RADIUS - before[out]) / (reached[out] - before[out])) * dt)
        state, k = after[:, ~out], k + 1
    return np.concatenate(times)


def exits(gamma, velocity, rho, n_paths=N_PATHS, **options):
    arguments = {"lr": LR, "batch_size": BATCH, "momentum": gamma, "initial_velocity": velocity}
    surface, noise = quadratic([-CURVATURE]), ss.IsotropicNoise(SIGMA)
    dynamics = ss.USAM(surface, noise, rho=rho, **arguments) if rho else ss.SGD(surface, noise, **arguments)
    options = {"method": "srk", "dt": LR / 2, **options}
    return ss.escape_times(
        dynamics, start=[0.0], region=ss.Ball([0.0], RADIUS), t_max=40.0, n_paths=n_paths, device="cpu", **options
    )


@pytest.mark.parametrize("velocity", ["zero", "equilibrium"])
@pytest.mark.parametrize(("gamma", "rho"), [(0.5, 0.0), (0.9, 0.0), (0.9, RHO)])
def test_exit_times_are_those_of_the_exact_transitions(gamma, rho, velocity):
    result = exits(gamma, velocity, rho)
    assert (result.outcome == ss.Outcome.ESCAPED).all()
    np.testing.assert_allclose(np.abs(result.exit_points), RADIUS, rtol=1e-6)
    exact = exact_exits(gamma, velocity, CURVATURE * (1 - rho * CURVATURE))
    error = math.hypot(exact.std() / math.sqrt(len(exact)), result.times.std() / math.sqrt(N_PATHS))
    assert abs(result.times.mean() - exact.mean()) < 4 * error + 0.003 * exact.mean()
    distance = stats.ks_2samp(result.times, exact).statistic
    assert distance < stats.kstwobign.isf(FOUR_SIGMA) * math.sqrt(1 / N_PATHS + 1 / N_REFERENCE)


def test_a_crossing_inside_a_step_is_interpolated_and_the_shift_moves_nothing():
    """w has no noise of its own: only the ends of a step tell, and the straight line between them tells when."""
    options = {"gamma": 0.9, "velocity": "equilibrium", "rho": RHO, "n_paths": 500}
    bridge, shift, none = (exits(**options, crossing=crossing) for crossing in ("bridge", "shift", "none"))
    np.testing.assert_array_equal(shift.times, none.times)
    step = np.ceil(bridge.times / bridge.dt - 1e-9)
    np.testing.assert_allclose(step * bridge.dt, none.times, rtol=1e-9)
    # The last state before the exit, and that at the end of the step, with which "none" exits.
    for path in range(0, 500, 100):
        before, end = bridge.replay(path).states[-2], none.exit_points[path]
        fraction = (RADIUS - np.abs(before[0])) / (np.abs(end[0]) - np.abs(before[0]))
        assert bridge.times[path] == pytest.approx((step[path] - 1 + fraction) * bridge.dt, rel=1e-4)


def test_velocities_at_the_start_are_drawn_apart_from_the_points():
    """A single step of Euler moves w by -v dt."""
    n, start = 20_000, ss.NormalStart([0.0], 0.01)
    options = {"lr": LR, "momentum": 0.9, "initial_velocity": "equilibrium"}
    dynamics = ss.SGD(quadratic([-CURVATURE]), ss.IsotropicNoise(SIGMA), **options)
    options = {"t_max": LR, "n_paths": n, "device": "cpu", "method": "euler"}
    moved = ss.escape_times(dynamics, start=start, region=ss.Ball([0.0], 9.0), **options)
    starts = start.points(torch.arange(n), Stream(0))[:, 0].numpy()
    velocity = (starts - moved.exit_points[:, 0]) / LR
    assert abs(velocity.std() / math.sqrt(SIGMA**2 / (2 * 0.1)) - 1) < 4 / math.sqrt(2 * n)
    assert abs(np.corrcoef(starts, velocity)[0, 1]) < 4 / math.sqrt(n)


def test_results_hold_weights_alone():
    result = exits(0.9, "equilibrium", RHO, n_paths=20)
    assert result.exit_points.shape == (20, 1)
    assert result.replay(3).states.shape[1] == 1
    assert list(result.to_frame().columns) == ["path", "outcome", "time", "steps", "x0"]
