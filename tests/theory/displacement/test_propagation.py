"""Propagation of linear equations against integration of their moments, closed forms, and a plain loop."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sam_sde.theory.displacement.propagation import through_sde, through_steps

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_covariance_is_that_of_its_differential_equation(n):
    """dP = MP + PMᵀ + Q from P = 0, and e^{Mt} from the same with Q = 0."""
    drift, factor = GENERATOR.normal(size=(2, n, n))
    noise, times = factor @ factor.T, np.array([0.1, 1.0, 3.0])
    power, covariance = through_sde(drift, noise, times)

    def slope(_, y):
        matrix, p = y.reshape(2, n, n)
        return np.stack([drift @ matrix, drift @ p + p @ drift.T + noise]).ravel()

    start = np.stack([np.eye(n), np.zeros((n, n))]).ravel()
    solved = solve_ivp(slope, (0, 3), start, t_eval=times, rtol=1e-11, atol=1e-13, method="DOP853").y.T
    np.testing.assert_allclose(np.stack([power, covariance], 1), solved.reshape(3, 2, n, n), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rate", [-3.0, -1e-9, 0.0, 2.0, 1e6])
def test_in_one_dimension_it_is_the_closed_form_however_stiff(rate):
    times = np.array([1e-8, 0.01, 1.0, 30.0])
    power, covariance = through_sde(np.array([[-rate]]), np.array([[2.0]]), times)
    growth = -np.expm1(-2 * rate * times) / rate if rate else 2 * times
    np.testing.assert_allclose(power[:, 0, 0], np.exp(-rate * times), rtol=1e-8, atol=1e-300)
    np.testing.assert_allclose(covariance[:, 0, 0], growth, rtol=1e-8)


def test_several_equations_go_side_by_side():
    drift, noise = GENERATOR.normal(size=(2, 4, 2, 2))
    noise = noise @ noise.mT
    together = through_sde(drift, noise, np.array([0.5, 2.0]))
    for i in range(4):
        alone = through_sde(drift[i], noise[i], np.array([0.5, 2.0]))
        for all_of_them, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(all_of_them[:, i], one, rtol=1e-10)


def test_steps_are_those_of_a_plain_loop():
    step, factor = 0.8 * GENERATOR.normal(size=(2, 3, 3))
    counts = np.array([0, 1, 2, 7, 64, 101])
    power, covariance = through_steps(step, factor @ factor.T, counts)
    a, c = np.eye(3), np.zeros((3, 3))
    for k in range(102):
        if k in counts:
            i = int(np.flatnonzero(counts == k)[0])
            np.testing.assert_allclose(power[i], a, rtol=1e-9, atol=1e-12 * np.abs(a).max())
            np.testing.assert_allclose(covariance[i], c, rtol=1e-9, atol=1e-12 * np.abs(c).max())
        a, c = step @ a, step @ c @ step.T + factor @ factor.T
