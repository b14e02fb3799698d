"""How the states of the compiled engine lie in memory, and the normals with them.

Compiled loops run along what is contiguous. Few coordinates lie in columns, and the loops run along the paths; with
many the state of each path is a row, so that all that is done with it finds it in the processor's fastest cache.
"""

from dataclasses import dataclass

import torch

from sam_sde.layout import FEW_COMPILED


@dataclass(frozen=True)
class Layout:
    """Of states (steps, paths, dim) and of normals (4, paths, channels)."""

    dim: int
    channels: int

    @property
    def in_rows(self) -> bool:
        return self.dim > FEW_COMPILED

    def empty(self, steps: int, n_paths: int, like: torch.Tensor) -> torch.Tensor:
        """Memory for states (steps, paths, dim)."""
        if self.in_rows:
            return like.new_empty(steps, n_paths, self.dim)
        return like.new_empty(steps, self.dim, n_paths).mT

    def parts(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What is contiguous of a state (paths, dim): all of it, or each column."""
        return (state,) if self.in_rows else state.unbind(-1)

    def cells(self, paths: torch.Tensor) -> torch.Tensor:
        """Channel (the upper 32 bits) and path (the lower) of each normal (paths · channels,), in order of memory."""
        channel = torch.arange(self.channels, device=paths.device) << 32
        return (paths[:, None] | channel if self.in_rows else paths | channel[:, None]).flatten()

    def normals(self, z: torch.Tensor) -> torch.Tensor:
        """The normals (4, paths · channels) of cells as (4, paths, channels)."""
        return z.view(len(z), -1, self.channels) if self.in_rows else z.view(len(z), self.channels, -1).mT
