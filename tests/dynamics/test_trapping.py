"""Who is trapped by a saddle without noise, with dt = lr, for which Euler's steps are the optimizer's own."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import Integration
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Stream
from sam_sde.surfaces import beale, quadratic

BEALE_SADDLE = np.array([0.0, 1.0])
BEALE_CURVATURE = 27.75  # the Hessian there has the eigenvalues ±27.75, along (1, 1) and (1, -1)


def run(dynamics, start, n_steps):
    """States (steps + 1, dim) of the optimizer's recursion, in float64."""
    integration = Integration(dynamics=dynamics, stream=Stream(0), dt=dynamics.lr)
    w = torch.tensor([start], dtype=torch.float64)
    return advance(integration, w, torch.zeros(1, dtype=torch.int64), 0, n_steps).states[:, 0].numpy()


def saddle_arm(rho, lr=0.01, **options):
    """x² - y², with gradient descent for a radius of 0."""
    surface = quadratic([2.0, -2.0])
    if rho == 0:
        return ss.SGD(surface, ss.NoNoise(), lr=lr)
    return ss.SAM(surface, ss.NoNoise(), lr=lr, rho=rho, **options)


def leaves(rho, n_steps, crossing="none"):
    """Escape over |y| = 4.5 from (-3, -0.01)."""
    return ss.escape_times(
        saddle_arm(rho),
        start=[-3.0, -0.01],
        region=ss.Slab([0.0, 0.0], [0.0, 1.0], 4.5),
        t_max=n_steps * 0.01,
        n_paths=1,
        crossing=crossing,
        device="cpu",
        dtype="float64",
        method="euler",
    )


def test_gradient_descent_leaves_the_saddle_at_a_known_step():
    # |y| = 0.01·1.02^k exceeds 4.5 first at k = 309.
    result = leaves(0.0, 500)
    assert result.outcome[0] == ss.Outcome.ESCAPED
    assert result.steps[0] == pytest.approx(309)
    assert math.ceil(math.log(450) / math.log(1.02)) == 309


def test_a_crossing_without_noise_is_interpolated_linearly():
    result = leaves(0.0, 500, crossing="bridge")
    before, after = 0.01 * 1.02**308, 0.01 * 1.02**309
    assert result.steps[0] == pytest.approx(308 + (4.5 - before) / (after - before), abs=1e-6)
    assert result.exit_points[0, 1] == pytest.approx(-4.5, abs=1e-9)


@pytest.mark.parametrize(("rho", "trapped"), [(0.05, False), (0.0947, False), (0.0949, True), (0.5, True)])
def test_sam_is_trapped_above_a_critical_radius(rho, trapped):
    # From (-3, -0.01) at a learning rate of 0.01 it lies between 0.0947 and 0.0949.
    outcome = leaves(rho, 800).outcome[0]
    assert outcome == (ss.Outcome.CENSORED if trapped else ss.Outcome.ESCAPED)


def test_sam_ends_in_a_cycle_of_two_about_the_saddle():
    # x → -x with |x| = ηλρ/(2-ηλ), here 0.0050505, and y → 0.
    lr, curvature, rho = 0.01, 2.0, 0.5
    states = run(saddle_arm(rho), [-3.0, -0.01], 500)
    size = lr * curvature * rho / (2 - lr * curvature)
    np.testing.assert_allclose(np.abs(states[-2:, 0]), size, rtol=1e-4)
    assert states[-1, 0] * states[-2, 0] < 0
    assert abs(states[-1, 1]) < 1e-6


@pytest.mark.parametrize(("start", "trapped"), [(0.98, True), (1.02, False)])
def test_sam_on_the_unstable_axis_is_trapped_within_its_radius(start, trapped):
    # ẏ = |λ|(|y| - ρ) sign y; the other half of the trapping ball's boundary.
    rho = 0.3
    states = run(saddle_arm(rho, lr=0.005), [0.0, start * rho], 300)
    moved = abs(states[-1, 1]) / (start * rho)
    assert moved < 0.9 if trapped else moved > 1.1


@pytest.mark.parametrize("drift", ["stop_gradient", "total"])
@pytest.mark.parametrize("rho", [0.2, 0.5, 1.2])
def test_a_saddle_attracts_usam_if_every_negative_eigenvalue_flips(rho, drift):
    # λ(1+ρλ) is above 0 for ρ > 1/|λ|; λ(1+ρλ)², the derivative through the perturbation, is not for any ρ.
    eigenvalues = np.array([2.0, -1.0, -3.0])
    usam = ss.USAM(quadratic(eigenvalues.tolist()), ss.NoNoise(), lr=0.01, rho=rho, drift=drift)
    states = run(usam, [1.0, 1.0, 1.0], 100)
    power = 1 if drift == "stop_gradient" else 2
    rate = eigenvalues * (1 + rho * eigenvalues) ** power
    np.testing.assert_allclose(states[-1], (1 - 0.01 * rate) ** 100, rtol=1e-9)
    assert ((np.abs(states[-1]) < 1) == (rate > 0)).all()
    assert (rate > 0).all() == (drift == "stop_gradient" and rho > 1)


@pytest.mark.parametrize(("rho", "attracts"), [(0.034, False), (0.038, True)])
def test_the_saddle_of_beale_attracts_usam_above_its_threshold(rho, attracts):
    # 1/27.75 = 0.0360.
    lr, n_steps, small = 0.004, 400, 1e-5
    start = BEALE_SADDLE + small * np.array([1.0, -1.0]) / math.sqrt(2)
    usam = ss.USAM(beale(), ss.NoNoise(), lr=lr, rho=rho)
    distance = np.linalg.norm(run(usam, start.tolist(), n_steps)[-1] - BEALE_SADDLE) / small
    expected = (1 + lr * BEALE_CURVATURE * (1 - rho * BEALE_CURVATURE)) ** n_steps
    assert distance == pytest.approx(expected, rel=0.02)
    assert (expected < 0.2) if attracts else (expected > 5)


@functools.cache
def beale_states(rho, n_steps):
    """The path of SAM from (1, 2)."""
    return run(ss.SAM(beale(), ss.NoNoise(), lr=1.25e-5, rho=rho), [1.0, 2.0], n_steps)


def beale_distances(rho, n_steps):
    """Distance to the saddle after each step."""
    return np.linalg.norm(beale_states(rho, n_steps) - BEALE_SADDLE, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "step"), [(0.5, 2046), (1.0, 507)])
def test_sam_on_beale_is_trapped_at_a_known_step_and_stays(rho, step):
    distance = beale_distances(rho, step + 350)
    assert np.argmax(distance < 0.05) == step
    assert (distance[step:] < 0.05).all()


@pytest.mark.slow
def test_sam_on_beale_passes_the_saddle_for_a_small_radius():
    # Below the critical radius 0.303: nearest at step 1820, then away and down.
    distance = beale_distances(0.1, 2000)
    assert distance.min() == pytest.approx(0.4770, abs=1e-3)
    assert np.argmin(distance) == 1820
    loss_at_end = beale().value(torch.from_numpy(beale_states(0.1, 2000)[-1:]))
    assert loss_at_end < 14.203125 - 0.9


def test_the_perturbed_gradient_of_a_trapped_path_turns_against_the_gradient():
    # Near the saddle the ascent crosses it: the cosine of ∇ℓ(w) and ∇ℓ(w^p) takes both signs; before, it is 1.
    sam = ss.SAM(beale(), ss.NoNoise(), lr=1.25e-5, rho=0.5)
    states = torch.from_numpy(beale_states(0.5, 2046 + 350))
    cosine = torch.cosine_similarity(sam.surface.gradient(states), -sam.f(0.0, states))
    assert (cosine[:100] > 0.95).all()
    assert cosine[-300:].min() < -0.9
    assert cosine[-300:].max() > 0.9


def test_the_recursion_written_out():
    # w ← w - η∇ℓ(w + ρ∇ℓ/‖∇ℓ‖) on the saddle x² - y², by hand.
    x, y = -3.0, -0.01
    states = run(saddle_arm(0.5), [x, y], 50)
    for state in itertools.islice(states, 1, None):
        scale = 0.5 / math.hypot(2 * x, 2 * y)
        x, y = x - 0.02 * (x + scale * 2 * x), y + 0.02 * (y - scale * 2 * y)
        np.testing.assert_allclose(state, [x, y], rtol=1e-10)
