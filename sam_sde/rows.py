"""Sums over the coordinates of each state, quick for the few coordinates of a toy surface."""

import torch

# torch reduces a short last axis four times slower than it multiplies by a vector of ones. Beyond four coordinates the
# order in which a product sums depends on the number of rows, and a path must not depend on its companions.
FEW_COORDINATES = 4


def row_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum over the last axis: (…, dim) to (…, 1)."""
    dim = x.shape[-1]
    if dim > FEW_COORDINATES or torch.compiler.is_compiling():
        return x.sum(-1, keepdim=True)
    return x @ x.new_ones(dim, 1)


def row_norm(x: torch.Tensor) -> torch.Tensor:
    """Euclidean norm of each row: (…, dim) to (…, 1)."""
    return row_sum(x.square()).sqrt()
