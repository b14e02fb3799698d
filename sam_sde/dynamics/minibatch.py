"""The gradients that a step of an algorithm is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

# The gradient of one minibatch's loss, or of the whole one: weights (paths, dim) to (paths, dim).
Gradient = Callable[["torch.Tensor"], "torch.Tensor"]


class Minibatch(NamedTuple):
    """The gradient of a minibatch, that of the other one which an independent ascent takes, and that of the whole loss.

    Each is evaluated in the dtype of the run, whatever that of the weights.

    parts: how many micro-batches it stands for. The gradients are then functions of weights (parts · paths, dim), those
        of all paths for the first micro-batch, then for the second, and so on.
    """

    descent: Gradient
    ascent: Gradient
    full: Gradient
    parts: int = 1


def mean(gradients: Iterable[torch.Tensor]) -> torch.Tensor:
    """Their mean, without keeping them all."""
    gradients = iter(gradients)
    total, count = next(gradients), 1
    for gradient in gradients:
        total, count = total + gradient, count + 1
    return total / count if count > 1 else total
