"""The Markov chain on a grid whose exits from a region are those of an SDE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.ndimage import label

from sam_sde.errors import ArgumentError
from sam_sde.theory.exact.grid import Grid
from sam_sde.theory.exact.rates import arm_rates, selling, weights_of

GAUSS = (0.5 - 3**-0.5 / 2, 0.5 + 3**-0.5 / 2)  # places on an arm for an integral along it
PARTS, DIVISIONS = 8, 10  # of an arm, the part in which it leaves being divided again: to 1e-9 of it
SHORTEST = 1e-9  # of an arm
NEGLIGIBLE = 1e-13  # weight of a direction beside that of another
MOST_CHANGE = 4.0  # of a weight from a point along its arm, where the vectors are about to change


@dataclass(frozen=True)
class Generator:
    """Rates between the points (states, 2) inside and out by each face; the start is the state `start`.

    index: whole numbers (states, 2) of the points on their grid.
    spread, spread_out: what makes a sum of squares of differences the square of a gradient, between states and out.

    is_cut: whether the region goes on beyond the grid, which then reflects, along each axis down and up (2, 2).
    """

    q: sparse.csr_array
    leaving: np.ndarray
    spread: sparse.csr_array
    spread_out: np.ndarray
    points: np.ndarray
    index: np.ndarray
    start: int
    is_cut: np.ndarray

    def squared_slope(self, u: np.ndarray) -> np.ndarray:
        """a:∇u∇uᵀ (states,) for u (states,) that is 0 on the boundary.

        The slopes are those to where the chain goes. Its own rates times the squares would be the variance that its
        jumps add, which is too much where the drift takes it from point to point.
        """
        start, end = self.spread.nonzero()
        squares = self.spread_out * u**2
        np.add.at(squares, start, self.spread.data * (u[end] - u[start]) ** 2)
        return squares


def generator(grid: Grid) -> Generator:
    """The chain on the points of the grid that are inside and connected with the start.

    An arm of a point ends at the next point, or where the boundary crosses it (Shortley and Weller 1938): the error is
    of the second order in the spacing.
    """
    coefficients = grid.coefficients
    first, last = grid.first, grid.last
    shape = last - first + 1
    lattice = np.stack(np.meshgrid(*[np.arange(first[i], last[i] + 1) for i in range(2)], indexing="ij"), -1)
    inside = coefficients.inside(grid.points(lattice.reshape(-1, 2))).reshape(shape)
    component, _ = label(inside)
    inside = component == component[tuple(-first)]
    is_cut = np.array([[inside[0].any(), inside[-1].any()], [inside[:, 0].any(), inside[:, -1].any()]])
    number = np.full(shape, -1)
    number[inside] = np.arange(inside.sum())
    index = lattice[inside]
    covariance, _ = grid.in_index(index)
    vectors = selling(covariance)
    weights = weights_of(vectors, covariance)
    n, faces = len(index), coefficients.region.faces
    rows, columns, rates, spreads = [], [], [], []
    leaving, spread_out = np.zeros((n, faces)), np.zeros(n)
    for k in range(3):
        used = np.flatnonzero(weights[:, k] > NEGLIGIBLE * weights.max(axis=1))
        arms = [_Arms(grid, index[used], vectors[used], k, sign, number) for sign in (1, -1)]
        _reflect(*arms)
        at_point = weights[used, k]
        w = np.stack([np.clip(arm.weight, at_point / MOST_CHANGE, at_point * MOST_CHANGE) for arm in arms])
        both = arm_rates(w, *(np.stack([getattr(arm, name) for arm in arms]) for name in ("length", "growth")))
        shares = at_point * both / both.sum(axis=0)
        for arm, rate, share in zip(arms, both, shares, strict=True):
            inner, outer = arm.target >= 0, arm.face >= 0
            rows.append(used[inner])
            columns.append(arm.target[inner])
            rates.append(rate[inner])
            spreads.append((share / arm.length**2)[inner])
            np.add.at(leaving, (used[outer], arm.face[outer]), rate[outer])
            np.add.at(spread_out, used[outer], (share / arm.length**2)[outer])
    where = (np.concatenate(rows), np.concatenate(columns))
    q, spread = (sparse.coo_array((np.concatenate(each), where), shape=(n, n)).tocsr() for each in (rates, spreads))
    return Generator(q, leaving, spread, spread_out, grid.points(index), index, int(number[tuple(-first)]), is_cut)


class _Arms:
    """The ways from points of a grid along the k-th of the vectors (points, 3, 2) of each, forwards or backwards.

    target: the state at the end, -1 for none. face: by which the arm leaves, -1 where it does not. length: the part of
    the vector up to there. growth: ∫p along it; weight: the mean of that of the direction. An arm that has neither
    target nor face leaves the grid.
    """

    def __init__(self, grid: Grid, index: np.ndarray, vectors: np.ndarray, k: int, sign: int, number: np.ndarray):
        n, vector = len(index), sign * vectors[:, k]
        self.target, self.face = np.full(n, -1), np.full(n, -1)
        self.length, self.growth, self.weight = np.ones(n), np.zeros(n), np.zeros(n)
        end = index + vector - grid.first
        on_grid = ((end >= 0) & (end < number.shape)).all(-1)
        self.target[on_grid] = number[tuple(end[on_grid].T)]
        rows = np.flatnonzero(on_grid)
        middle = grid.points(index[rows] + vector[rows] / 2)
        out = (self.target[rows] < 0) | ~grid.coefficients.inside(middle)
        self._cut_short(grid, index, vector, rows[out])
        stays = np.flatnonzero(on_grid | (self.face >= 0))
        for place in GAUSS:
            covariance, p = grid.in_index(index[stays] + place * self.length[stays, None] * vector[stays])
            self.weight[stays] += weights_of(vectors[stays], covariance)[:, k] / len(GAUSS)
            self.growth[stays] += self.length[stays] * (p * vector[stays]).sum(-1) / len(GAUSS)

    def _cut_short(self, grid: Grid, index: np.ndarray, vector: np.ndarray, rows: np.ndarray) -> None:
        def at(part: np.ndarray) -> np.ndarray:
            """The points (rows × parts, 2) at so many parts (rows, parts) of the arms."""
            return grid.points((index[rows, None] + part[..., None] * vector[rows, None]).reshape(-1, 2))

        low, width = np.zeros(len(rows)), np.where(grid.coefficients.inside(at(np.full((len(rows), 1), 0.5))), 1.0, 0.5)
        for _ in range(DIVISIONS):
            probes = low[:, None] + width[:, None] * (np.arange(1, PARTS) / PARTS)
            stays = np.ones((len(rows), PARTS), dtype=bool)
            stays[:, 1:] = grid.coefficients.inside(at(probes)).reshape(probes.shape)
            last = stays.cumprod(axis=1).sum(axis=1) - 1  # of the probes before the first one that is out
            low, width = low + width * last / PARTS, width / PARTS
        self.target[rows] = -1
        self.length[rows] = np.maximum(low, SHORTEST)
        outside = grid.coefficients.levels(at((low + width)[:, None]))
        self.face[rows] = outside.argmax(-1)


def _reflect(one: _Arms, other: _Arms) -> None:
    """Gives an arm that leaves the grid length and weight of its opposite, whose rate is then as in the middle."""
    for arm, opposite in ((one, other), (other, one)):
        gone = (arm.target < 0) & (arm.face < 0)
        arm.length[gone], arm.weight[gone] = opposite.length[gone], opposite.weight[gone]


def require_ways_out(chain: Generator) -> None:
    """Raises ArgumentError where the chain cannot leave."""
    if not chain.leaving.any():
        raise ArgumentError("region", "no boundary of it was found, so nothing can leave; try a bounded region")
