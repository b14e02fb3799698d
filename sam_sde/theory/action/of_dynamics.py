"""The drift and covariance of an optimizer, as an action needs them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sam_sde.checks import shown
from sam_sde.dynamics import Dynamics, GradientDynamics, times
from sam_sde.errors import ArgumentError
from sam_sde.theory.action.field import Field, require_elliptic
from sam_sde.theory.autonomous import is_autonomous
from sam_sde.theory.stability.arms import is_normalized
from sam_sde.theory.stability.linear import is_flat
from sam_sde.theory.stability.roots import polished

MOST_DIMENSIONS = 100


def noise_strength(dynamics: Dynamics) -> float:
    """ε = η/B, by which the noise of an SDE exceeds that of one sample's gradient; η of dynamics without batches."""
    return dynamics.lr * getattr(dynamics, "minibatch_variance", 1.0)


def field_of(dynamics: Dynamics, start: np.ndarray) -> Field:
    """The drift f of an optimizer, and a = g gᵀ B/η, the covariance of one sample's gradient as the optimizer has it.

    Raises
        ArgumentError: it is none, has over 100 weights, a velocity, a schedule, or no noise in some direction.
    """
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError("dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {shown(dynamics)}")
    if dynamics.dim > MOST_DIMENSIONS:
        raise ArgumentError(
            "dynamics",
            f"expected at most {MOST_DIMENSIONS} weights, for whose paths there is time, got {dynamics.dim}; try "
            "rare_escape_times",
        )
    for part in dynamics.parts:
        part.check_sde()
    if dynamics.state_dim != dynamics.dim:
        raise ArgumentError(
            "momentum",
            "an underdamped path has noise in its velocity alone, so that not every path is possible and the action of "
            "a way has no such form; try momentum 0, or momentum_model 'overdamped'",
        )
    at = torch.from_numpy(start)[None]
    dynamics.check_start(at)
    if not is_autonomous(dynamics, at):
        raise ArgumentError(
            "dynamics",
            "the most likely way out is known where drift and noise do not change with time; leave out lr_schedule, "
            "rho_schedule and switches",
        )
    strength = noise_strength(dynamics)

    def drift(w: torch.Tensor) -> torch.Tensor:
        return dynamics.f(times(0.0, w), w)

    def covariance(w: torch.Tensor) -> torch.Tensor:
        if hasattr(dynamics, "g"):
            return dynamics.covariance(times(0.0, w), w) / strength
        # The products with all unit vectors at once, which costs hardly more than one.
        units = torch.eye(dynamics.dim, dtype=w.dtype)
        each, along = w.repeat_interleave(dynamics.dim, dim=0), units.repeat(len(w), 1)
        factor = dynamics.g_transpose_prod(times(0.0, each), each, along).view(len(w), dynamics.dim, -1)
        return factor @ factor.mT / strength

    require_elliptic(covariance(at), at)
    return Field(drift, covariance, dynamics.dim, additive=dynamics.noise_type == "additive")


def rest_of(dynamics: Dynamics) -> Callable[[np.ndarray], np.ndarray | None] | None:
    """Where the flow of normalized SAM comes to rest though its drift jumps: critical points of the loss.

    None for an optimizer whose drift does not jump.
    """
    (last,) = dynamics.parts[-1:]
    if not isinstance(last, GradientDynamics) or not is_normalized(last) or last.ascent != "full" or last.weight_decay:
        return None
    surface = last.surface

    def critical_point_near(point: np.ndarray) -> np.ndarray | None:
        found = polished(
            lambda w: surface.gradient(torch.from_numpy(w)[None])[0].numpy(),
            lambda w: surface.hessian(torch.from_numpy(w)[None])[0].numpy(),
            point,
        )
        if found is None:
            return None
        eigenvalues = np.linalg.eigvalsh(surface.hessian(torch.from_numpy(found)[None])[0].numpy())
        return None if is_flat(eigenvalues).any() else found

    return critical_point_near
