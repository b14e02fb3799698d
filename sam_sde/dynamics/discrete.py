"""The optimizers as the discrete algorithms they are: one step from minibatch gradients."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from sam_sde.dynamics.base import Dynamics, GradientDynamics
from sam_sde.dynamics.sam import PerturbedSGD
from sam_sde.dynamics.sgd import SGD

# The gradient of one minibatch's loss, or of the whole one: weights (paths, dim) to (paths, dim).
Gradient = Callable[[torch.Tensor], torch.Tensor]


class Minibatch(NamedTuple):
    """The gradients of one minibatch, and of the one that an independent ascent takes."""

    descent: Gradient
    ascent: Gradient


def discrete_step(
    dynamics: GradientDynamics, t: float, state: torch.Tensor, minibatches: Sequence[Minibatch]
) -> torch.Tensor:
    """One step of the algorithm from `state` (paths, state_dim) at time t: w ← w - η g(w + p).

    minibatches: one, or the micro-batches of a step, whose gradients are averaged.
    """
    gradients = [_gradient(dynamics, state, minibatch) for minibatch in minibatches]
    gradient = sum(gradients[1:], gradients[0]) / len(gradients)
    return state - dynamics.lr * gradient


def _gradient(dynamics: GradientDynamics, w: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
    """A minibatch's gradient where the optimizer takes it: at w, or at w + p with p from the ascent's gradient."""
    if isinstance(dynamics, SGD):
        return minibatch.descent(w)
    full = dynamics.surface.gradient
    ascend = {"full": full, "same": minibatch.descent, "independent": minibatch.ascent}[dynamics.ascent]
    return minibatch.descent(w + dynamics.perturbation.of_minibatch(ascend(w), lambda: full(w)))


def require_algorithm(dynamics: Dynamics) -> None:
    """Raises ValueError where the dynamics are not those of an algorithm that `discrete_step` knows."""
    if not isinstance(dynamics, SGD | PerturbedSGD):
        raise ValueError(
            f"engine: 'discrete' runs SGD, SAM and its variants, got {type(dynamics).__name__}; try 'torchsde'"
        )
    if isinstance(dynamics, PerturbedSGD) and dynamics.drift != "stop_gradient":
        raise ValueError(
            f"drift: {dynamics.drift!r} is a model of the algorithm; engine 'discrete' runs the algorithm itself, "
            "try drift 'stop_gradient'"
        )
