"""The heavy ball near a critical point: how far its noise takes it, and whether a step of Euler resolves it."""

import math

import torch

from sam_sde import checks
from sam_sde.dynamics import GradientDynamics
from sam_sde.errors import ArgumentError
from sam_sde.theory.curvature import spectrum_at


def heavy_ball_displacement(
    eigenvalue: float, *, lr: float, batch_size: int, momentum: float, t: float, rho: float = 0.0
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
    eigenvalue, rho = checks.real("eigenvalue", eigenvalue), checks.non_negative("rho", rho)
    lr, t = checks.positive("lr", lr), checks.positive("t", t)
    batch_size = checks.whole("batch_size", batch_size, low=1)
    if not 0.0 <= checks.real("momentum", momentum) < 1.0:
        raise ArgumentError("momentum", f"expected a number from 0 to below 1, got {checks.shown(momentum)}")
    damping = 1.0 - momentum
    ballistic = 0.5 * lr**2 * abs(eigenvalue) * math.expm1(-damping * t / lr) ** 2 / damping**3
    exponent = 2.0 * eigenvalue * (1.0 + rho * eigenvalue) ** 2 * t / damping
    growth = -math.expm1(-exponent) / exponent if exponent else 1.0
    diffusive = lr * abs(eigenvalue) * t * growth / damping**2
    return (ballistic + diffusive) / batch_size


def lost_damping(dynamics: GradientDynamics, at: torch.Tensor, dt: float) -> float | None:
    """dt·‖H‖/(1-γ): the fraction by which a step of Euler changes the damping 1-γ of an underdamped heavy ball.

    Euler's step takes w along the old velocity, and the determinant of (w, v) becomes 1 - ((1-γ) - λ dt) dt/η. The
    scheme is unstable at a minimum where the fraction reaches 1, while the algorithm itself, which takes w along the
    new velocity, is not. `at` (dim,) is the point of the Hessian H.

    None for other dynamics, and where there is no finite Hessian.
    """
    if not isinstance(dynamics, GradientDynamics) or dynamics.state_dim == dynamics.dim:
        return None
    spectrum = spectrum_at(dynamics.surface, at)
    if spectrum is None:
        return None
    curvature = spectrum[0].abs().max().item() + dynamics.weight_decay
    return dt * curvature / (1.0 - dynamics.momentum)
