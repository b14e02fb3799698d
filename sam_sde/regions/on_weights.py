"""A region of weights as one of states that hold more than the weights."""

from __future__ import annotations

import torch

from sam_sde.regions.region import Region


class OnWeights(Region):
    """The states (paths, state_dim) whose first `dim` coordinates, the weights, lie in `region`."""

    def __init__(self, region: Region, dim: int, state_dim: int):
        self.region = region
        self.faces, self.slope, self.every, self.dim = region.faces, region.slope, region.every, state_dim
        self._weights = dim

    def levels(self, state: torch.Tensor) -> torch.Tensor:
        return self.region.levels(state[:, : self._weights])

    def normal(self, state: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(
            self.region.normal(state[:, : self._weights], face), (0, self.dim - self._weights)
        )

    def __repr__(self) -> str:
        return repr(self.region)
