"""Escape times in two dimensions: chains on finer and finer grids, and what they tend to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import islice

import numpy as np

from sam_sde.errors import ArgumentError
from sam_sde.theory.exact.chain import Chain
from sam_sde.theory.exact.coefficients import Coefficients
from sam_sde.theory.exact.cuts import grids
from sam_sde.theory.exact.generator import generator
from sam_sde.theory.exact.grid import Grid
from sam_sde.theory.exact.result import ExactEscape, by_side
from sam_sde.theory.exact.survival import extrapolated, survival

GRIDS, MOST_GRIDS = 3, 4
GOOD = 5e-4  # relative error for which a further grid is not taken
POOR = 0.1  # beyond, nothing is said of it
ORDERLY = (2.0, 7.0)  # ratio of successive changes where the order is 2, for which it is 4


@dataclass(frozen=True)
class Solved:
    """What a chain on one grid gives: numbers for its start, and fields (states,) at points (states, 2)."""

    chain: Chain
    start: int
    points: np.ndarray
    mean: np.ndarray
    deviation: float
    rate: float
    mode: np.ndarray
    sides: np.ndarray


def solve(grid: Grid) -> Solved:
    states = generator(grid)
    chain = Chain(states.q, states.leaving, [states.start])
    mean = chain.solve(np.ones(len(states.points)))
    rate, mode = chain.slowest(mean)
    longest = mean.max()
    deviation = longest * np.sqrt(chain.solve(states.squared_slope(mean / longest))[states.start])
    sides = chain.solve(states.leaving)[states.start]
    return Solved(chain, states.start, states.points, mean, float(deviation), rate, mode, sides)


def solve_plane(coefficients: Coefficients) -> ExactEscape:
    """What `exact_escape_times` returns in two dimensions, and its errors; the error by grids of half the spacing."""
    finer, cut = grids(coefficients)
    solved = [solve(grid) for grid in islice(finer, GRIDS)]
    while True:
        log_mean, error = _limit([np.log(each.mean[each.start]) for each in solved])
        error += cut + solved[-1].chain.rounding
        if error < GOOD or len(solved) == MOST_GRIDS:
            break
        solved.append(solve(next(finer)))
    mean = float(np.exp(log_mean))
    if not np.isfinite(mean) or error > POOR:
        raise ArgumentError(
            "dynamics",
            f"the mean escape time is about {mean:.3g}, and grids differ by a factor {np.exp(error):.3g} about it: the "
            "noise is too weak for the grid; try more noise or a smaller region",
        )
    if error > 0.01:
        warnings.warn(
            f"the exact mean escape time {mean:.4g} is known to {100 * error:.1f} % only", UserWarning, stacklevel=3
        )
    return _result(coefficients, solved, mean, error)


def _result(coefficients: Coefficients, solved: list[Solved], mean: float, error: float) -> ExactEscape:
    finest = solved[-1]
    deviation = np.exp(_limit([np.log(each.deviation) for each in solved])[0])
    rate = np.exp(_limit([np.log(each.rate) for each in solved])[0])
    sides = (4 * finest.sides - solved[-2].sides) / 3
    sides = np.clip(sides, 0.0, 1.0) / np.clip(sides, 0.0, 1.0).sum()
    curves = [survival(each.chain, each.start, each.rate, each.mode) for each in solved[:2]]
    return ExactEscape(
        mean,
        float(mean * error),
        float(deviation),
        float(rate),
        by_side(coefficients.region, 2, sides),
        finest.points,
        finest.mean,
        finest.mode,
        extrapolated(*curves, mean, float(deviation)),
    )


def _limit(values: list[float]) -> tuple[float, float]:
    """What values on grids of half the spacing each tend to at the order 2, and how far that may be off."""
    a, b, c = values[-3:]
    limit, before = c + (c - b) / 3, b + (b - a) / 3
    ratio = (b - a) / (c - b) if c != b else 4.0
    if ORDERLY[0] < ratio < ORDERLY[1]:
        return limit, max(abs(limit - before), abs(limit - c) / 5)
    return c, max(abs(c - b), abs(b - a) / 4)
