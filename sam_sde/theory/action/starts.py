"""Where a search for the way out begins: rays from a point to the boundary, and bent lines to another point."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm, qmc

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.regions import Region
from sam_sde.theory.action.field import Field
from sam_sde.theory.stability.roots import jacobian

ANGLES = 16  # of rays in two dimensions
SOFTEST, SCATTERED = 8, 32  # rays in more: along the slowest directions of the drift, and even ones
FARTHEST = 1e5  # from the point, beside its own size: no boundary is looked for beyond
BENDS = (0.0, 0.25, -0.25)  # of the distance of two points, to the sides
MOST_BENT = 3
POINTS = 201


def rays(field: Field, point: np.ndarray, region: Region) -> list[tuple[np.ndarray, int]]:
    """Points of the boundary (dim,) that are seen from a point inside, and the face of each.

    Raises ArgumentError where no boundary is seen.
    """
    directions = _directions(field, point)
    farthest = FARTHEST * max(1.0, float(np.abs(point).max()))
    at, along = torch.from_numpy(point), torch.from_numpy(directions)
    rough = region.extent(at, along, farthest)
    if not torch.isfinite(rough).any():
        raise ArgumentError(
            "region",
            f"no boundary of {region} was found from {shown(np.round(point, 6).tolist())} up to the distance "
            f"{farthest:g}, so there is no way out; try a bounded region",
        )
    # Looked at from nearby the distance has more digits.
    distances = region.extent(at, along, 2 * float(rough[torch.isfinite(rough)].max())).numpy()
    seen = np.isfinite(distances)
    ends = point + distances[seen, None] * directions[seen]
    faces = region.levels(torch.from_numpy(ends)).argmax(-1).tolist()
    return list(zip(ends, faces, strict=True))


def bent_lines(field: Field, point: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Lines (points, dim) from a point to another one, straight and bent to the sides."""
    s = np.linspace(0, 1, POINTS)[:, None]
    line = point + s * (end - point)
    if field.dim == 1:
        return [line]
    sides = np.linalg.svd((end - point)[None])[2][1 : 1 + MOST_BENT]
    bow = np.linalg.norm(end - point) * np.sin(np.pi * s)
    return [line + bend * bow * side for side in sides for bend in BENDS if bend or side is sides[0]]


def _directions(field: Field, point: np.ndarray) -> np.ndarray:
    """Unit vectors (directions, dim)."""
    if field.dim == 1:
        return np.array([[1.0], [-1.0]])
    if field.dim == 2:
        angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    axes = [_slowest(field, point), np.eye(field.dim)]
    even = norm.ppf(qmc.Halton(field.dim, scramble=False).random(SCATTERED + 1)[1:])
    directions = np.concatenate([*axes, *(-each for each in axes), even])
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _slowest(field: Field, point: np.ndarray) -> np.ndarray:
    """The directions (directions, dim) in which the drift holds least, measured by the noise."""
    slope = jacobian(field.drift, point)
    if not np.isfinite(slope).all():  # the drift jumps there
        return np.empty((0, field.dim))
    with torch.no_grad():
        factor = field.factor(torch.from_numpy(point)[None])[0].numpy()
    scaled = np.linalg.solve(factor, slope @ factor)
    values, vectors = np.linalg.eigh(-(scaled + scaled.T) / 2)
    return (factor @ vectors[:, np.argsort(values)[:SOFTEST]]).T
