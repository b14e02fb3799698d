"""What an optimizer does near a point where its direction vanishes: eigenvalues of its flow and of its algorithm."""

import copy
from dataclasses import dataclass

import numpy as np

from sam_sde.dynamics import ConstantSchedule, Dynamics, GradientDynamics, PerturbedSGD
from sam_sde.dynamics.perturbations import Custom, Normalized, NormalizedByFullGradient
from sam_sde.errors import ArgumentError
from sam_sde.theory.stability.linear import attracts, flow_rates, is_flat, largest_lr, multipliers, usam_curvatures
from sam_sde.theory.stability.points import Critical
from sam_sde.theory.stability.roots import Field, jacobian
from sam_sde.theory.stability.trap import frozen_curvatures, is_trapping, resting_gradient, trapping_lr


@dataclass(frozen=True, eq=False)
class Stability:
    """How an optimizer moves near a point.

    curvatures (dim,): eigenvalues of the derivative of what it descends. flow (dim,): growth rates of its flow, in
    t = lr · steps. multipliers (dim,): of a step of the algorithm. attracts_flow, attracts: whether the point attracts
    the one and the other; None where that is not known. largest_lr: the learning rate below which it attracts the
    algorithm; 0 where at none.

    The direction of normalized SAM has no derivative at a critical point. What stands here of it is that of a quadratic
    at the gradient's norm `at_gradient`, in which the path rests; see `sam_sde.theory.stability.trap`.
    """

    curvatures: np.ndarray
    flow: np.ndarray
    multipliers: np.ndarray
    attracts_flow: bool | None
    attracts: bool | None
    largest_lr: float
    at_gradient: float | None = None


def require_arm(dynamics: Dynamics) -> GradientDynamics:
    """The optimizer whose limits are asked for: of a switch the last one.

    Raises
        ArgumentError: it is none on a surface, or has weight decay, with which it has other limits.
    """
    last = dynamics.parts[-1] if isinstance(dynamics, Dynamics) else dynamics
    if not isinstance(last, GradientDynamics):
        raise ArgumentError(
            "dynamics", f"expected an optimizer on a surface such as SGD(...), got {type(last).__name__}"
        )
    if last.weight_decay:
        raise ArgumentError(
            "weight_decay",
            f"expected 0, for with {last.weight_decay:g} the limits are no critical points of the loss; "
            "add the decay to the loss instead",
        )
    return last


def is_normalized(dynamics: GradientDynamics) -> bool:
    """Whether its perturbation has no derivative where the gradient vanishes."""
    rules = Normalized | NormalizedByFullGradient
    return isinstance(dynamics, PerturbedSGD) and isinstance(dynamics.perturbation, rules) and dynamics.rho > 0


def noiseless(dynamics: GradientDynamics) -> GradientDynamics:
    """The same without the noise of the ascent, and without a schedule of ρ."""
    plain = copy.copy(dynamics)
    plain.ascent, plain.rho_schedule = "full", ConstantSchedule()
    return plain


def descended(dynamics: GradientDynamics) -> Field:
    """∇ℓ(w^p) of states (paths, dim) without noise and schedules, whatever drift models it."""
    if getattr(dynamics, "rho", None) == 0:
        return dynamics.surface.gradient
    plain = noiseless(dynamics)
    return lambda w: dynamics.surface.gradient(plain.perturbed(0.0, w))


def stability(dynamics: Dynamics, point: Critical) -> Stability:
    """How the optimizer moves near a critical point of its surface, without noise, at its own learning rate and ρ.

    Raises
        ValueError: it is no optimizer on a surface, or has weight decay.
    """
    dynamics = require_arm(dynamics)
    if is_normalized(dynamics):
        return _of_trap(dynamics, point.eigenvalues)
    if isinstance(dynamics, PerturbedSGD) and isinstance(dynamics.perturbation, Custom):
        return linearized(dynamics, point.location)
    return _along(dynamics, usam_curvatures(point.eigenvalues, getattr(dynamics, "rho", 0.0)))


def linearized(dynamics: GradientDynamics, location: np.ndarray) -> Stability:
    """The same where what it descends has a derivative, at any point (dim,) where it vanishes."""
    curvatures = np.linalg.eigvals(jacobian(descended(dynamics), location))
    if np.abs(curvatures.imag).max() <= 1e-9 * np.abs(curvatures).max():
        curvatures = np.sort(curvatures.real)
    return _along(dynamics, curvatures)


def _along(dynamics: GradientDynamics, curvatures: np.ndarray) -> Stability:
    flow, step = _flow(dynamics, curvatures), _steps(dynamics, curvatures)
    options = {"momentum": dynamics.momentum, "nesterov": dynamics.nesterov}
    return Stability(
        curvatures,
        flow,
        step,
        None if np.isnan(flow).any() else attracts(flow.real, curvatures),
        attracts(np.abs(step) - 1.0, curvatures),
        largest_lr(curvatures, **options),
    )


def _of_trap(dynamics: PerturbedSGD, eigenvalues: np.ndarray) -> Stability:
    momentum = {"momentum": dynamics.momentum, "nesterov": dynamics.nesterov}
    options = {"rho": dynamics.rho, "lr": dynamics.lr, **momentum}
    gradient = resting_gradient(eigenvalues, **options)
    curvatures = frozen_curvatures(eigenvalues, rho=dynamics.rho, gradient=gradient)
    return Stability(
        curvatures,
        _flow(dynamics, curvatures),
        _steps(dynamics, curvatures),
        None if is_flat(eigenvalues).any() else True,
        is_trapping(eigenvalues, **options),
        trapping_lr(eigenvalues, **momentum),
        gradient,
    )


def _flow(dynamics: GradientDynamics, curvatures: np.ndarray) -> np.ndarray:
    if dynamics.is_exact:  # that of the algorithm, where a flow can do what it does
        step = _steps(dynamics, curvatures)
        return np.log(np.where((step.real > 0) & (step.imag == 0), step, np.nan)) / dynamics.lr
    underdamped = dynamics.momentum_model == "underdamped"
    return flow_rates(curvatures, lr=dynamics.lr, momentum=dynamics.momentum, underdamped=underdamped)


def _steps(dynamics: GradientDynamics, curvatures: np.ndarray) -> np.ndarray:
    return multipliers(curvatures, lr=dynamics.lr, momentum=dynamics.momentum, nesterov=dynamics.nesterov)
