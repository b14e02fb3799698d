"""The SDE whose mean and covariance after each step are those of the algorithm, where what it descends is linear.

A step w ← w - η(A w + ξ), Cov ξ = S, has for symmetric A with ηA < 1 the mean (1-ηA)w and the covariance η²S. They are
those of dw = -a w dt + Q^{1/2} dW at the time η for

    a = -ln(1-ηA)/η,    Q_ij = η S_ij u/(e^u - 1),  u = -η(a_i + a_j), in A's eigenvectors,

in one dimension Q = 2aη²S/(1-(1-ηA)²), and at all times k η since both go on from there alike. For a direction d with
the derivative A the drift is -a A⁻¹ d, which is -d - ηAd/2 - …. (HA-SME, arXiv 2405.18373.)

Shapes: A and S (paths, dim, dim), d (paths, dim).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sam_sde.dynamics.base import Time, times
from sam_sde.errors import ArgumentError

if TYPE_CHECKING:
    from sam_sde.dynamics.gradient import GradientDynamics

MOST_WEIGHTS = 100  # for whose Hessian is room and time on each path


def exact_drift(curvature: torch.Tensor, descent: torch.Tensor, lr: float) -> torch.Tensor:
    """-ln(1-ηA)/(ηA) d (paths, dim), along which the weights flow; NaN where ηA is not below 1."""
    values, vectors = torch.linalg.eigh(curvature)
    step = lr * values
    stretch = torch.where(step == 0, 1.0, -torch.log1p(-step) / torch.where(step == 0, 1.0, step))
    along = (vectors.mT @ descent[..., None])[..., 0]
    return (vectors @ (stretch * along)[..., None])[..., 0]


def exact_covariance(curvature: torch.Tensor, covariance: torch.Tensor, lr: float) -> torch.Tensor:
    """Q (paths, dim, dim), the covariance of the noise in a unit of time; NaN where ηA is not below 1.

    It may have negative eigenvalues: then no SDE has the moments of the algorithm.
    """
    values, vectors = torch.linalg.eigh(curvature)
    logarithms = torch.log1p(-lr * values)
    total = logarithms[..., :, None] + logarithms[..., None, :]
    factor = torch.where(total == 0, 1.0, total / torch.where(total == 0, 1.0, torch.expm1(total)))
    return lr * vectors @ (factor * (vectors.mT @ covariance @ vectors)) @ vectors.mT


def exact_factor(curvature: torch.Tensor, covariance: torch.Tensor, lr: float) -> torch.Tensor:
    """The symmetric root (paths, dim, dim) of Q; NaN where there is none."""
    noise = exact_covariance(curvature, covariance, lr)
    finite = torch.isfinite(noise).all(-1, keepdim=True).all(-2, keepdim=True)
    values, vectors = torch.linalg.eigh(torch.where(finite, noise, 0.0))
    rounding = 8 * values.shape[-1] * torch.finfo(values.dtype).eps * values.abs().amax(-1, keepdim=True)
    roots = torch.where(values >= -rounding, values.clamp(min=0).sqrt(), torch.nan)
    return torch.where(finite, (vectors * roots[..., None, :]) @ vectors.mT, torch.nan)


def exact_noise(dynamics: GradientDynamics, t: Time, w: torch.Tensor) -> torch.Tensor:
    """The factor (paths, dim, dim) of an optimizer's noise at the weights w (paths, dim)."""
    units = torch.eye(dynamics.dim, dtype=w.dtype, device=w.device)
    factor = torch.stack([dynamics.transposed_noise(t, w, unit.expand_as(w)) for unit in units], dim=1)
    covariance = dynamics.minibatch_variance * factor @ factor.mT
    return exact_factor(dynamics.descent_curvature(w), covariance, dynamics.lr)


def check_exact_options(dynamics: GradientDynamics, lr_schedule: object) -> None:
    """Raises ArgumentError where an option has no exact SDE.

    The noise of a step of momentum is a multiple of n = (-η, 1) in (w, v). If an SDE's were that at the time η, n would
    be an eigenvector of its flow, the step itself; and that it never is.
    """
    given = {
        "momentum": dynamics.momentum,
        "lr_schedule": lr_schedule is not None,
        "drift_order": dynamics.drift_order == 2,
    }
    for what, is_given in given.items():
        if is_given:
            why = "no SDE has the moments of a step of momentum" if what == "momentum" else "it has its own drift"
            raise ArgumentError("sde", f"'exact' is for plain steps only, without {what} ({why}); try sde 'usual'")
    if dynamics.surface.dim > MOST_WEIGHTS:
        raise ArgumentError(
            "sde",
            f"'exact' takes eigenvectors of the Hessian on each path, so at most {MOST_WEIGHTS} weights, got "
            f"{dynamics.surface.dim}; try sde 'usual', or drift_order 2",
        )


def largest_step(dynamics: GradientDynamics, w: torch.Tensor) -> float:
    """The largest ηλ at the weights w (paths, dim), λ the eigenvalues of what is descended."""
    return dynamics.lr * torch.linalg.eigvalsh(dynamics.descent_curvature(w)).max().item()


def check_exact_start(dynamics: GradientDynamics, w: torch.Tensor) -> None:
    """Raises ArgumentError where no SDE is exact at w (paths, dim): ηλ is not below 1, or the noise is negative."""
    largest = largest_step(dynamics, w)
    if not largest < 1:
        raise ArgumentError(
            "sde",
            f"'exact' needs lr · λ below 1 for every eigenvalue λ of what is descended, got {largest:.3g} at the "
            "start: no flow turns round or stops as such a step does; try a smaller lr, or sde 'usual'",
        )
    if not torch.isfinite(exact_noise(dynamics, times(0.0, w), w)).all():
        raise ArgumentError(
            "sde",
            "'exact' needs noise that commutes more with the Hessian: the covariance that has the moments of the "
            "algorithm is negative in some direction at the start; try a smaller lr, or sde 'usual'",
        )
