"""Where a grid should be fine for the mean time at the start to come out right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sam_sde.theory.exact.chain import Chain
from sam_sde.theory.exact.coefficients import Coefficients
from sam_sde.theory.exact.generator import Generator, generator
from sam_sde.theory.exact.grid import CELLS, Axis, Grid

ROUNDS = 6
EVEN = 0.4  # of the lines are spread evenly
SMOOTHED = 3.0  # cells over which the spacing is averaged, so that neighbours differ little
BEYOND = 0.02  # of an axis beyond the region
SAMPLES = 8  # of the density to a cell


def stretched_grid(coefficients: Coefficients, frame: np.ndarray, low: np.ndarray, high: np.ndarray) -> Grid:
    """The coarsest grid between low (2,) and high (2,), positions from the start in `frame`.

    An edge of the length h is wrong by a part of the order h·Δp, p = 2 a⁻¹ f, which enters the mean time τ by the
    mean number of its uses times the change of τ along it. The lines of the grid are placed for these errors to be
    alike, as the chain on the grid before tells them.
    """
    margin = BEYOND * (high - low)
    ends = [(low[i] - margin[i], high[i] + margin[i]) for i in range(2)]
    even = [np.linspace(*each, SAMPLES * CELLS + 1) for each in ends]
    grid = Grid(coefficients, frame, tuple(Axis(x, np.ones_like(x)) for x in even), 1.0)
    for _ in range(ROUNDS):
        chain = generator(grid)
        if not chain.leaving.any():
            break
        errors = _edge_errors(grid, chain)
        axes = tuple(_denser(axis, *each) for axis, each in zip(grid.axes, errors, strict=True))
        grid = replace(grid, axes=axes)
    return grid


def _edge_errors(grid: Grid, states: Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each axis the places ξ of the edges along it, and the parts of τ by which they may be wrong."""
    chain = Chain(states.q, states.leaving, [states.start])
    mean, spent = chain.solve(np.ones(len(states.points))), chain.occupation()
    coefficients = grid.coefficients
    drift, covariance = coefficients.drift(states.points), coefficients.covariance(states.points)
    p = 2 * np.linalg.solve(covariance, drift[..., None])[..., 0] @ grid.frame
    at = (states.points - coefficients.start) @ grid.frame
    start, end = states.q.nonzero()
    used = spent[start] / mean[states.start] * states.q.data * np.abs(mean[end] - mean[start])
    wrong = used * np.abs((p[end] - p[start]) * (at[end] - at[start])).sum(-1)
    found = []
    for i in range(2):
        along = states.index[start, i] != states.index[end, i]
        found.append(((states.index[start, i] + states.index[end, i])[along] / 2 * grid.spacing, wrong[along]))
    return found


def _denser(axis: Axis, xi: np.ndarray, wrong: np.ndarray) -> Axis:
    """The axis with lines where errors `wrong` at the places `xi` of the old axis ask for them."""
    edges = np.linspace(axis.low, axis.high, CELLS + 1)
    errors, _ = np.histogram(xi, edges, weights=wrong)
    if not errors.sum() > 0:
        return axis
    fine = np.linspace(axis.low, axis.high, SAMPLES * CELLS + 1)
    # An error goes with h², so that the density wanted is the root of the error in a cell; in cells of the old axis.
    wanted = np.interp(fine, (edges[1:] + edges[:-1]) / 2, np.sqrt(errors))
    wanted = gaussian_filter1d(wanted, SMOOTHED * SAMPLES, mode="nearest")
    wanted /= wanted.mean()
    positions, slope = axis(fine), axis(fine, 1)
    length = positions[-1] - positions[0]
    return Axis(positions, (1 - EVEN) * wanted / slope / CELLS + EVEN / length)
