"""Normalized SAM at a critical point, where its direction has no derivative.

On a quadratic a step multiplies the gradient's part along the eigenvalue λ with 1 - ηλ - ηρλ²/‖∇ℓ‖, and the flow
shrinks it at the rate λ + ρλ²/‖∇ℓ‖: for λ < 0 where ‖∇ℓ‖ < ρ|λ|. So every critical point without flat directions
attracts the flow, and the algorithm comes to rest beside it, where it steps across.
"""

import numpy as np

from sam_sde.theory.stability.linear import Curvatures, is_flat, longest_step


def trapping_gradient(eigenvalues: Curvatures, rho: float) -> float:
    """ρ min |λ| over λ < 0: below this ‖∇ℓ‖ all directions shrink; infinite where none is negative.

    On the axis of an eigenvalue λ < 0 the gradient has that size at the distance ρ, the trapping radius.
    """
    negative = _negative(eigenvalues)
    return float(rho * np.abs(negative).min()) if len(negative) else np.inf


def resting_gradient(
    eigenvalues: Curvatures, *, rho: float, lr: float, momentum: float = 0.0, nesterov: bool = False
) -> float:
    """max ηρλ²/(2(1+γ)-ηλ): the ‖∇ℓ‖ below which a step overshoots along some direction.

    Without momentum and with the steepest eigenvalue λ > 0 the path rests there, in a cycle of two steps across the
    point at the distance ηρλ/(2-ηλ). Infinite where ηλ ≥ 2(1+γ). Of Nesterov's momentum 2(1+γ)/(1+2γ) for 2(1+γ).
    """
    values = np.asarray(eigenvalues, dtype=float)
    room = longest_step(momentum, nesterov) - lr * values
    return float(np.max(lr * rho * values**2 / room)) if (room > 0).all() else np.inf


def frozen_curvatures(eigenvalues: Curvatures, *, rho: float, gradient: float) -> np.ndarray:
    """λ + ρλ²/‖∇ℓ‖: what SAM descends along while the gradient has the norm `gradient`."""
    values = np.asarray(eigenvalues, dtype=float)
    return values + rho * values**2 / gradient if gradient else values


def trapping_lr(eigenvalues: Curvatures, *, momentum: float = 0.0, nesterov: bool = False) -> float:
    """A learning rate below which no step leads out of the trap, the same for every ρ > 0.

    Where an eigenvalue is negative it is (1-γ) min|λ_-|/max λ²: a step from beside the point makes ‖∇ℓ‖ = ηρλ², which
    has to stay below ρ min|λ_-|. With momentum that is what iteration of the map shows, sharp in one dimension but for
    Nesterov's. Where none is negative it is 2(1+γ)/max λ, of Nesterov's 2(1+γ)/((1+2γ) max λ), as for gradient descent.
    """
    values = np.asarray(eigenvalues, dtype=float)
    negative = _negative(values)
    if len(negative):
        return float((1.0 - momentum) * np.abs(negative).min() / np.max(values**2))
    return longest_step(momentum, nesterov) / float(values.max()) if (values > 0).any() else np.inf


def is_trapping(
    eigenvalues: Curvatures, *, rho: float, lr: float, momentum: float = 0.0, nesterov: bool = False
) -> bool | None:
    """Whether the algorithm stays once it is close.

    None where that is not known: with flat directions, and for a learning rate between `trapping_lr` and that at which
    no ‖∇ℓ‖ is left for which all directions shrink.
    """
    options = {"momentum": momentum, "nesterov": nesterov}
    if resting_gradient(eigenvalues, rho=rho, lr=lr, **options) >= trapping_gradient(eigenvalues, rho):
        return False
    if is_flat(eigenvalues).any():
        return None
    return True if lr < trapping_lr(eigenvalues, **options) else None


def _negative(eigenvalues: Curvatures) -> np.ndarray:
    values = np.asarray(eigenvalues, dtype=float)
    return values[(values < 0) & ~is_flat(values)]
