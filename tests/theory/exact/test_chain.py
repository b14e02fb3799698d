"""Chains that hardly leave, against exact fractions; their time to leave against the matrix exponential."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

from sam_sde.theory.exact.chain import Chain, eliminate
from sam_sde.theory.exact.survival import survival


def exact_solution(q: np.ndarray, leaving: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gauss's elimination by fractions."""
    n = len(q)
    rows = [[Fraction(0) - Fraction(x) for x in row] for row in q]
    for i in range(n):
        rows[i][i] = sum((Fraction(x) for x in q[i]), Fraction(0)) - Fraction(q[i, i]) + Fraction(leaving[i])
        rows[i].append(Fraction(b[i]))
    for k in range(n):
        for i in range(n):
            if i != k:
                part = rows[i][k] / rows[k][k]
                rows[i] = [x - part * y for x, y in zip(rows[i], rows[k], strict=True)]
    return np.array([float(rows[i][n] / rows[i][i]) for i in range(n)])


def rates(n: int, seed: int) -> np.ndarray:
    q = np.random.default_rng(seed).exponential(size=(n, n))
    np.fill_diagonal(q, 0.0)
    return q


@pytest.mark.parametrize("escape", [1.0, 1e-10, 1e-40, 1e-200])
def test_each_mean_time_has_all_its_digits(escape):
    """Two groups that hardly change places, one of them leaves at the rate `escape` only."""
    q = rates(12, 0)
    q[:6, 6:] *= escape * 1e-3
    q[6:, :6] *= 1e-18
    leaving = np.zeros((12, 2))
    leaving[2, 0], leaving[4, 1] = escape, 3 * escape
    chain = Chain(sparse.csr_array(q), leaving, [0])
    for b in (np.ones(12), leaving[:, 0]):
        np.testing.assert_allclose(chain.solve(b), exact_solution(q, leaving.sum(axis=1), b), rtol=1e-10)
    np.testing.assert_allclose(chain.solve(leaving).sum(axis=1), 1.0, rtol=1e-10)


def test_elimination_of_a_small_chain_without_subtractions():
    q, leaving = rates(7, 1), np.full(7, 1e-250)
    np.testing.assert_allclose(eliminate(q, leaving, np.ones(7)), exact_solution(q, leaving, np.ones(7)), rtol=1e-13)


def test_occupation_mode_and_survival_of_a_small_chain():
    """Against dense inverses, eigenvalues and the matrix exponential."""
    q, leaving = rates(10, 2), np.zeros((10, 1))
    leaving[[3, 7], 0] = 0.3, 0.1
    chain = Chain(sparse.csr_array(q), leaving, [5])
    a = chain.a.toarray()
    inverse, ones = np.linalg.inv(a), np.ones(10)
    mean = inverse @ ones
    np.testing.assert_allclose(chain.occupation(), inverse[5], rtol=1e-10)
    values, vectors = np.linalg.eig(a)
    rate, mode = chain.slowest(mean)
    assert rate == pytest.approx(values.real.min(), rel=1e-9)
    slowest = vectors[:, values.real.argmin()].real
    np.testing.assert_allclose(mode, slowest / slowest[np.abs(slowest).argmax()], rtol=1e-8)
    inside, times = survival(chain, 5, rate, mode), np.array([0.0, 0.01, 0.3, 2.0, 30.0, 100.0])
    np.testing.assert_allclose(inside(times), [(expm(-t * a) @ ones)[5] for t in times], atol=1e-5)
