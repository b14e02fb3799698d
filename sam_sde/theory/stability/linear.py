"""Which points attract an optimizer to first order: its flow and its algorithm, from the curvatures it descends along.

A curvature μ is an eigenvalue of the derivative of the direction that the optimizer descends: λ of the Hessian for
SGD, λ(1+ρλ) for USAM. They may be complex where that derivative is not symmetric.
"""

from collections.abc import Sequence

import numpy as np

from sam_sde import checks
from sam_sde.errors import ArgumentError

# A curvature this small beside the largest one is rounding, and its direction flat.
FLAT = 1e-7

Curvatures = Sequence[float] | np.ndarray


def usam_curvatures(eigenvalues: Curvatures, rho: float) -> np.ndarray:
    """λ(1+ρλ): along these USAM descends near a critical point whose Hessian has the eigenvalues λ."""
    eigenvalues = np.asarray(eigenvalues, dtype=float)
    return eigenvalues * (1.0 + rho * eigenvalues)


def flow_rates(curvatures: Curvatures, *, lr: float, momentum: float = 0.0, underdamped: bool = True) -> np.ndarray:
    """The growth rate of the flow along each curvature, in t = lr · steps: -μ, with momentum the slower root s of

    s² + (1-γ)/η s + μ/η = 0  (underdamped),    s = -μ/(1-γ)  (overdamped)
    """
    mu, damping = np.asarray(curvatures, dtype=complex), 1.0 - momentum
    if momentum == 0.0 or not underdamped:
        return -mu / damping
    return _larger_root(-damping / lr, mu / lr, np.real)


def multipliers(curvatures: Curvatures, *, lr: float, momentum: float = 0.0, nesterov: bool = False) -> np.ndarray:
    """What a step of the algorithm multiplies a displacement with: 1-ημ, with momentum the larger root z of

    z² - (1+γ-ημ) z + γ = 0  (heavy ball),    z² - (1+γ-ημ(1+γ)) z + γ(1-ημ) = 0  (Nesterov)
    """
    step = lr * np.asarray(curvatures, dtype=complex)
    if momentum == 0.0:
        return 1.0 - step
    if nesterov:
        return _larger_root((1.0 + momentum) * (1.0 - step), momentum * (1.0 - step), np.abs)
    return _larger_root(1.0 + momentum - step, np.full_like(step, momentum), np.abs)


def _larger_root(total: np.ndarray, product: np.ndarray, size: np.ufunc) -> np.ndarray:
    """Of the two numbers with this sum and product the one of the larger size."""
    root = np.sqrt(np.asarray(total, dtype=complex) ** 2 - 4.0 * product)
    first, second = (total + root) / 2.0, (total - root) / 2.0
    return np.where(size(first) >= size(second), first, second)


def attracts(growth: np.ndarray, curvatures: Curvatures) -> bool | None:
    """Whether no direction grows: `growth` is positive for one that does, negative for one that shrinks.

    None where nothing grows but a direction is flat, about which the first order says nothing.
    """
    flat = is_flat(curvatures)
    if (growth[~flat] >= 0).any():
        return False
    return None if flat.any() else True


def is_flat(curvatures: Curvatures) -> np.ndarray:
    """The directions whose curvature is zero up to rounding."""
    size = np.abs(np.asarray(curvatures))
    return size <= FLAT * size.max(initial=0.0)


def largest_lr(curvatures: Curvatures, *, momentum: float = 0.0, nesterov: bool = False) -> float:
    """The learning rate up to which the algorithm is attracted: 2(1+γ)/max μ; 0 where a direction repels it anyway.

    With Nesterov's momentum 2(1+γ)/((1+2γ) max μ). Infinite where all directions are flat, NaN where a curvature is
    complex and there is momentum.
    """
    mu = np.asarray(curvatures, dtype=complex)
    mu = mu[~is_flat(mu)]
    if not len(mu):
        return np.inf
    if (mu.real <= 0).any():
        return 0.0
    if momentum and np.abs(mu.imag).max() > FLAT * np.abs(mu).max():
        return np.nan
    return float(longest_step(momentum, nesterov) * (mu.real / np.abs(mu) ** 2).min())


def longest_step(momentum: float, nesterov: bool = False) -> float:
    """The ημ from which on a step overshoots by more than it corrects: 2(1+γ), of Nesterov's 2(1+γ)/(1+2γ)."""
    return 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum if nesterov else 1.0)


def rho_threshold(eigenvalues: Curvatures) -> float:
    """The ρ above which a critical point attracts USAM's flow, max 1/|λ| over λ < 0 (Kim et al., Theorem 1); 0 without.

    As λ(1+ρλ) turns positive for ρ > 1/|λ|, all negative eigenvalues have to. Flat directions are left out, and where
    no others are negative the threshold is not known, NaN.
    """
    eigenvalues = np.asarray(eigenvalues, dtype=float)
    negative = eigenvalues[(eigenvalues < 0) & ~is_flat(eigenvalues)]
    if len(negative):
        return float(1.0 / np.abs(negative).min())
    return np.nan if is_flat(eigenvalues).any() else 0.0


def admitted(eigenvalues: Curvatures, *, lr: float, rho: float, momentum: float = 0.0) -> np.ndarray:
    """Which eigenvalues a limit of USAM with heavy-ball momentum γ can have: 0 ≤ λ(1+ρλ) ≤ 2(1+γ)/η.

    Bolte et al. (arXiv 2510.09034). Both λ ≥ 0 and λ ≤ -1/ρ are, up to a bound each: so saddles are admitted. Where
    the inequalities are strict for all eigenvalues the point attracts.
    """
    mu = usam_curvatures(eigenvalues, checks.non_negative("rho", rho))
    lr = checks.positive("lr", lr)
    if not 0.0 <= checks.real("momentum", momentum) < 1.0:
        raise ArgumentError("momentum", f"expected a number from 0 to below 1, got {checks.shown(momentum)}")
    return (mu >= 0) & (mu <= 2.0 * (1.0 + momentum) / lr)
