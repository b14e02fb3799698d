"""How states lie in memory, how many coordinates count as few, and sums over the coordinates of each.

Loops run along what is contiguous. A state of few coordinates lies in columns, each contiguous, and the loops run along
the paths; with more of them each state is a row, and the loops run along its coordinates, whose sum is then the same
whatever the other paths.
"""

from __future__ import annotations

import torch

# Torch itself runs every operation along the last axis in memory. Along a few coordinates its loops hardly begin: an
# operation with a constant vector is twenty times faster along the paths.
FEW_COORDINATES = 4

# Compiled loops do all of a step at once. One loop along the paths keeps a step's numbers in registers for this many
# coordinates; with more, a row is what the processor's fastest cache finds again.
FEW_COMPILED = 16

# Of a constant that is taken apart, a number for each element; those of more are not worth the time to compile.
FEW_ELEMENTS = 64


def in_columns(w: torch.Tensor) -> torch.Tensor:
    """The states (paths, dim), with the few coordinates of a toy surface each contiguous in memory."""
    return w.T.contiguous().T if w.shape[-1] <= FEW_COORDINATES else w.contiguous()


def stack_steps(states: list[torch.Tensor]) -> torch.Tensor:
    """The states (paths, dim) of successive steps as one tensor (steps, paths, dim) that lies in memory as they do."""
    if states[0].shape[-1] > FEW_COORDINATES:
        return torch.stack(states)
    return torch.stack([w.T for w in states], dim=1).movedim(0, -1)


def empty_steps(n_steps: int, like: torch.Tensor) -> torch.Tensor:
    """Room (steps, paths, dim) for so many states like one (paths, dim), laid out as `stack_steps` does."""
    if like.shape[-1] > FEW_COORDINATES:
        return like.new_empty(n_steps, *like.shape)
    return like.new_empty(like.shape[-1], n_steps, len(like)).movedim(0, -1)


def row_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum over the last axis: (…, dim) to (…, 1)."""
    return x.sum(-1, keepdim=True)


def row_norm(x: torch.Tensor) -> torch.Tensor:
    """Euclidean norm of each row: (…, dim) to (…, 1)."""
    return row_sum(x.square()).sqrt()
