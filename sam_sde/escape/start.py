"""Where paths start: all at one point, or each at a normal random point of its own."""

import abc

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Point
from sam_sde.random import Purpose, Stream


class Start(abc.ABC):
    """The weights w(0) of each path, by the path's number.

    Attributes
        mean: (dim,), float64, the mean of w(0). std: its standard deviation in every coordinate, 0 where all are alike.
    """

    mean: torch.Tensor
    std: float

    @abc.abstractmethod
    def points(self, paths: torch.Tensor, stream: Stream) -> torch.Tensor:
        """Start points (paths, dim), float64, of the paths with these numbers."""


class PointStart(Start):
    """w(0) = the same point for all paths. Raises ArgumentError where it is no finite vector."""

    std = 0.0

    def __init__(self, point: Point):
        self.mean = checks.vector("start", point)

    def points(self, paths: torch.Tensor, stream: Stream) -> torch.Tensor:
        return self.mean.to(paths.device).expand(len(paths), -1)


class NormalStart(Start):
    """w(0) = mean + std·N, N standard normal, keyed by the path's number.

    Raises
        ArgumentError: mean is no finite vector, or std is negative.
    """

    def __init__(self, mean: Point, std: float):
        self.mean = checks.vector("mean", mean)
        self.std = checks.non_negative("std", std)

    def points(self, paths: torch.Tensor, stream: Stream) -> torch.Tensor:
        coordinate = torch.arange(len(self.mean), device=paths.device)
        normal = stream.normals(Purpose.START, paths[:, None], torch.zeros_like(paths)[:, None], coordinate)
        return self.mean.to(paths.device) + self.std * normal


def as_start(start: Start | Point, dim: int) -> Start:
    """A start, from one of its own kind or a point. Raises ArgumentError where it has not `dim` coordinates."""
    if not isinstance(start, Start):
        start = PointStart(start)
    if len(start.mean) != dim:
        raise ArgumentError("start", f"expected {dim} numbers, one for each coordinate, got {len(start.mean)}")
    return start


def start_states(
    start: Start, dynamics: Dynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The states (paths, state_dim) in which the paths with these numbers start, in float64.

    dtype: that in which a velocity is computed where one is drawn.
    """
    points = start.points(paths, stream)
    w = points.to(dtype)
    z = w.new_empty(len(w), 0)
    if dynamics.draws_velocity:
        channel = torch.arange(dynamics.channels, device=paths.device)
        z = stream.normals(Purpose.VELOCITY, paths[:, None], torch.zeros_like(paths)[:, None], channel).to(w)
    state = dynamics.initial_state(w, z).double()
    return torch.cat([points, state[:, points.shape[1] :]], dim=-1)
