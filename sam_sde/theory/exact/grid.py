"""A grid of points on a bounded part of the plane, whose lines may be denser in places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PPoly, make_interp_spline

from sam_sde.theory.exact.coefficients import Coefficients

CELLS = 48  # of the coarsest grid along each axis


class Axis:
    """Positions X(ξ) along one axis, with X(0) = 0; the points of the coarsest grid are at whole ξ.

    density (samples,): how many points there should be to a length, at positions (samples,).
    """

    def __init__(self, positions: np.ndarray, density: np.ndarray):
        steps = np.diff(positions) * (density[1:] + density[:-1]) / 2
        xi = np.concatenate([[0.0], np.cumsum(steps)])
        xi *= CELLS / xi[-1]
        origin = float(make_interp_spline(positions, xi, k=5)(0.0))
        # Smooth beyond its second derivative, or the error of the grid would not be that of its order.
        spline = PPoly.from_spline(make_interp_spline(xi - origin, positions, k=5))
        self._derivatives = [spline, spline.derivative(), spline.derivative(2)]
        self._shift = -float(spline(0.0))
        self.low, self.high = -origin, CELLS - origin

    def __call__(self, xi: np.ndarray, derivative: int = 0) -> np.ndarray:
        return self._derivatives[derivative](xi) + (self._shift if derivative == 0 else 0.0)


@dataclass(frozen=True)
class Grid:
    """Points origin + frame (X(ξ), Y(η)), frame (2, 2) being a rotation. `spacing`: that of ξ and η."""

    coefficients: Coefficients
    frame: np.ndarray
    axes: tuple[Axis, Axis]
    spacing: float

    @property
    def first(self) -> np.ndarray:
        """The smallest index (2,) of a point, as that of the origin is 0."""
        return np.array([int(np.floor(axis.low / self.spacing)) for axis in self.axes])

    @property
    def last(self) -> np.ndarray:
        return np.array([int(np.ceil(axis.high / self.spacing)) for axis in self.axes])

    def points(self, index: np.ndarray) -> np.ndarray:
        """The points (n, 2) at indices (n, 2), which need not be whole."""
        xi = index * self.spacing
        return self.coefficients.start + np.stack([self.axes[i](xi[:, i]) for i in range(2)], -1) @ self.frame.T

    def in_index(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Covariance (n, 2, 2) and p = 2 a⁻¹ f (n, 2) in the coordinates of the index, at indices (n, 2) inside.

        Itô's formula for the inverse of X adds -a X''/2X'³ to a drift f/X'.
        """
        points, xi = self.points(index), index * self.spacing
        drift, covariance = self.coefficients.drift(points), self.coefficients.covariance(points)
        self.coefficients.check_inside(points, drift, covariance)
        drift = drift @ self.frame
        covariance = self.frame.T @ covariance @ self.frame
        slope = np.stack([self.axes[i](xi[:, i], 1) for i in range(2)], -1) * self.spacing
        bend = np.stack([self.axes[i](xi[:, i], 2) for i in range(2)], -1) * self.spacing**2
        drift = drift / slope - np.diagonal(covariance, axis1=1, axis2=2) * bend / (2 * slope**3)
        covariance = covariance / (slope[:, :, None] * slope[:, None, :])
        return covariance, 2 * np.linalg.solve(covariance, drift[..., None])[..., 0]


def principal_axes(covariance: np.ndarray) -> np.ndarray:
    """The rotation to the eigenvectors of a covariance (2, 2), none where all directions are alike."""
    values, vectors = np.linalg.eigh(covariance)
    if values[1] - values[0] <= 1e-6 * values[1] or abs(covariance[0, 1]) <= 1e-9 * values[1]:
        return np.eye(2)
    return vectors if np.linalg.det(vectors) > 0 else vectors * np.array([1.0, -1.0])
