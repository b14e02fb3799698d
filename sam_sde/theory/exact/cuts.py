"""The part of the plane that a grid covers: a bounded region, or so much of another that more changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from sam_sde.errors import ArgumentError
from sam_sde.regions import Slab
from sam_sde.theory.exact.chain import Chain
from sam_sde.theory.exact.coefficients import Coefficients, region_extents
from sam_sde.theory.exact.generator import generator
from sam_sde.theory.exact.grid import Grid, principal_axes
from sam_sde.theory.exact.stretching import stretched_grid

DIRECTIONS = 64
FIRST_WALL = 3.0  # distances of the nearest boundary
MOST_GROWTHS = 10
UNCHANGED = 2e-3  # relative change of the mean time where a part of the region is left out


def grids(coefficients: Coefficients) -> tuple[Iterator[Grid], float]:
    """Grids of half the spacing each time, and by what part the mean time may be wrong since they end somewhere.

    Where the region goes on without end, or farther than seen from the start, it is cut by a wall that reflects; the
    wall is moved until that changes nothing.

    Raises
        ArgumentError: no boundary, or a mean time that depends on where the wall is.
    """
    frame = _frame(coefficients)
    low, high = _first_box(coefficients, frame)
    before = None
    for _ in range(MOST_GROWTHS):
        grid = stretched_grid(coefficients, frame, low, high)
        coarse = generator(grid)
        coefficients.require_elliptic(coarse.points)
        if not coarse.is_cut.any():
            return _finer(grid), 0.0
        if coarse.leaving.any():
            mean = _rough_mean(grid)
            change = np.inf if before is None else abs(np.log(mean / before))
            if change < UNCHANGED:
                return _finer(grid), change
            before = mean
        low = np.where(coarse.is_cut[:, 0], 2 * low, low)
        high = np.where(coarse.is_cut[:, 1], 2 * high, high)
    raise ArgumentError(
        "region",
        f"{coefficients.region} has no end along {'x0' if coarse.is_cut[0].any() else 'x1'}, and nothing confines the "
        "paths there: the escape time depends on where it is cut; try a bounded region",
    )


def _frame(coefficients: Coefficients) -> np.ndarray:
    """The axes (2, 2), in columns: those of the covariance at the start, or of a slab, for walls to cut it straight."""
    if isinstance(coefficients.region, Slab):
        at, upper = torch.as_tensor(coefficients.start)[None], torch.ones(1, dtype=torch.int64)
        x, y = coefficients.region.normal(at, upper)[0].tolist()
        return np.array([[x, -y], [y, x]])
    return principal_axes(coefficients.covariance(coefficients.start[None])[0])


def _first_box(coefficients: Coefficients, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low (2,) and high (2,) around what is seen of the boundary from the start, in the axes of `frame`.

    Of a region that goes on without end the surroundings of the start.
    """
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    extents = region_extents(coefficients, directions @ frame.T)
    if np.isinf(extents).any():
        extents = np.minimum(extents, FIRST_WALL * extents.min())
    corners = extents[:, None] * directions
    return corners.min(axis=0), corners.max(axis=0)


def _rough_mean(grid: Grid) -> float:
    """The mean time at the start, from two coarse grids."""
    means = []
    for spacing in (1.0, 0.5):
        states = generator(replace(grid, spacing=spacing))
        means.append(Chain(states.q, states.leaving, [states.start]).solve(np.ones(len(states.points)))[states.start])
    return means[1] * (means[1] / means[0]) ** (1 / 3)


def _finer(grid: Grid) -> Iterator[Grid]:
    while True:
        yield grid
        grid = replace(grid, spacing=grid.spacing / 2)
