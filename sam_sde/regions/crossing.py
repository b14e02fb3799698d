"""The rules of crossing inside a step, for a level φ that was φ₀ < 0 at the start of a step and is φ₁ at its end.

Between the ends the level is a Brownian bridge of variance rate v = |gᵀ∇φ|², g the diffusion at the start of the step.
All functions are elementwise; `variance` is v·dt.
"""

from __future__ import annotations

import torch

CROSSINGS = ("bridge", "shift", "none")

# Uniforms are at least 2^-33, so a bridge with an exponent beyond -33 log 2 = -22.87 never crosses.
NEGLIGIBLE_EXPONENT = 23.0

# -ζ(1/2)/√(2π) (Broadie, Glasserman and Kou 1997; Gobet and Menozzi 2010).
SHIFT = 0.5825971579390107


def bridge_probability(level0: torch.Tensor, level1: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Probability that the bridge touches 0: exp(-2φ₀φ₁/(v·dt)) if it ends inside, 1 if it ends outside."""
    inside = torch.exp(-2.0 * level0 * level1 / variance)
    return torch.where(level1 >= 0, 1.0, inside)


def bridge_reach(variance: torch.Tensor | float) -> torch.Tensor | float:
    """A distance: where both |φ₀| and |φ₁| exceed it, `bridge_probability` is below every uniform.

    `variance` is the largest that v·dt can be.
    """
    return (0.5 * NEGLIGIBLE_EXPONENT * variance) ** 0.5


def crossing_fraction(
    level0: torch.Tensor,
    level1: torch.Tensor,
    variance: torch.Tensor,
    normal: torch.Tensor,
    uniform: torch.Tensor,
) -> torch.Tensor:
    """Time of the first crossing as a fraction of the step, given that the bridge crosses.

    It is s/(1+s) with s inverse Gaussian of mean |φ₀|/|φ₁| and shape φ₀²/(v·dt): in the clock s = τ/(dt-τ) a bridge to
    φ₁ is a Brownian motion with drift, and by reflection the end -φ₁ gives the same first crossing as φ₁. `normal` and
    `uniform` drive the sampling of Michael, Schucany and Haas (The American Statistician, 1976), in the form that
    loses no digits. Without noise it is the linear interpolation φ₀/(φ₀-φ₁).
    """
    mean = level0.abs() / level1.abs().clamp(min=1e-12 * level0.abs())
    shape = level0.square() / variance
    k = mean * normal.square() / (2.0 * shape)
    smaller = mean / (1.0 + k + torch.sqrt(k * k + 2.0 * k))
    s = torch.where(uniform * (mean + smaller) <= mean, smaller, mean * (mean / smaller))
    return s / (1.0 + s)


def shift_distance(variance: torch.Tensor | float) -> torch.Tensor | float:
    """How far inside the boundary a walk seen only at the steps is stopped: 0.5826 √(v·dt)."""
    return SHIFT * variance**0.5
