"""The optimizers as the discrete algorithms they are: one step from minibatch gradients."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

from sam_sde.dynamics.base import Dynamics, GradientDynamics
from sam_sde.dynamics.sam import PerturbedSGD
from sam_sde.dynamics.schedules import factor_at
from sam_sde.dynamics.sgd import SGD
from sam_sde.dynamics.switch import Switch
from sam_sde.errors import ArgumentError

# The gradient of one minibatch's loss, or of the whole one: weights (paths, dim) to (paths, dim).
Gradient = Callable[[torch.Tensor], torch.Tensor]


class Minibatch(NamedTuple):
    """The gradient of a minibatch, and that of the other one which an independent ascent takes."""

    descent: Gradient
    ascent: Gradient


def discrete_step(
    dynamics: GradientDynamics, t: float, state: torch.Tensor, minibatches: Iterable[Minibatch]
) -> torch.Tensor:
    """One step of the algorithm from `state` (paths, state_dim) at time t, with the conventions of torch.optim.SGD.

    With g the minibatch's gradient at w + p, κ the weight decay, γ the momentum and η u(t) the learning rate:

        g ← g + κ w;  v ← γ v + g;  w ← w - η u v,  or  w ← w - η u (g + γ v) for Nesterov's momentum

    The state is (w, v), or w without momentum. minibatches: one, or the micro-batches of the step, each with a
    perturbation of its own, whose gradients are averaged.
    """
    w = dynamics.weights(state)
    gradient = _mean(_gradient(dynamics, t, w, minibatch) for minibatch in minibatches)
    if dynamics.weight_decay:
        gradient = gradient + dynamics.weight_decay * w
    lr = dynamics.lr * factor_at(dynamics.lr_schedule, t, w)
    if not dynamics.momentum:
        return w - lr * gradient
    velocity = dynamics.momentum * state[..., dynamics.dim :] + gradient
    direction = gradient + dynamics.momentum * velocity if dynamics.nesterov else velocity
    return torch.cat([w - lr * direction, velocity], dim=-1)


def _gradient(dynamics: GradientDynamics, t: float, w: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
    """A minibatch's gradient where the optimizer takes it: at w, or at w + p with p from the ascent's gradient."""
    if isinstance(dynamics, SGD):
        return minibatch.descent(w)
    full = dynamics.surface.gradient
    ascend = {"full": full, "same": minibatch.descent, "independent": minibatch.ascent}[dynamics.ascent]
    perturbation = dynamics.perturbation.of_minibatch(ascend(w), lambda: full(w))
    return minibatch.descent(w + factor_at(dynamics.rho_schedule, t, w) * perturbation)


def _mean(gradients: Iterable[torch.Tensor]) -> torch.Tensor:
    """Their mean, without keeping them all."""
    total, count = 0.0, 0
    for gradient in gradients:
        total, count = total + gradient, count + 1
    return total / count


def parts(dynamics: Dynamics) -> list[Dynamics]:
    """The optimizers of a switch, or the one that there is."""
    return [*parts(dynamics.first), *parts(dynamics.second)] if isinstance(dynamics, Switch) else [dynamics]


def active_part(dynamics: Dynamics, t: float) -> Dynamics:
    """The one of `parts` that takes the step which begins at time t."""
    return active_part(dynamics.active(t), t) if isinstance(dynamics, Switch) else dynamics


def require_algorithm(dynamics: Dynamics) -> None:
    """Raises ValueError where one of the `parts` is not an algorithm that `discrete_step` knows."""
    for part in parts(dynamics):
        _require_algorithm(part)


def _require_algorithm(dynamics: Dynamics) -> None:
    if not isinstance(dynamics, SGD | PerturbedSGD):
        raise ArgumentError(
            "engine", f"'discrete' runs SGD, SAM and its variants, got {type(dynamics).__name__}; try 'torchsde'"
        )
    if isinstance(dynamics, PerturbedSGD) and dynamics.drift != "stop_gradient":
        raise ArgumentError(
            "drift",
            f"{dynamics.drift!r} is a model of the algorithm; engine 'discrete' runs the algorithm itself, "
            "try drift 'stop_gradient'",
        )
    if dynamics.drift_order != 1:
        raise ArgumentError(
            "drift_order",
            "2 is a model of the algorithm; engine 'discrete' runs the algorithm itself, try drift_order 1",
        )
    if dynamics.momentum and dynamics.momentum_model != "underdamped":
        raise ArgumentError(
            "momentum_model",
            f"{dynamics.momentum_model!r} is a model of the algorithm; engine 'discrete' runs the "
            "algorithm itself, leave momentum_model out",
        )


def require_sde(dynamics: Dynamics) -> None:
    """Raises ValueError where one of the `parts` has what only the algorithm has: an SDE knows nothing of it."""
    for part in parts(dynamics):
        for option in ("nesterov", "micro_batch"):
            if getattr(part, option, None):
                raise ArgumentError(option, "no SDE of it is known; run the algorithm itself, engine 'discrete'")
