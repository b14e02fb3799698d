"""Where paths start: all at one point, or each at a normal random point of its own."""

from collections.abc import Sequence

import torch

from sam_sde import checks
from sam_sde.random import Purpose, Stream


class NormalStart:
    """w(0) = mean + std·N, N standard normal, keyed by the path's number.

    Raises
        ValueError: mean is no finite vector, or std is negative.
    """

    def __init__(self, mean: Sequence[float], std: float):
        self.mean = checks.vector("mean", mean)
        self.std = checks.non_negative("std", std)

    def points(self, paths: torch.Tensor, stream: Stream) -> torch.Tensor:
        """Start points (paths, dim), float64, of the paths with these numbers."""
        coordinate = torch.arange(len(self.mean), device=paths.device)
        normal = stream.normals(Purpose.START, paths[:, None], torch.zeros_like(paths)[:, None], coordinate)
        return self.mean.to(paths.device) + self.std * normal


class PointStart(NormalStart):
    """w(0) = the same point for all paths."""

    def __init__(self, point: Sequence[float]):
        super().__init__(checks.vector("start", point), 0.0)

    def points(self, paths: torch.Tensor, stream: Stream) -> torch.Tensor:
        return self.mean.to(paths.device).expand(len(paths), -1)
