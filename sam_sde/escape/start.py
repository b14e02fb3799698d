"""Where paths start: all at one point, or each at a normal random point of its own."""

from collections.abc import Sequence

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
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


def start_states(
    start: NormalStart, dynamics: Dynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The states (paths, state_dim) in which the paths with these numbers start."""
    w = start.points(paths, stream).to(dtype)
    if not dynamics.draws_velocity:
        return dynamics.initial_state(w, w.new_empty(len(w), 0))
    channel = torch.arange(dynamics.channels, device=paths.device)
    z = stream.normals(Purpose.VELOCITY, paths[:, None], torch.zeros_like(paths)[:, None], channel)
    return dynamics.initial_state(w, z.to(w))
