"""Exact moments along eigenvectors, against the optimizers' own drift, noise and step on a rotated quadratic."""

import itertools

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import sam_sde as ss
from sam_sde.dynamics import Minibatch
from sam_sde.surfaces import quadratic
from sam_sde.theory.displacement import expand, linear_arm

SURFACE = quadratic([-2.0, 1.5], rotation=30.0)
NOISE = ss.ConstantNoise([[1.0, 0.6], [0.6, 2.0]])
MEAN, VARIANCE = np.array([0.03, -0.05]), 0.01
AT = expand(SURFACE, [0.0, 0.0])

MODES = {
    "sgd": (ss.SGD, {}),
    "second order": (ss.SGD, {"drift_order": 2}),
    "exact": (ss.SGD, {"sde": "exact"}),
    "exact, the same batch": (ss.USAM, {"rho": 0.3, "ascent": "same", "sde": "exact"}),
    "full": (ss.USAM, {"rho": 0.3}),
    "same": (ss.USAM, {"rho": 0.3, "ascent": "same"}),
    "independent": (ss.USAM, {"rho": 0.3, "ascent": "independent"}),
    "total": (ss.USAM, {"rho": 0.3, "drift": "total"}),
    "expansion": (ss.USAM, {"rho": 0.3, "drift": "expansion"}),
    "sam of radius 0": (ss.SAM, {"rho": 0.0, "ascent": "same"}),
}
MOTIONS = {
    "plain": {},
    "decay": {"weight_decay": 0.3},
    "heavy": {"momentum": 0.5, "weight_decay": 0.3},
    "equilibrium": {"momentum": 0.5, "initial_velocity": "equilibrium"},
    "overdamped": {"momentum": 0.5, "momentum_model": "overdamped"},
}


def optimizer(mode, motion, **options):
    kind, own = MODES[mode]
    return kind(SURFACE, NOISE, lr=0.05, batch_size=8, **own, **MOTIONS[motion], **options)


def states(dynamics):
    return torch.cat([torch.zeros(1, dynamics.state_dim), torch.eye(dynamics.state_dim)]).double()


def start_moments(dynamics, of_algorithm):
    """Mean (n,) and covariance (n, n) of the state at the start."""
    w = AT.eigenvectors @ MEAN
    mean, covariance = np.zeros(dynamics.state_dim), np.zeros((dynamics.state_dim,) * 2)
    mean[:2], covariance[:2, :2] = w, VARIANCE * np.eye(2)
    if of_algorithm and dynamics.momentum and dynamics.state_dim == 2:
        return np.append(mean, [0, 0]), np.pad(covariance, (0, 2))
    if not dynamics.draws_velocity:
        return mean, covariance
    at, z = torch.zeros(1, 2).double(), torch.eye(dynamics.channels).double()
    base = dynamics.initial_state(at, z[:1] * 0)[0].numpy()
    slope = np.stack([dynamics.initial_state(u[None], z[:1] * 0)[0].numpy() - base for u in torch.eye(2).double()], 1)
    drawn = np.stack([dynamics.initial_state(at, each[None])[0].numpy() - base for each in z], 1)
    return base + slope @ w, VARIANCE * slope @ slope.T + drawn @ drawn.T


def along(mean, covariance):
    """E x² along the eigenvectors."""
    w = mean[:2] @ AT.eigenvectors
    return w**2 + np.einsum("ij,ik,kj->j", AT.eigenvectors, covariance[:2, :2], AT.eigenvectors)


COMBINATIONS = [
    (mode, motion)
    for mode, motion in itertools.product(MODES, MOTIONS)
    if motion in ("plain", "decay") or not mode.startswith(("second", "exact"))
]


@pytest.mark.parametrize(("mode", "motion"), COMBINATIONS)
def test_the_sde_has_the_moments_that_its_own_drift_and_noise_give(mode, motion):
    """dm = Mm + c, dP = MP + PMᵀ + Q, with M, c and Q read off f and g."""
    dynamics, times = optimizer(mode, motion), np.array([0.05, 0.5, 2.0])
    f = dynamics.f(0.0, states(dynamics)).numpy()
    constant, drift = f[0], (f[1:] - f[0]).T
    noise = dynamics.covariance(0.0, states(dynamics)[:1])[0].numpy()
    n = dynamics.state_dim

    def slope(_, y):
        mean, p = y[:n], y[n:].reshape(n, n)
        return np.concatenate([drift @ mean + constant, (drift @ p + p @ drift.T + noise).ravel()])

    mean, covariance = start_moments(dynamics, of_algorithm=False)
    start = np.concatenate([mean, covariance.ravel()])
    solved = solve_ivp(slope, (0, 2), start, t_eval=times, rtol=1e-10, atol=1e-14, method="DOP853").y.T
    expected = [along(y[:n], y[n:].reshape(n, n)) for y in solved]
    np.testing.assert_allclose(linear_arm(dynamics, AT).of_sde(times, MEAN, VARIANCE), expected, rtol=1e-7)


def gradients(dynamics, z):
    """Those of a minibatch whose noise is z (channels,), without the whole loss's own noise."""
    scale, full = dynamics.minibatch_variance**0.5, dynamics.surface.gradient
    first, second = z.chunk(2) if dynamics.ascent == "independent" else (z, z)

    def noisy(part):
        return lambda w: full(w) - scale * NOISE.product(w, part.expand(len(w), -1))

    return [Minibatch(noisy(first), noisy(second), full)]


@pytest.mark.parametrize(
    ("mode", "motion", "options"),
    [(*each, {}) for each in COMBINATIONS] + [("same", motion, {"nesterov": True}) for motion in ("heavy",)],
)
def test_the_algorithm_has_the_moments_that_its_own_steps_give(mode, motion, options):
    """m ← Am + c, P ← APAᵀ + NNᵀ in a plain loop, with A, c and N read off `step`; drifts are models of other SDEs."""
    dynamics = optimizer(mode, motion, **options)
    n = 4 if dynamics.momentum else 2
    basis = torch.cat([torch.zeros(1, n), torch.eye(n)]).double()
    channels = 4 if dynamics.ascent == "independent" else 2
    stepped = dynamics.step(0.0, basis, gradients(dynamics, torch.zeros(channels).double())).numpy()
    constant, step = stepped[0], (stepped[1:] - stepped[0]).T
    noise = [
        dynamics.step(0.0, basis[:1], gradients(dynamics, z))[0].numpy() - constant
        for z in torch.eye(channels).double()
    ]
    counts, expected = np.array([1, 2, 10, 40]), []
    mean, covariance = start_moments(dynamics, of_algorithm=True)
    for k in range(1, 41):
        mean, covariance = step @ mean + constant, step @ covariance @ step.T + np.stack(noise, 1) @ np.stack(noise)
        if k in counts:
            expected.append(along(mean, covariance))
    np.testing.assert_allclose(linear_arm(dynamics, AT).of_algorithm(counts, MEAN, VARIANCE), expected, rtol=1e-8)


@pytest.mark.parametrize("eigenvalues", [[-1.0, 0.9], [0.0, 0.5]])
def test_the_exact_sde_is_where_the_algorithm_is(eigenvalues):
    """At ηλ up to 0.9, and along flat directions."""
    surface = quadratic(eigenvalues)
    usam = ss.USAM(surface, ss.IsotropicNoise(1.0), lr=1.0, rho=0.1, sde="exact")
    usam = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=1.0, sde="exact") if eigenvalues[1] == 0.9 else usam
    counts, one = np.array([1, 3, 10]), linear_arm(usam, expand(surface, [0.0, 0.0]))
    moved = one.of_sde(1.0 * counts, MEAN, VARIANCE)
    np.testing.assert_allclose(moved, one.of_algorithm(counts, MEAN, VARIANCE), rtol=1e-10)


def test_samples_without_replacement_have_less_noise():
    """(n-B)/(n-1) of Σ/B, at a critical point of a regression."""
    surface = ss.surfaces.teacher_student(dim=2, n=12, label_noise=1.0)
    at = expand(surface, torch.linalg.lstsq(*regression(surface)).solution.tolist())
    fewer, all_of_them = (
        linear_arm(ss.SGD(surface, ss.EmpiricalNoise(surface, sampling), lr=0.1, batch_size=4), at).variance
        for sampling in ("epochs", "with_replacement")
    )
    np.testing.assert_allclose(fewer, 8 / 11 * all_of_them)


def regression(surface):
    """H and the right side of H w = b."""
    zero = torch.zeros(1, 2).double()
    return surface.hessian(zero)[0], -surface.gradient(zero)[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.SAM(SURFACE, NOISE, lr=0.1, rho=0.1), "length ρ = 0.1 however small"),
        (lambda: ss.PerturbedSGD(SURFACE, NOISE, lr=0.1, perturbation=lambda g: g), "of one's own"),
        (lambda: ss.SGD(SURFACE, NOISE, lr=0.1, lr_schedule=ss.CosineSchedule(1.0)), "changes with time"),
        (lambda: ss.USAM(SURFACE, NOISE, lr=0.1, rho=0.1, rho_schedule=ss.CosineSchedule(1.0)), "changes with time"),
        (
            lambda: ss.Switch(ss.SGD(SURFACE, NOISE, lr=0.1), ss.SAM(SURFACE, NOISE, lr=0.1, rho=0.1), at=1.0),
            "one optimizer first and another",
        ),
    ],
)
def test_what_is_not_linear_is_refused(make, message):
    with pytest.raises(ss.ArgumentError, match=f"not linear near the critical point.*{message}"):
        linear_arm(make(), AT)
