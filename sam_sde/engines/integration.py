"""What every engine gives back: the states of a few steps, and which paths to look at."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from sam_sde.engines.problem import EscapeProblem


class Chunk(NamedTuple):
    """states (steps + 1, paths, dim); suspects (paths,): False for paths that surely did not cross, None if unknown.

    The next chunk may be written over the states.
    """

    states: torch.Tensor
    suspects: torch.Tensor | None = None


# (problem, w (paths, dim), numbers of the paths, first step, steps) to the chunk of these steps.
Advance = Callable[[EscapeProblem, torch.Tensor, torch.Tensor, int, int], Chunk]
