"""Extreme eigenvalues and tr(|H| Σ), exact for few coordinates and from products for many."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import FiniteSum, quadratic, styblinski_tang
from sam_sde.theory.curvature import curvature


def states(n_paths, dim, seed=0):
    return torch.randn(n_paths, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def explicit(surface, noise, w, shift=0.0):
    """Smallest, largest, and tr(|H| Σ) of each state, one by one with numpy."""
    rows = []
    for hessian, covariance in zip(surface.hessian(w).numpy(), noise.covariance(w).numpy(), strict=True):
        values, vectors = np.linalg.eigh(hessian + shift * np.eye(len(hessian)))
        rows.append((values[0], values[-1], np.trace(vectors @ np.diag(np.abs(values)) @ vectors.T @ covariance)))
    return np.transpose(rows)


def covariance(dim):
    root = states(dim, dim, seed=5)
    return ss.ConstantNoise(root @ root.mT)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_with_few_coordinates_all_is_exact(dim, shift):
    surface, w = ss.LossSurface(lambda w: (w**3).sum() + w.prod() - w.square().sum().cos(), dim), states(6, dim)
    for noise in (covariance(dim), ss.IsotropicNoise(0.7), ss.HessianNoise(surface)):
        found = curvature(surface, noise, w, shift)
        np.testing.assert_allclose(np.stack(found), explicit(surface, noise, w, shift), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_with_many_coordinates_lanczos_finds_the_eigenvalues_of_the_dense_matrix(shift):
    surface, w = styblinski_tang(200), 1.5 * states(4, 200)
    found = curvature(surface, ss.IsotropicNoise(1.0), w, shift)
    smallest, largest, _ = explicit(surface, ss.IsotropicNoise(1.0), w, shift)
    np.testing.assert_allclose(found.smallest, smallest, atol=1e-4)
    np.testing.assert_allclose(found.largest, largest, atol=1e-4)


def test_with_many_coordinates_the_trace_is_near_the_exact_one():
    """The mean over 8 normal vectors has the variance 2 tr(A²)/8, with A = Lᵀ|H|L."""
    dim = 150
    surface, noise, w = styblinski_tang(dim), covariance(dim), states(4, dim)
    root = noise.factor(w[:1])[0]
    found = curvature(surface, noise, w).noise_trace.numpy()
    for trace, expected, hessian in zip(found, explicit(surface, noise, w)[2], surface.hessian(w), strict=True):
        a = root.mT @ hessian.abs() @ root  # the Hessian is diagonal
        assert abs(trace - expected) < 4 * (2 * a.square().sum().item() / 8) ** 0.5
        assert trace == pytest.approx(expected, rel=0.2)


def test_with_the_noise_of_data_no_matrix_is_needed():
    """The squared error of 40 samples in 110 weights; the trace as above."""
    x, y = states(40, 110), states(40, 1, seed=1)[:, 0]
    surface = FiniteSum(lambda w, sample: (torch.tanh(sample[0] @ w) - sample[1]).square(), (x, y), 110)
    noise, w = ss.EmpiricalNoise(surface), 0.1 * states(3, 110, seed=2)
    found, expected = curvature(surface, noise, w), explicit(surface, noise, w)
    np.testing.assert_allclose(found.smallest, expected[0], atol=1e-4 * np.abs(expected[1]).max())
    np.testing.assert_allclose(found.largest, expected[1], rtol=1e-4)
    for trace, exact, hessian, factor in zip(
        found.noise_trace, expected[2], surface.hessian(w), noise.factor(w), strict=True
    ):
        values, vectors = torch.linalg.eigh(hessian)
        a = (vectors.mT @ factor).mT @ (values.abs()[:, None] * (vectors.mT @ factor))
        assert abs(trace - exact) < 4 * (2 * a.square().sum() / 8) ** 0.5


def test_without_noise_the_trace_is_zero():
    for dim in (3, 130):
        surface = quadratic([1.0, -2.0] * (dim // 2) + [3.0] * (dim % 2))
        found = curvature(surface, ss.NoNoise(), states(2, dim))
        assert found.noise_trace.tolist() == [0, 0]
        np.testing.assert_allclose(found.norm, max(2.0, 3.0 * (dim % 2)), atol=1e-4)


@pytest.mark.parametrize("dim", [2, 120])
def test_where_the_hessian_is_not_finite_there_is_no_curvature(dim):
    surface, w = ss.LossSurface(lambda w: (w**4).sum(), dim), states(3, dim)
    w[1, 0] = 1e200
    found = torch.stack(curvature(surface, ss.IsotropicNoise(1.0), w))
    assert found.isfinite().all(0).tolist() == [True, False, True]
