"""How states lie in memory, and sums over the coordinates of each.

Torch works along the last axis in memory, so for the few coordinates of a toy surface its loops should run along the
paths: an operation with a constant vector is then twenty times faster. With more coordinates they run along these,
for then the order in which a state's coordinates are summed does not depend on the other paths.
"""

from __future__ import annotations

import torch

FEW_COORDINATES = 4


def in_columns(w: torch.Tensor) -> torch.Tensor:
    """The states (paths, dim), with the few coordinates of a toy surface each contiguous in memory."""
    return w.T.contiguous().T if w.shape[-1] <= FEW_COORDINATES else w.contiguous()


def stack_steps(states: list[torch.Tensor]) -> torch.Tensor:
    """The states (paths, dim) of successive steps as one tensor (steps, paths, dim) that lies in memory as they do."""
    if states[0].shape[-1] > FEW_COORDINATES:
        return torch.stack(states)
    return torch.stack([w.T for w in states], dim=1).movedim(0, -1)


def row_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum over the last axis: (…, dim) to (…, 1)."""
    return x.sum(-1, keepdim=True)


def row_norm(x: torch.Tensor) -> torch.Tensor:
    """Euclidean norm of each row: (…, dim) to (…, 1)."""
    return row_sum(x.square()).sqrt()
