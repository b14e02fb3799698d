"""The exponent of SAM's trap, and the step that resolves its perturbation."""

import numpy as np
import pytest
import torch
from scipy import integrate

import sam_sde as ss
from sam_sde.surfaces import beale, quadratic
from sam_sde.theory import perturbation_over_noise, trap_exponent

ORIGIN = torch.zeros(2)


def sam(surface=None, noise=None, **options):
    options = {"lr": 0.01, "batch_size": 32, "rho": 0.02, **options}
    return ss.SAM(surface or quadratic([1.0, -2.0]), noise or ss.IsotropicNoise(1.5), **options)


def test_the_exponent_is_rho_squared_lambda_batch_over_lr_variance():
    assert trap_exponent(sam(), ORIGIN) == pytest.approx(0.02**2 * 2 * 32 / (0.01 * 1.5**2))


def test_with_hessian_noise_it_is_rho_squared_batch_over_lr():
    surface = beale()
    dynamics = sam(surface, ss.FrozenHessianNoise(surface, [0, 1]), lr=0.001, rho=0.01)
    assert trap_exponent(dynamics, torch.tensor([0.0, 1.0])) == pytest.approx(3.2)


def test_with_several_unstable_directions_the_weakest_trap_counts():
    dynamics = sam(quadratic([1.0, -1.0, -3.0]), ss.ConstantNoise(np.diag([1.0, 1.0, 9.0])))
    assert trap_exponent(dynamics, torch.zeros(3)) == pytest.approx(0.02**2 * 32 / 0.01 * 3 / 9)


@pytest.mark.parametrize(
    ("dynamics", "at"),
    [
        (ss.SGD(quadratic([1.0, -2.0]), ss.IsotropicNoise(1.0), lr=0.01), ORIGIN),
        (sam(ascent="independent"), ORIGIN),
        (sam(quadratic([1.0, 2.0])), ORIGIN),
        (sam(noise=ss.NoNoise()), ORIGIN),
        (sam(), torch.tensor([1.0, 1.0])),
        (sam(momentum=0.9), ORIGIN),
        (sam(momentum=0.9, momentum_model="overdamped"), ORIGIN),
        (sam(weight_decay=0.1), ORIGIN),
        (sam(rho_schedule=ss.WarmUpSchedule(1.0)), ORIGIN),
        (ss.Switch(sam(), sam(), at=1.0), ORIGIN),
    ],
    ids=[
        *("SGD", "another ascent", "a minimum", "no noise", "outside the trap"),
        *("heavy ball", "overdamped", "weight decay", "schedule", "switch"),
    ],
)
def test_elsewhere_there_is_no_exponent(dynamics, at):
    assert trap_exponent(dynamics, at) is None


def mean_escape_time(rho: float, eigenvalue: float, diffusion: float, radius: float) -> float:
    """From 0 out of (-radius, radius) under the drift -λ(x + ρ sign x), by quadrature of the backward equation."""
    x = np.linspace(0, radius, 20_001)
    exponent = -eigenvalue * (rho * x - x**2 / 2) / diffusion
    inner = integrate.cumulative_trapezoid(np.exp(-exponent), x, initial=0)
    return integrate.trapezoid(np.exp(exponent) * inner, x) / diffusion


def test_the_logarithm_of_the_mean_escape_time_grows_as_the_exponent():
    """The slope is 1 up to the prefactor, which changes with the logarithm of ρ."""
    lr, batch_size, sigma, eigenvalue = 0.001, 2, 1.3, -1.5
    exponents, logarithms = [], []
    for rho in (0.1, 0.102):
        dynamics = sam(quadratic([eigenvalue]), ss.IsotropicNoise(sigma), lr=lr, batch_size=batch_size, rho=rho)
        exponents.append(trap_exponent(dynamics, torch.zeros(1)))
        diffusion = lr * sigma**2 / (2 * batch_size)
        logarithms.append(np.log(mean_escape_time(rho, eigenvalue, diffusion, radius=0.4)))
    assert 15 < exponents[0] < 40
    assert np.diff(logarithms) / np.diff(exponents) == pytest.approx(1.0, abs=0.05)


def test_a_step_is_resolved_where_its_drift_stays_below_its_noise():
    dynamics = sam()
    ratio = perturbation_over_noise(dynamics, ORIGIN, dt=0.01)
    noise_of_a_step = (0.01 * 1.5**2 / 32 * 0.01) ** 0.5
    assert ratio == pytest.approx(0.02 * 2 * 0.01 / noise_of_a_step)
    assert perturbation_over_noise(dynamics, ORIGIN, dt=0.01 / ratio**2) == pytest.approx(1.0)
    for other in (sam(noise=ss.NoNoise()), sam(momentum=0.9), sam(lr_schedule=ss.CosineSchedule(1.0))):
        assert perturbation_over_noise(other, ORIGIN, dt=0.01) is None
