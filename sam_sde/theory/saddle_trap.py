"""How strongly normalized SAM is held at a saddle, and whether a step resolves it."""

import torch

from sam_sde.dynamics import SAM, ConstantSchedule, times
from sam_sde.theory.curvature import spectrum_at


def trap_exponent(sam: SAM, at: torch.Tensor) -> float | None:
    """The exponent of the mean escape time from the trap of normalized SAM at a saddle: log τ ≈ ρ²|λ|B/(ησ²).

    Along an unstable direction (λ < 0) the drift of SAM with full ascent is that of a well of radius ρ and depth
    |λ|ρ²/2, against noise of variance rate ησ²/B, σ² the variance of one sample's gradient along it. With several
    unstable directions the smallest exponent counts. `at` (dim,) is a state in the trap: a direction is held where
    ‖∇ℓ‖ < ρ|λ|.

    Returns None where the formula does not apply: another optimizer or ascent, momentum, weight decay, a schedule, no
    direction that is held, no noise, no finite Hessian.
    """
    spectrum = _spectrum(sam, at)
    if spectrum is None or sam.ascent != "full" or sam.weight_decay:
        return None
    w, values, vectors = spectrum
    gradient = sam.surface.gradient(w).norm()
    unstable = values < 0
    if not unstable.any() or gradient >= sam.rho * values[unstable].abs().max():
        return None
    directions = vectors[:, unstable].mT
    variance = _variance_along(sam, w, directions)
    if not (variance > 0).all():
        return None
    exponents = sam.rho**2 * values[unstable].abs() / variance
    return exponents.min().item()


def perturbation_over_noise(sam: SAM, at: torch.Tensor, dt: float) -> float | None:
    """ρ‖H‖·dt/√(v·dt): a step's drift due to SAM's perturbation over its noise, along the steepest direction at `at`.

    Above 1 a step jumps over the kink that the perturbation makes in the drift at the saddle, and the path alternates
    between its sides instead of following the SDE. None without noise, with momentum or a schedule, or for another
    optimizer.
    """
    spectrum = _spectrum(sam, at)
    if spectrum is None:
        return None
    w, values, vectors = spectrum
    steepest = int(values.abs().argmax())
    (variance,) = _variance_along(sam, w, vectors[:, steepest][None])
    if not variance > 0:
        return None
    return (sam.rho * values[steepest].abs() * dt / (variance * dt).sqrt()).item()


def _variance_along(sam: SAM, w: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """dᵀ g gᵀ d of each direction (directions, dim) at the state w (1, dim)."""
    (covariance,) = sam.covariance(times(0.0, w), w)
    return (directions @ covariance * directions).sum(-1)


def _spectrum(sam: SAM, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """The state (1, dim) with eigenvalues and eigenvectors of the Hessian there; None where they are not to be had."""
    if not isinstance(sam, SAM) or not _is_plain(sam):
        return None
    spectrum = spectrum_at(sam.surface, at)
    return None if spectrum is None else (at.double()[None], *spectrum)


def _is_plain(sam: SAM) -> bool:
    """Whether SAM is without momentum, at a learning rate and a radius that stay."""
    schedules = (sam.lr_schedule, sam.rho_schedule)
    return sam.momentum == 0 and all(isinstance(s, ConstantSchedule) and s.factor == 1 for s in schedules)
