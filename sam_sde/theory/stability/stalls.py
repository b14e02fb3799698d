"""Where the variants of SAM stand still although the gradient does not vanish: ∇ℓ(w^p) = 0 with ∇ℓ(w) ≠ 0."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics, GradientDynamics
from sam_sde.theory.stability.arms import Stability, descended, linearized, noiseless, require_arm
from sam_sde.theory.stability.linear import is_flat
from sam_sde.theory.stability.points import SAME_LOSS, STARTS, Critical
from sam_sde.theory.stability.roots import as_bounds, find_zeros

# Of ‖J‖·(1+‖w‖): a smaller gradient is none.
VANISHING = 1e-7
AXES = 4


@dataclass(frozen=True, eq=False)
class Stall:
    """A point (dim,) where ∇ℓ(w^p) vanishes and ∇ℓ(w) does not.

    loss, gradient_norm: ℓ and ‖∇ℓ‖ there; perturbed (dim,): w^p, a critical point, and perturbed_loss: ℓ there;
    stability: how the optimizer moves near the stall.
    """

    location: np.ndarray
    loss: float
    gradient_norm: float
    perturbed: np.ndarray
    perturbed_loss: float
    stability: Stability


def stalls(
    dynamics: Dynamics,
    points: Sequence[Critical],
    bounds: Sequence[Sequence[float]],
    *,
    starts: int = STARTS,
) -> list[Stall]:
    """The stalls of an optimizer that are found in a box; none for one that takes its gradient at w itself.

    points: the critical points that are known: beside each, at the distance ρ along its Hessian's steepest
    eigenvectors, the search starts as well. bounds: the corners [low, high] (dim,); starts: how many more, spread
    evenly. Of those along a valley, with a flat direction, one stands for each ℓ(w^p).

    Raises
        ValueError: what `stability` and `critical_points` refuse.
    """
    dynamics = require_arm(dynamics)
    box = as_bounds(bounds, dynamics.dim)
    if not getattr(dynamics, "rho", 1.0) or not hasattr(dynamics, "perturbation"):
        return []
    begin = box.starts(checks.whole("starts", starts, low=1))
    if hasattr(dynamics, "rho"):
        begin = np.concatenate([begin, *(_around(point, dynamics.rho) for point in points)])
    found = [stall for zero in find_zeros(descended(dynamics), box, begin) if (stall := _at(dynamics, zero))]
    different = []
    for stall in sorted(found, key=lambda stall: stall.loss):
        if not any(_in_one_valley(stall, other) for other in different):
            different.append(stall)
    return different


def _around(point: Critical, rho: float) -> np.ndarray:
    """At the distance ρ, to both sides along the steepest axes down and up."""
    axes = np.unique(np.r_[:AXES, -AXES:0] % len(point.eigenvalues)) if len(point.eigenvalues) > AXES else slice(None)
    return np.concatenate([point.location + sign * rho * point.eigenvectors.T[axes] for sign in (-1, 1)])


def _at(dynamics: GradientDynamics, zero: np.ndarray) -> Stall | None:
    """The stall; None where it is a critical point, or has no derivative."""
    w = torch.from_numpy(zero)[None]
    surface = dynamics.surface
    gradient = surface.gradient(w).norm().item()
    slope = surface.hessian(w).norm().item()
    if gradient <= VANISHING * slope * (1.0 + np.linalg.norm(zero)):
        return None
    with torch.no_grad():
        perturbed = noiseless(dynamics).perturbed(0.0, w)
        losses = surface.value(torch.cat([w, perturbed]))
    return Stall(zero, losses[0].item(), gradient, perturbed[0].numpy(), losses[1].item(), linearized(dynamics, zero))


def _in_one_valley(stall: Stall, other: Stall) -> bool:
    flat = is_flat(stall.stability.curvatures).any() and is_flat(other.stability.curvatures).any()
    return bool(
        flat and abs(stall.perturbed_loss - other.perturbed_loss) <= SAME_LOSS * (1.0 + abs(other.perturbed_loss))
    )
