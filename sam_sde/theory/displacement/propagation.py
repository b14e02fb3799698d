"""Linear equations with constant noise: what becomes of a state, and the covariance that the noise adds.

Matrices are (…, n, n), one for each of any number of equations, and the results (times, …, n, n).
"""

import numpy as np
from scipy.linalg import expm

SHORT = 0.5  # of ‖M‖t, up to which Van Loan's exponential holds no large and small numbers beside each other


def through_sde(drift: np.ndarray, noise: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """e^{Mt} and ∫₀ᵗ e^{Ms} Q e^{sMᵀ} ds of dy = M y dt + dN, Cov dN = Q dt, at `times` (times,).

    Both are those of a short time, by one exponential (Van Loan, IEEE Trans. Automat. Control 23, 1978), and doubled
    until they are those of t: e^{Mt} is squared, and the covariance C becomes C + e^{Mt} C e^{tMᵀ}. Nothing cancels in
    it, whether M shrinks, grows or turns, and Q may be singular.
    """
    times = np.asarray(times, dtype=float).reshape(-1, *[1] * drift.ndim)
    n = drift.shape[-1]
    length = np.linalg.norm(drift, axis=(-2, -1), keepdims=True) * times
    with np.errstate(divide="ignore"):
        doublings = np.ceil(np.log2(length / SHORT)).clip(min=0)
    short = times / 2.0**doublings
    block = np.zeros((*np.broadcast_shapes(short.shape, drift.shape)[:-2], 2 * n, 2 * n))
    block[..., :n, :n], block[..., :n, n:] = -drift * short, noise * short
    block[..., n:, n:] = drift.mT * short
    exponential = expm(block)
    power = exponential[..., n:, n:].mT
    covariance = power @ exponential[..., :n, n:]
    with np.errstate(over="ignore", invalid="ignore"):
        for doubling in range(int(doublings.max(initial=0))):
            more = doublings > doubling
            covariance = np.where(more, covariance + power @ covariance @ power.mT, covariance)
            power = np.where(more, power @ power, power)
    return power, covariance


def through_steps(step: np.ndarray, noise: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A^k and Σ_{i<k} A^i C (A^i)ᵀ of y ← A y + ξ, Cov ξ = C, after k = `counts` (times,) steps, by squaring."""
    left = np.asarray(counts, dtype=np.int64).reshape(-1, *[1] * step.ndim)
    shape = np.broadcast_shapes(left.shape, step.shape)
    power, covariance = np.broadcast_to(np.eye(step.shape[-1]), shape), np.zeros(shape)
    squared, added = step, noise
    with np.errstate(over="ignore", invalid="ignore"):
        while left.any():
            taken = left % 2 == 1
            covariance = np.where(taken, added + squared @ covariance @ squared.mT, covariance)
            power = np.where(taken, squared @ power, power)
            squared, added = squared @ squared, added + squared @ added @ squared.mT
            left = left // 2
    return power, covariance
