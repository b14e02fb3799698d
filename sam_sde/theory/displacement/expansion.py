"""The critical point about which a loss is expanded, and the eigenvectors of the Hessian along which paths move."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Point
from sam_sde.surfaces import LossSurface, require_surface
from sam_sde.theory.stability.roots import polished

MOST_COORDINATES = 1_000
MOST_DIRECTIONS = 4  # of which none are said
NEAR = 1e-3  # how far a critical point may be from where it is said to be, relative to 1+‖w‖


@dataclass(frozen=True, eq=False)
class Expansion:
    """A critical point `location` (dim,), and there `directions`, numbers of eigenvalues in ascending order, with their
    `eigenvalues` (directions,) and `eigenvectors` (dim, directions), in columns.
    """

    location: np.ndarray
    directions: list[int]
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray

    def along(self, point: np.ndarray) -> np.ndarray:
        """The coordinates (…, directions) of points (…, dim), counted from the critical point."""
        return (np.asarray(point) - self.location) @ self.eigenvectors


def expand(surface: LossSurface, at: Point, directions: Sequence[int] | None = None) -> Expansion:
    """The expansion about the critical point at `at`, which may be rounded: it is polished by Newton's method.

    directions: numbers of eigenvalues, 0 for the smallest and -1 for the largest; default all, of more than four the
        two smallest and the two largest.

    Raises
        ArgumentError: there is no critical point, no finite Hessian, no such direction, or over 1,000 coordinates.
    """
    dim = require_surface(surface).dim
    if dim > MOST_COORDINATES:
        raise ArgumentError(
            "surface", f"expected at most {MOST_COORDINATES} coordinates, for whose Hessian is room, got {dim}"
        )
    at = checks.vector("at", at, dim)
    surface.finite_hessian(at, "at")
    location = _critical(surface, at.numpy())
    hessian = surface.finite_hessian(torch.from_numpy(location), "at").numpy()
    values, vectors = np.linalg.eigh(hessian)
    chosen = _directions(directions, dim)
    return Expansion(location, chosen, values[chosen], vectors[:, chosen])


def _directions(directions: Sequence[int] | None, dim: int) -> list[int]:
    if directions is None:
        half = MOST_DIRECTIONS // 2
        return list(range(dim)) if dim <= MOST_DIRECTIONS else [*range(half), *range(dim - half, dim)]
    chosen = [checks.whole("directions", number, low=-dim, high=dim - 1) % dim for number in directions]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ArgumentError("directions", f"expected different numbers of eigenvalues, got {checks.shown(directions)}")
    return chosen


def _critical(surface: LossSurface, at: np.ndarray) -> np.ndarray:
    def gradient(point: np.ndarray) -> np.ndarray:
        return surface.gradient(torch.from_numpy(point)[None])[0].numpy()

    def hessian(point: np.ndarray) -> np.ndarray:
        return surface.hessian(torch.from_numpy(point)[None])[0].numpy()

    slope = gradient(at)
    if not slope.any():
        return at
    found = polished(gradient, hessian, at)
    if found is None or np.linalg.norm(found - at) > NEAR * (1.0 + np.linalg.norm(at)):
        raise ArgumentError(
            "at",
            f"expected a critical point of the loss, and the gradient at {checks.shown(at.tolist())} has the norm "
            f"{np.linalg.norm(slope):.3g}; give one, such as the name saddle or a point that `sam-sde stability` finds",
        )
    return found
