"""Displacement from a saddle on a quadratic: dt = lr makes a step of Euler the optimizer's own recursion."""

import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import Integration, integrate
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Stream
from sam_sde.surfaces import quadratic

EIGENVALUES = np.array([-2.0, 1.5])
ANGLE = 30.0  # degrees, between the eigenvectors and the axes
LR, BATCH, RHO, STEPS = 0.05, 8, 0.3, 40

# Each mode of USAM: options, and its recursion w ← (1 - η λ rate) w + η c N, N of variance |λ|/B.
MODES = {
    "sgd": (None, lambda curve: 1.0, lambda curve: 1.0),
    "full": ({}, lambda curve: 1 + curve, lambda curve: 1.0),
    "same": ({"ascent": "same"}, lambda curve: 1 + curve, lambda curve: 1 + curve),
    "independent": (
        {"ascent": "independent"},
        lambda curve: 1 + curve,
        lambda curve: np.sqrt(1 + curve**2),
    ),
    "total": ({"drift": "total"}, lambda curve: (1 + curve) ** 2, lambda curve: 1.0),
    "expansion": ({"drift": "expansion"}, lambda curve: 1 + curve, lambda curve: 1.0),
}
SURFACE = quadratic(EIGENVALUES.tolist(), rotation=ANGLE)
NOISES = {
    "frozen": ss.FrozenHessianNoise(SURFACE, at=[0.0, 0.0]),
    "following": ss.HessianNoise(SURFACE),
}


def dynamics_of(mode, noise):
    options = MODES[mode][0]
    if options is None:
        return ss.SGD(SURFACE, noise, lr=LR, batch_size=BATCH)
    return ss.USAM(SURFACE, noise, lr=LR, batch_size=BATCH, rho=RHO, **options)


def displacements(dynamics, *, start, n_paths, n_steps=STEPS, seed=0, dtype=torch.float32):
    """States (paths, dim) along the eigenvectors after `n_steps` steps of the optimizer from one point."""
    integration = Integration(dynamics=dynamics, stream=Stream(seed), dt=LR)
    w = torch.tensor(start, dtype=dtype).expand(n_paths, -1)
    end = integrate(advance, integration, w, torch.arange(n_paths), 0, n_steps)
    c, s = math.cos(math.radians(ANGLE)), math.sin(math.radians(ANGLE))
    eigenvectors = np.array([[c, -s], [s, c]])
    return end.double().numpy() @ eigenvectors


def exact_variance(mode, n_steps=STEPS):
    """η²c²(|λ|/B)(1-a^{2k})/(1-a²) along each eigenvector, with a = 1-ηλ·rate."""
    _, rate, gain = MODES[mode]
    a = 1 - LR * EIGENVALUES * rate(RHO * EIGENVALUES)
    noise = LR**2 * gain(RHO * EIGENVALUES) ** 2 * np.abs(EIGENVALUES) / BATCH
    return noise * (1 - a ** (2 * n_steps)) / (1 - a**2)


@pytest.mark.parametrize(("noise", "n_paths"), [("frozen", 40_000), ("following", 4_000)])
@pytest.mark.parametrize("mode", MODES)
def test_variance_of_the_displacement_is_that_of_the_recursion(mode, noise, n_paths):
    moved = displacements(dynamics_of(mode, NOISES[noise]), start=[0.0, 0.0], n_paths=n_paths)
    exact = exact_variance(mode)
    assert (np.abs(moved.var(0) / exact - 1) < 4 * math.sqrt(2 / n_paths)).all()
    assert (np.abs(moved.mean(0)) < 4 * np.sqrt(exact / n_paths)).all()
    assert abs((moved[:, 0] * moved[:, 1]).mean()) < 4 * math.sqrt(exact.prod() / n_paths)


def test_modes_differ_by_more_than_the_bounds():
    # Otherwise the test above would not tell them apart; "full" and "expansion" are equal on a quadratic.
    modes = [mode for mode in MODES if mode != "expansion"]
    for i, one in enumerate(modes):
        for other in modes[:i]:
            ratio = exact_variance(one) / exact_variance(other)
            assert np.abs(np.log(ratio)).max() > 8 * math.sqrt(2 / 40_000)


@pytest.mark.parametrize("mode", MODES)
def test_mean_displacement_is_that_of_the_recursion(mode):
    # Without noise, w_k = a^k w_0 along each eigenvector.
    start = np.array([0.3, 0.4])
    along = displacements(dynamics_of(mode, ss.NoNoise()), start=start.tolist(), n_paths=1, dtype=torch.float64)
    at_start = displacements(dynamics_of(mode, ss.NoNoise()), start=start.tolist(), n_paths=1, n_steps=1)
    rate = 1 - LR * EIGENVALUES * MODES[mode][1](RHO * EIGENVALUES)
    np.testing.assert_allclose(along[0], at_start[0] * rate ** (STEPS - 1), rtol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 100])
def test_variance_grows_with_the_number_of_steps_as_the_recursion_does(k):
    moved = displacements(dynamics_of("same", NOISES["frozen"]), start=[0.0, 0.0], n_paths=20_000, n_steps=k, seed=1)
    assert (np.abs(moved.var(0) / exact_variance("same", k) - 1) < 4 * math.sqrt(2 / 20_000)).all()
