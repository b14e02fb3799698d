"""The rates that stand for drift and covariance."""

import numpy as np
import pytest

from sam_sde.theory.exact.rates import arm_rates, bernoulli, selling, weights_of


def test_a_covariance_is_a_sum_of_whole_vectors_with_weights_that_are_not_negative():
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(2000, 2, 2)) * np.array([1.0, 0.05])
    a = factors @ factors.mT
    e = selling(a)
    w = weights_of(e, a)
    np.testing.assert_array_equal(e, np.round(e))
    assert (w >= -1e-12 * np.trace(a, axis1=1, axis2=2)[:, None]).all()
    sums = np.einsum("nk,nki,nkj->nij", w, e, e)
    np.testing.assert_allclose(sums, a, atol=1e-9 * np.abs(a).max())


def test_a_diagonal_covariance_needs_its_own_axes_only():
    a = np.array([[[4.0, 0.0], [0.0, 1e-6]]])
    assert sorted(weights_of(selling(a), a)[0]) == pytest.approx([0.0, 1e-6, 4.0])


def test_bernoulli_function():
    z = np.array([-800.0, -3.0, -1e-12, 0.0, 1e-9, 2.0, 800.0])
    np.testing.assert_allclose(bernoulli(z), [800, 3 / (1 - np.exp(-3)), 1, 1, 1, 2 / np.expm1(2), 0], atol=1e-300)


@pytest.mark.parametrize("p", [0.0, 1e-7, 0.4, -3.0, 40.0])
@pytest.mark.parametrize("lengths", [(1.0, 1.0), (0.2, 1.0), (1.0, 1e-6)])
def test_rates_are_those_of_the_exact_exit_from_two_arms(p, lengths):
    """½ w (u'' + p u') = -1 with u = 0 at both ends, and the probability e^{-px} scale to come to the upper one."""
    w, (up, down) = 1.7, lengths
    rates = arm_rates(np.full(2, w), np.array(lengths), np.array([p * up, -p * down]))
    if p == 0:
        share, mean = down / (up + down), up * down / w
    else:
        share = np.expm1(p * down) / (np.expm1(p * down) - np.expm1(-p * up))
        mean = 2 / (w * p) * (share * up - (1 - share) * down)
    assert rates[0] / rates.sum() == pytest.approx(share, rel=1e-6)
    assert 1 / rates.sum() == pytest.approx(mean, rel=1e-2 if p == 1e-7 else 1e-6)


def test_both_arms_uphill_wait_long_and_leave_evenly():
    """A trap at the point: P = -9 on both arms; E τ of ½(u'' - 9 sign(x) u') = -1 on [-1, 1] is 2(e^9 - 1 - 9)/81."""
    rates = arm_rates(np.ones(2), np.ones(2), np.full(2, -9.0))
    assert rates[0] == rates[1]
    assert 1 / rates.sum() == pytest.approx(2 * (np.exp(9) - 10) / 81)
