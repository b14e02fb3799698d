"""The end of a path: a point, or one that slides on a face of a region's boundary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sam_sde.regions import Region

NEWTON_STEPS, ROUNDING = 60, 1e-12


class LostBoundaryError(Exception):
    """No boundary was found along the direction in which it was looked for."""


class FixedEnd:
    """A point (dim,)."""

    slides = False

    def __init__(self, point: np.ndarray):
        self.point = point

    def turned_to(self, end: np.ndarray) -> FixedEnd:
        return self

    def place(self, point: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        return self.point, np.zeros_like


class SlidingEnd:
    """A point on one face of a region: p(y) = y + s d on the boundary, for y (dim,) anywhere near it.

    d is the unit normal of the face where the end is in the beginning, kept while it slides, so that the derivative of
    p is known: dp = dy - d (∇φ·dy)/(∇φ·d).
    """

    slides = True

    def __init__(self, region: Region, face: int, end: np.ndarray):
        self.region, self.face = region, face
        slope = self._slope(end)
        length = np.linalg.norm(slope)
        if not (np.isfinite(length) and length > 0):
            raise LostBoundaryError
        self.direction = slope / length

    def turned_to(self, end: np.ndarray) -> SlidingEnd:
        try:
            return SlidingEnd(self.region, self.face, end)
        except LostBoundaryError:
            return self

    def place(self, point: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """p(y) (dim,), and what makes a derivative by y of one by p. Raises LostBoundaryError where there is none."""
        at, size = point, 1.0 + np.linalg.norm(point)
        for _ in range(NEWTON_STEPS):
            slope = self._slope(at) @ self.direction
            if not abs(slope) > 0:
                raise LostBoundaryError
            step = -self._level(at) / slope
            if not np.isfinite(step):
                raise LostBoundaryError
            at = at + step * self.direction
            if abs(step) <= ROUNDING * size:
                break
        else:
            raise LostBoundaryError
        slope = self._slope(at)
        along = slope @ self.direction
        return at, lambda gradient: gradient - slope * (self.direction @ gradient) / along

    def _level(self, point: np.ndarray) -> float:
        return float(self.region.levels(torch.from_numpy(point)[None])[0, self.face])

    def _slope(self, point: np.ndarray) -> np.ndarray:
        face = torch.tensor([self.face])
        return self.region.normal(torch.from_numpy(point)[None], face)[0].detach().double().numpy()


def first_exit(region: Region, points: np.ndarray) -> tuple[np.ndarray, int] | None:
    """The part of a path (points, dim) up to where it first leaves a region, and by which face; None where it stays.

    The last point is that of the boundary between two of the points.
    """
    with torch.no_grad():
        levels = region.levels(torch.from_numpy(points)).double().numpy()
    outside = np.flatnonzero((levels >= 0).any(axis=1))
    if not len(outside) or outside[0] == 0:
        return None
    i = outside[0]
    before, after = levels[i - 1], levels[i]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(after >= 0, before / (before - after), np.inf)
    face = int(np.nanargmin(part))
    crossing = points[i - 1] + np.clip(part[face], 0.0, 1.0) * (points[i] - points[i - 1])
    return np.concatenate([points[:i], crossing[None]]), face
