"""Theorem 3 of Kim et al. against the discrete heavy ball, and the damping that a step of Euler loses."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic
from sam_sde.theory import heavy_ball_displacement, lost_damping


def discrete_displacement(eigenvalue, *, lr, batch_size, momentum, steps, rho=0.0):
    """E w² after `steps` of v ← γv + λ(1+ρλ)²w + ξ, w ← w - ηv from w = 0 and a velocity in equilibrium."""
    rate = eigenvalue * (1 + rho * eigenvalue) ** 2
    step = np.array([[1 - lr * rate, -lr * momentum], [rate, momentum]])
    noise = np.outer([-lr, 1.0], [-lr, 1.0]) * abs(eigenvalue) / batch_size
    covariance = np.diag([0.0, abs(eigenvalue) / (2 * batch_size * (1 - momentum))])
    for _ in range(steps):
        covariance = step @ covariance @ step.T + noise
    return covariance[0, 0]


def ratio(steps, eigenvalue=-1.0, lr=1e-5, batch_size=1, momentum=0.9, rho=0.0):
    options = {"lr": lr, "batch_size": batch_size, "momentum": momentum, "rho": rho}
    formula = heavy_ball_displacement(eigenvalue, t=steps * lr, **options)
    return formula / discrete_displacement(eigenvalue, steps=steps, **options)


@pytest.mark.parametrize(("steps", "expected"), [(3, 8.0), (300, 1.05), (3000, 1.007)])
def test_theorem_3_is_off_before_the_velocity_has_relaxed_and_right_beyond(steps, expected):
    assert ratio(steps) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("eigenvalue", [-2.0, -0.3, 1.0])
def test_theorem_3_holds_in_its_window(eigenvalue, momentum, batch_size, rho):
    """From many relaxation times on, for η|λ| ≪ (1-γ)²."""
    steps = int(200 / (1 - momentum))
    found = ratio(steps, eigenvalue, lr=1e-6, momentum=momentum, batch_size=batch_size, rho=rho)
    assert found == pytest.approx(1, abs=0.02)


def test_theorem_3_is_continuous_where_the_drift_vanishes():
    options = {"lr": 1e-3, "batch_size": 4, "momentum": 0.5, "t": 1.0}
    at, beside = (heavy_ball_displacement(-2.0, rho=rho, **options) for rho in (0.5, 0.5 + 1e-6))
    assert at == pytest.approx(beside, rel=1e-9)
    assert heavy_ball_displacement(0.0, **options) == 0.0


def test_momentum_raises_the_displacement_and_batch_size_lowers_it():
    """As 1/B, and as (1-γ)^-2 where the diffusion rules."""
    options = {"lr": 1e-5, "t": 0.005}
    small, large = (heavy_ball_displacement(-1.0, batch_size=b, momentum=0.9, **options) for b in (1, 8))
    assert small == pytest.approx(8 * large)
    weak, strong = (heavy_ball_displacement(-1.0, batch_size=1, momentum=g, **options) for g in (0.0, 0.9))
    assert strong / weak == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 1}, "momentum: expected a number from 0 to below 1"),
        ({"lr": 0}, "lr: expected a number above 0"),
        ({"t": -1}, "t: expected a number above 0"),
        ({"rho": -1}, "rho: expected a number that is 0 or more"),
        ({"batch_size": 0.5}, "batch_size: expected a whole number"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        heavy_ball_displacement(-1.0, **{"lr": 0.1, "batch_size": 1, "momentum": 0.5, "t": 1.0, **changes})


def heavy_ball(**options):
    options = {"lr": 0.01, "momentum": 0.9, **options}
    return ss.SGD(quadratic([4.0, -1.0]), ss.IsotropicNoise(1.0), **options)


def test_the_damping_that_euler_loses_is_that_of_its_determinant():
    """At the minimum's direction (λ = 4) the step of Euler has the determinant 1 - ((1-γ) - λ dt) dt/η."""
    dynamics, dt = heavy_ball(), 0.004
    fraction = lost_damping(dynamics, torch.zeros(2), dt)
    columns = [dynamics.f(0.0, torch.eye(4)[[i]])[0, [0, 2]] for i in (0, 2)]
    step = torch.eye(2) + dt * torch.stack(columns, -1)
    assert torch.linalg.det(step).item() == pytest.approx(1 - 0.1 * (1 - fraction) * dt / 0.01, rel=1e-5)


def test_only_the_underdamped_heavy_ball_loses_damping():
    at = torch.zeros(2)
    assert lost_damping(heavy_ball(weight_decay=1.0), at, 0.01) == pytest.approx(0.5)
    for dynamics in (heavy_ball(momentum=0.0), heavy_ball(momentum_model="overdamped")):
        assert lost_damping(dynamics, at, 0.01) is None
    assert lost_damping(ss.Switch(heavy_ball(), heavy_ball(), at=1.0), at, 0.01) is None
