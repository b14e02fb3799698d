"""The published formulas of the mean-squared displacement from a critical point, and where each of them holds.

Along an eigenvector with eigenvalue λ, for noise of the variance s of one sample (|λ| in the papers), ascent ρ (0 for
SGD), momentum γ, t = lr · steps = ηk and θ = λ(1+ρλ)²/(1-γ):

    Theorem 2 of Kim et al. (arXiv 2301.06308), with ρ = 0 that of Xie et al. (arXiv 2006.15815) for SGD
        (η s/B) (1-e^{-2θt})/(2θ)
    Theorem 3, with ρ = 0 that of Xie et al. for momentum
        η² s/(2(1-γ)³B) (1-e^{-(1-γ)t/η})² + (η s/((1-γ)²B)) (1-e^{-2θt})/(2θ)
    Corollary 1, of the difference SGD minus SAM
        2ηt² λ² s ρ/B

Where they are off, and by which share:

- θ has the drift of the total gradient of ℓ(w + ρ∇ℓ). The algorithm descends along λ(1+ρλ), which changes its sign at
  ρ = -1/λ where θ does not: the share is that of the two growths, about ρλ²t at first. The gap of the algorithm is half
  of Corollary 1's.
- s is the noise of a full-batch ascent. One minibatch for both gradients makes it (1+ρλ)² s, from the first step on,
  and two independent ones (1+(ρλ)²) s.
- Theorem 3 adds what a velocity in equilibrium does to an overdamped path, and leaves out that it takes the time
  τ = η/(1-γ) to follow: at t = k·η it is too large by 3τ/(2t), from a velocity of 0 by 2τ/t, and eight times too large
  at k = 3 for γ = 0.9. Beyond, the rate θ itself is off by the share η|λ|/(1-γ)².
- They begin at the critical point, and know nothing of weight decay, Nesterov's momentum and the length of a step: the
  algorithm is off by η|λ|, and in the exponent by as much again.
"""

from dataclasses import dataclass

import numpy as np

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Count, NonNegative, Positive
from sam_sde.theory.displacement.linear_arm import LinearArm

TOLERANCE = 0.05  # of the displacement, up to which a formula counts as valid


def theorem_2(eigenvalue: float, *, lr: Positive, batch_size: Count, t: Positive, rho: NonNegative = 0.0) -> float:
    """Mean-squared displacement of USAM, of SGD with ρ = 0, at t = lr · steps: Theorem 2 of Kim et al.

    η|λ|/(2Bλ(1+ρλ)²) (1-e^{-2λ(1+ρλ)²t}), from the critical point with noise |λ|. It is exact for the SDE of SGD, and
    for USAM with drift "total" and a full-batch ascent. See the module for what it is off by elsewhere.

    Raises
        ValueError: a value is out of its range.
    """
    return _checked(plain_formula, eigenvalue, lr, batch_size, 0.0, rho, t)


def heavy_ball_displacement(
    eigenvalue: float,
    *,
    lr: Positive,
    batch_size: Count,
    momentum: float,
    t: Positive,
    rho: NonNegative = 0.0,
) -> float:
    """Mean-squared displacement along an eigenvector of the Hessian with eigenvalue λ, at t = lr · steps.

    Theorem 3 of Kim et al. (arXiv 2301.06308), from the critical point, with noise |λ| and, for ρ > 0, the drift of the
    total gradient of ℓ(w + ρ∇ℓ):

        η²|λ|/2 (1 - e^{-(1-γ)t/η})²/((1-γ)³B) + η|λ|/(2λ(1+ρλ)²) (1 - e^{-2λ(1+ρλ)²t/(1-γ)})/((1-γ)B)

    The paper prints η/t in the first exponent, where only t/η is consistent. The first term is that of an initial
    velocity in equilibrium, the second that of the overdamped limit. The sum holds for (1-γ)² ≫ η|λ| and beyond
    t/η ≈ 1/(1-γ) steps; before, it is several times too large.

    Raises
        ValueError: momentum is not in [0, 1), or another value is out of its range.
    """
    return _checked(heavy_formula, eigenvalue, lr, batch_size, momentum, rho, t)


def corollary_1(eigenvalue: float, *, lr: Positive, batch_size: Count, t: Positive, rho: NonNegative) -> float:
    """By how much SGD is displaced more than SAM at t = lr · steps: 2ηt²|λ|³ρ/B, Corollary 1 of Kim et al.

    For |λ|t ≪ 1 and ρ|λ| ≪ 1, of the drift of Theorem 2. That of the algorithm with a full-batch ascent is half as
    much; with the same batch for both gradients the gap is -2ηtρλ|λ|/B, of the first order in t.

    Raises
        ValueError: a value is out of its range.
    """
    eigenvalue, rho = checks.real("eigenvalue", eigenvalue), checks.non_negative("rho", rho)
    lr, t = checks.positive("lr", lr), checks.positive("t", t)
    return 2.0 * lr * t**2 * abs(eigenvalue) ** 3 * rho / checks.whole("batch_size", batch_size, low=1)


def _checked(formula, eigenvalue, lr, batch_size, momentum, rho, t) -> float:
    eigenvalue, rho = checks.real("eigenvalue", eigenvalue), checks.non_negative("rho", rho)
    lr, t = checks.positive("lr", lr), checks.positive("t", t)
    batch_size = checks.whole("batch_size", batch_size, low=1)
    if not 0.0 <= checks.real("momentum", momentum) < 1.0:
        raise ArgumentError("momentum", f"expected a number from 0 to below 1, got {checks.shown(momentum)}")
    curvature = np.array(eigenvalue * (1.0 + rho * eigenvalue) ** 2)
    return float(formula(np.array(t), curvature, np.array(abs(eigenvalue) / batch_size), lr, momentum))


def plain_formula(times, curvature, variance, lr, momentum=0.0) -> np.ndarray:
    """Theorem 2 at `times`, for λ(1+ρλ)² = curvature and s/B = variance; arrays that go together."""
    return lr * variance / (1.0 - momentum) ** 2 * growth(curvature / (1.0 - momentum), times)


def heavy_formula(times, curvature, variance, lr, momentum) -> np.ndarray:
    """Theorem 3 of the same."""
    damping = 1.0 - momentum
    ballistic = 0.5 * lr**2 * variance * np.expm1(-damping * times / lr) ** 2 / damping**3
    return ballistic + plain_formula(times, curvature, variance, lr, momentum)


def growth(rate, times) -> np.ndarray:
    """∫₀ᵗ e^{-2θs} ds for θ = rate."""
    exponent = 2.0 * rate * times
    with np.errstate(over="ignore"):
        return times * np.where(exponent == 0, 1.0, -np.expm1(-exponent) / np.where(exponent == 0, 1.0, exponent))


@dataclass(frozen=True, eq=False)
class Formula:
    """What is published for an optimizer: `name`, `values` (times, directions), and `error` (times, directions), a
    bound on how far it is off as a share of the displacement; see `TOLERANCE`.
    """

    name: str
    values: np.ndarray
    error: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        return self.error <= TOLERANCE


def formula_of(
    arm: LinearArm, times: np.ndarray, mean: np.ndarray, variance: float, *, of_algorithm: bool = False
) -> Formula | None:
    """The formula for an arm at `times` (times,) that starts with this mean (directions,) and variance of x.

    of_algorithm: whether it is held against the algorithm, otherwise against the SDE. None where there is no formula:
    with weight decay, and of Nesterov's momentum.
    """
    if arm.weight_decay or arm.nesterov:
        return None
    times, rho, damping = np.asarray(times, dtype=float)[:, None], arm.rho, 1.0 - arm.momentum
    curvature = arm.eigenvalues * (1.0 + rho * arm.eigenvalues) ** 2
    formula = heavy_formula if arm.momentum else plain_formula
    plain_variance = np.divide(arm.variance, arm.gain, where=arm.gain > 0, out=np.zeros_like(arm.gain))
    values = formula(times, curvature, plain_variance, arm.lr, arm.momentum)
    own = arm.algorithm_curvature if of_algorithm else arm.curvature
    with np.errstate(all="ignore"):
        error = np.abs(1.0 / arm.gain - 1.0) + np.abs(
            growth(curvature / damping, times) / growth(own / damping, times) - 1.0
        )
        error = error + _of_start(own / damping, times, mean, variance) / values
        error = error + _of_motion(arm, own, times, of_algorithm)
    name = ("Theorem 3" if arm.momentum else "Theorem 2") + " of Kim et al."
    if not rho:
        name = f"Xie et al. for {'momentum' if arm.momentum else 'SGD'}"
    return Formula(name, values, np.where(np.isnan(error), np.inf, error))


def _of_start(rate, times, mean, variance) -> np.ndarray:
    """What the start adds to the displacement, 0 where it is the critical point."""
    begun = mean**2 + variance
    return np.where(begun > 0, begun * np.exp(-2.0 * rate * times), 0.0)


def _of_motion(arm: LinearArm, own, times, of_algorithm: bool) -> np.ndarray:
    """The shares that velocity and length of a step make; of steps with momentum those of the velocity, twice."""
    damping = 1.0 - arm.momentum
    rate, relaxation = own / damping, arm.lr / damping
    exponent = np.where(rate < 0, 2.0 * np.abs(rate) * times, 0.0)
    step = arm.lr * np.abs(own)
    if not arm.momentum:
        return (step if of_algorithm else 0.0) * (1.0 + exponent)
    late = relaxation / np.minimum(times, growth(rate, times))
    if not (of_algorithm or arm.velocity):
        return 0.5 * late + 0.0 * exponent
    shares = 2.0 * late + step / damping**2 * (4.0 + exponent)
    return (2.0 if of_algorithm else 1.0) * shares
