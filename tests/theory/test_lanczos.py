"""Lanczos' method against whole decompositions."""

import pytest
import torch

from sam_sde.surfaces import styblinski_tang
from sam_sde.theory.lanczos import lanczos


def symmetric(n_paths, dim, seed=0):
    matrices = torch.randn(n_paths, dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return matrices + matrices.mT


def start(n_paths, dim, seed=1):
    return torch.randn(n_paths, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def times(matrices):
    return lambda v: torch.einsum("pij,pj->pi", matrices, v)


def diagonal_times(values):
    return lambda v: torch.tensor(values, dtype=v.dtype) * v


@pytest.mark.parametrize("dim", [1, 2, 7, 30])
def test_in_the_whole_space_the_ritz_values_are_the_eigenvalues(dim):
    matrices = symmetric(5, dim)
    ritz = lanczos(times(matrices), start(5, dim), dim)
    torch.testing.assert_close(ritz.values, torch.linalg.eigvalsh(matrices), rtol=0, atol=1e-10)


def test_the_shares_are_those_of_the_start_in_the_eigenvectors():
    matrices, u = symmetric(5, 12), start(5, 12)
    ritz = lanczos(times(matrices), u, 12)
    _, vectors = torch.linalg.eigh(matrices)
    expected = (vectors.mT @ u[..., None])[..., 0].square() / u.square().sum(-1, keepdim=True)
    torch.testing.assert_close(ritz.shares, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("power", [0, 1, 2, 6, 11])
def test_the_quadrature_is_exact_for_powers_up_to_twice_the_steps_minus_one(power):
    matrices, u = symmetric(3, 20), start(3, 20)
    ritz = lanczos(times(matrices), u, 6)
    expected = torch.einsum("pi,pij,pj->p", u, torch.linalg.matrix_power(matrices, power), u)
    found = u.square().sum(-1) * (ritz.shares * ritz.values**power).sum(-1)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_it_ends_where_both_extreme_values_are_known_for_every_path():
    values = [-10.0, *torch.linspace(0, 1, 500).tolist(), 20.0]
    ritz = lanczos(diagonal_times(values), start(4, 502), 502, tolerance=1e-6)
    assert ritz.values.shape[1] < 50
    torch.testing.assert_close(ritz.values[:, [0, -1]], torch.tensor([[-10.0, 20.0]] * 4, dtype=torch.float64))


def test_steps_after_the_space_is_exhausted_do_not_widen_the_range():
    values = torch.ones(3, 300, dtype=torch.float64)
    values[0, 150:] = 4.0  # two distinct eigenvalues: a space of two dimensions
    values[1] = torch.linspace(2, 3, 300)
    values[2] = -7.0
    ritz = lanczos(lambda v: values * v, start(3, 300), 60)
    expected = torch.tensor([[1.0, 4.0], [2.0, 3.0], [-7.0, -7.0]], dtype=torch.float64)
    torch.testing.assert_close(ritz.values[:, [0, -1]], expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(ritz.shares.sum(-1), torch.ones(3, dtype=torch.float64))


def test_a_start_of_zero_has_the_value_zero():
    ritz = lanczos(diagonal_times([1.0, 2.0, 3.0]), torch.zeros(2, 3, dtype=torch.float64), 3)
    assert (ritz.values == 0).all()


def test_a_product_that_is_not_finite_spoils_its_own_path_only():
    matrices = symmetric(3, 5)
    matrices[1, 2, 2] = torch.nan
    ritz = lanczos(times(matrices), start(3, 5), 5)
    assert ritz.values.isnan().all(-1).tolist() == [False, True, False]


def test_extreme_eigenvalues_of_a_surface_in_many_dimensions_from_products():
    """A diagonal Hessian 6x² - 16 with many eigenvalues close to the smallest."""
    surface = styblinski_tang(200)
    w = start(4, 200).clamp(-2, 2)
    ritz = lanczos(lambda v: surface.hessian_product(w, v), start(1, 200).expand(4, -1), 200, tolerance=1e-5)
    diagonal = 6 * w.square() - 16
    torch.testing.assert_close(ritz.values[:, 0], diagonal.amin(-1), rtol=0, atol=1e-4)
    torch.testing.assert_close(ritz.values[:, -1], diagonal.amax(-1), rtol=0, atol=1e-4)
