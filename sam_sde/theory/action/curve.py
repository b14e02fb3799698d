"""Curves between two points as cubic splines, and what a sum over their points needs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import cholesky

DEGREE = 3
GAUSS = 4  # points of Gauss's rule in each interval


class Splines:
    """Cubic B-splines on so many even intervals of [0, 1]: a curve is Σ c_k B_k(s), its ends the first and last c_k.

    Attributes
        count: of the c_k. values, slopes (points, count): B_k and B_k' at the points of Gauss's rule, whose `weights`
        (points,) sum to 1. stiffness (count, count): ∫ B_j' B_k' ds.
    """

    def __init__(self, intervals: int, panels: int = 1):
        ends = np.full(DEGREE, 0.0), np.full(DEGREE, 1.0)
        self.knots = np.concatenate([ends[0], np.linspace(0, 1, intervals + 1), ends[1]])
        self.count = intervals + DEGREE
        node, weight = np.polynomial.legendre.leggauss(GAUSS)
        corners = np.linspace(0, 1, intervals * panels + 1)
        middles, half = (corners[1:] + corners[:-1]) / 2, np.diff(corners)[0] / 2
        self.s = (middles[:, None] + half * node).ravel()
        self.weights = np.tile(half * weight, intervals * panels)
        self.values, self.slopes = self.at(self.s), self.at(self.s, derivative=1)
        self.stiffness = self.slopes.T @ (self.weights[:, None] * self.slopes)

    def at(self, s: np.ndarray, derivative: int = 0) -> np.ndarray:
        """The splines, or a derivative of them, at parameters s (points,): (points, count)."""
        return BSpline(self.knots, np.eye(self.count), DEGREE)(s, nu=derivative)

    def fit(self, points: np.ndarray) -> np.ndarray:
        """The c_k (count, dim) of the curve through the ends, and near the rest, of points at even parameters."""
        values = self.at(np.linspace(0, 1, len(points)))
        ends = points[[0, -1]]
        rest = points - values[:, [0, -1]] @ ends
        inner = np.linalg.lstsq(values[:, 1:-1], rest, rcond=None)[0]
        return np.concatenate([ends[:1], inner, ends[1:]])

    @property
    def scaling(self) -> np.ndarray:
        """R (count - 1, count - 1), upper, with RᵀR the stiffness of the c_k but the first.

        In R c a sum over slopes is as easy to minimize on many intervals as on few.
        """
        return cholesky(self.stiffness[1:, 1:])


@lru_cache(maxsize=32)
def splines(intervals: int, panels: int = 1) -> Splines:
    return Splines(intervals, panels)


def evenly(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points at even distances along the polygon through `points`, its ends among them."""
    length = lengths(points)
    if not length[-1] > 0:
        return np.repeat(points[:1], count, axis=0)
    even = np.linspace(0, length[-1], count)
    return np.stack([np.interp(even, length, x) for x in points.T], axis=-1)


def lengths(points: np.ndarray) -> np.ndarray:
    """How far along the polygon each of its points (points, dim) lies."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
