"""Escape times in one dimension: the interval, the integrals on it, and its survival function."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sam_sde.errors import ArgumentError
from sam_sde.theory.exact.chain import Chain, beyond
from sam_sde.theory.exact.coefficients import Coefficients, region_extents
from sam_sde.theory.exact.line import Ends, Line
from sam_sde.theory.exact.rates import arm_rates
from sam_sde.theory.exact.result import ExactEscape, by_side
from sam_sde.theory.exact.survival import survival

LARGEST_LOG = 300 * np.log(10)
ROUNDED = 1e-12
UNCHANGED, MOST_WALLS = 1e-9, 20  # relative change of the mean time by a wall, and how often one is moved


def solve_line(coefficients: Coefficients) -> ExactEscape:
    """What `exact_escape_times` returns in one dimension, and its errors; the error by cells of half the length."""
    ends = _ends(coefficients)
    coarse, line = Line(coefficients, ends), Line(coefficients, ends, refined=1)
    coefficients.require_elliptic(line.edges[1:-1, None])
    other = coarse.solve(0.0)[0][coarse.start]
    log_mean, at_nodes, slope = line.solve(0.0)
    at_start = log_mean[line.start]
    if not at_start < LARGEST_LOG:
        raise beyond(at_start / np.log(10))
    log_rate, log_mode = line.slowest(at_nodes)
    mean, rate = float(np.exp(at_start)), float(np.exp(log_rate))
    error = mean * max(abs(np.expm1(at_start - other)), ROUNDED * max(1.0, abs(line.potential).max()))
    fast = _line_chain(coarse, ends)
    mode = np.exp(coarse.slowest(coarse.solve(0.0)[1])[1])
    states = slice(None if ends.reflects[0] else 1, None if ends.reflects[1] else -1)
    first = coarse.start - (0 if ends.reflects[0] else 1)
    return ExactEscape(
        mean,
        float(error),
        float(np.exp(line.variance(slope)[line.start] / 2)),
        rate,
        by_side(coefficients.region, 1, line.sides()),
        line.edges[:, None],
        np.exp(log_mean),
        np.exp(log_mode),
        survival(fast, first, rate, mode[states]),
    )


def _ends(coefficients: Coefficients) -> Ends:
    """The interval; where the region goes on without end a wall, so far that it changes nothing."""
    start = float(coefficients.start[0])
    up, down = region_extents(coefficients, np.array([[1.0], [-1.0]]))
    reflects = (bool(np.isinf(down)), bool(np.isinf(up)))
    if not any(reflects):
        return Ends(start - down, start + up)
    wall, before = min(up, down), np.inf
    for _ in range(MOST_WALLS):
        ends = Ends(start - (wall if reflects[0] else down), start + (wall if reflects[1] else up), reflects)
        line = Line(coefficients, ends)
        log_mean = line.solve(0.0)[0][line.start]
        if abs(log_mean - before) < UNCHANGED:
            return ends
        before, wall = log_mean, 2 * wall
    raise ArgumentError(
        "region",
        f"{coefficients.region} has no end on one side, and nothing confines the paths there: the mean escape time "
        "grows with the part of it that is looked at; try a bounded region",
    )


def _line_chain(line: Line, ends: Ends) -> Chain:
    """The chain on the edges of the cells."""
    lengths, growths = np.diff(line.edges), np.diff(line.potential)
    # An edge has the cells `below` and `above`; at an end the one that is missing is as the other, seen in a mirror.
    cells = np.arange(len(lengths))
    below, above = np.append(0, cells), np.append(cells, cells[-1])
    outwards = np.stack([-growths[below], growths[above]])
    outwards[0, 0], outwards[1, -1] = growths[0], -growths[-1]
    both = np.stack([below, above])
    down, up = arm_rates(line.cell_variances[both], lengths[both], outwards)
    if ends.reflects[0]:
        up[0] *= 2
    if ends.reflects[1]:
        down[-1] *= 2
    first, last = (0 if ends.reflects[0] else 1), len(line.edges) - (0 if ends.reflects[1] else 1)
    down, up = down[first:last], up[first:last]
    q = sparse.diags_array([down[1:], up[:-1]], offsets=[-1, 1], format="csr")
    leaving = np.zeros((len(up), 2))
    leaving[0, 0] = 0.0 if ends.reflects[0] else down[0]
    leaving[-1, 1] = 0.0 if ends.reflects[1] else up[-1]
    return Chain(q, leaving, [line.start - first])
