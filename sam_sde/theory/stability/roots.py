"""Zeros of a vector field, from many starts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize
from scipy.stats import qmc
from torch import Tensor

from sam_sde import checks
from sam_sde.errors import ArgumentError

RESIDUAL = 1e-10  # of the field, beside ‖J‖·(1+‖w‖)
EVALUATIONS = 100
POLISHING = 60  # steps of Newton's method, which halve the distance to a degenerate zero
APART = 1e-6  # zeros that are nearer, relative to 1+‖w‖, are one

Field = Callable[[Tensor], Tensor]


class Bounds(NamedTuple):
    """A box: low and high (dim,)."""

    low: np.ndarray
    high: np.ndarray

    def hold(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (…, dim) lie inside, up to rounding."""
        margin = APART * (self.high - self.low)
        return ((points >= self.low - margin) & (points <= self.high + margin)).all(-1)

    def starts(self, count: int) -> np.ndarray:
        """Points (count, dim) that fill the box evenly: its middle, and Halton's sequence."""
        middle = np.full((1, len(self.low)), 0.5)
        unit = np.concatenate([middle, qmc.Halton(len(self.low), scramble=False).random(count)[1:]])
        return self.low + unit * (self.high - self.low)


def as_bounds(bounds, dim: int) -> Bounds:
    """Low and high corner of a box in `dim` coordinates.

    Raises
        ArgumentError: they are not two points, or low is not below high.
    """
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise ArgumentError("bounds", f"expected two corners [low, high], got {checks.shown(bounds)}") from None
    low, high = (checks.vector("bounds", corner, dim).numpy() for corner in (low, high))
    if not (low < high).all():
        raise ArgumentError("bounds", f"expected low < high in each coordinate, got {low.tolist()}, {high.tolist()}")
    return Bounds(low, high)


def jacobian(field: Field, point: np.ndarray) -> np.ndarray:
    """The derivative (dim, dim) of a field of states (paths, dim) at one point."""
    points = torch.from_numpy(point).expand(len(point), -1).contiguous()
    _, pull_back = torch.func.vjp(field, points)
    return pull_back(torch.eye(len(point), dtype=points.dtype))[0].detach().numpy()


def find_zeros(field: Field, box: Bounds, starts: np.ndarray) -> np.ndarray:
    """The different zeros (zeros, dim) in a box, of a field of states (paths, dim), that are found from `starts`.

    Each is searched for with MINPACK's hybrid method and polished by Newton's. What does not end at a zero up to
    rounding is left out.
    """
    zeros = np.empty((0, starts.shape[1]))
    for zero in _zeros(field, box, starts):
        if not len(zeros) or _distance(zeros, zero).min() > APART:
            zeros = np.concatenate([zeros, zero[None]])
    return zeros


def _distance(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - point, axis=1) / (1.0 + np.linalg.norm(point))


def _zeros(field: Field, box: Bounds, starts: np.ndarray) -> Iterator[np.ndarray]:
    def at(point: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return field(torch.from_numpy(point)[None])[0].numpy()

    def derivative(point: np.ndarray) -> np.ndarray:
        return jacobian(field, point)

    for start in starts:
        with np.errstate(all="ignore"):  # a search that leaves for infinity finds nothing
            found = optimize.root(at, start, jac=derivative, method="hybr", options={"maxfev": EVALUATIONS}).x
            zero = polished(at, derivative, found) if box.hold(found) else None
        if zero is not None and box.hold(zero):
            yield zero


def polished(
    at: Callable[[np.ndarray], np.ndarray], derivative: Callable[[np.ndarray], np.ndarray], point: np.ndarray
) -> np.ndarray | None:
    """The zero near a point, by Newton's method with the smallest step; None where that does not end at one."""
    for _ in range(POLISHING):
        value, slope = at(point), derivative(point)
        if not (np.isfinite(value).all() and np.isfinite(slope).all()):
            return None
        step = np.linalg.lstsq(slope, value, rcond=1e-12)[0]
        small = np.linalg.norm(value) <= RESIDUAL * np.linalg.norm(slope) * (1.0 + np.linalg.norm(point))
        if small and np.linalg.norm(step) <= RESIDUAL * (1.0 + np.linalg.norm(point)):
            return point - step
        point = point - step
    return point if small or not value.any() else None
