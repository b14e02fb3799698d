"""Escape times in one dimension: integrals of the scale and the speed measure, by their logarithms.

With Φ(x) = ∫ 2f/a the scale has the density s = e^{-Φ}, the speed measure m = (2/a) e^Φ, and the solution of
L u = -b that vanishes at the ends is u(x) = ∫ G(x, y) b(y) m(y) dy with G(x, y) = S(x∧y) R(x∨y)/(S + R), where S and
R are the integrals of s from x to the lower and the upper end. All of it is sums of positive numbers, so no digit is
lost however large the times are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from sam_sde.theory.exact.coefficients import Coefficients

CELLS = 500
MOST_CELLS = 200_000
GROWTH = 3.0  # of Φ in a cell
ORDER = 8  # of the quadrature in a cell
BISECTIONS = 50
JUMP = 1e-7  # of the largest value: what remains between two neighbouring numbers is a jump
NEAR = 0.01  # of a cell
SAME = 1e-12  # of the interval
ROUNDS = 400
SETTLED = 1e-13  # relative change of the rate

NODES, WEIGHTS = legendre.leggauss(ORDER)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


def _partial_weights() -> np.ndarray:
    """W with ∫_0^{x_j} g = Σ_k W_jk g(x_k) for polynomials g, x the nodes of the quadrature on [0, 1]."""
    t = 2 * NODES - 1
    values = legendre.legvander(t, ORDER - 1)
    integrals = np.stack([legendre.legval(t, legendre.legint(unit, lbnd=-1)) for unit in np.eye(ORDER)], axis=1) / 2
    return integrals @ np.linalg.inv(values)


PARTIAL = _partial_weights()


@dataclass(frozen=True)
class Ends:
    """An interval, and which of its ends reflect because the region goes on there."""

    low: float
    high: float
    reflects: tuple[bool, bool] = (False, False)


class Line:
    """The interval `ends` in cells, with breaks where drift or noise jump, the start among the `edges` (cells + 1,).

    refined: how many times the cells are halved.
    """

    def __init__(self, coefficients: Coefficients, ends: Ends, refined: int = 0):
        self._coefficients, self._ends = coefficients, ends
        start = float(coefficients.start[0])
        even = np.linspace(ends.low, ends.high, CELLS + 1)
        breaks, same = np.append(start, self._jumps(even)), SAME * (ends.high - ends.low)
        # A jump at an edge is found in both of its cells, and the start may be at a jump.
        first = (np.abs(breaks[:, None] - breaks) <= same).argmax(axis=1) == np.arange(len(breaks))
        edges = _with(even, breaks[first])
        while True:
            _, h, drift, variance = self._sampled(edges)
            growth = h * (np.abs(2 * drift / variance) @ WEIGHTS)
            steep = growth > GROWTH
            if not steep.any() or len(edges) > MOST_CELLS:
                break
            edges = np.sort(np.concatenate([edges, (edges[:-1] + edges[1:])[steep] / 2]))
        for _ in range(refined):
            edges = np.sort(np.concatenate([edges, (edges[:-1] + edges[1:]) / 2]))
        _, self._h, drift, variance = self._sampled(edges)
        self.edges = edges
        self.start = int(np.abs(edges - start).argmin())
        p = 2 * drift / variance
        self.potential = np.concatenate([[0.0], np.cumsum(self._h * (p @ WEIGHTS))])  # Φ at the edges
        self.potential -= self.potential[self.start]
        inner = self.potential[:-1, None] + self._h[:, None] * (p @ PARTIAL.T)
        self._log_scale, self._log_speed = -inner, inner + np.log(2 / variance)
        self._log_variance = np.log(variance)
        self.cell_variances = variance @ WEIGHTS
        lower, upper = self._from_low(self._log_scale), self._from_high(self._log_scale)
        self.total = lower[0][-1]
        one = tuple(np.zeros_like(each) for each in lower)
        self._lower, self._upper = one if ends.reflects[0] else lower, one if ends.reflects[1] else upper
        self._whole = 0.0 if any(ends.reflects) else self.total

    def _sampled(self, edges: np.ndarray) -> tuple[np.ndarray, ...]:
        h = np.diff(edges)
        x = edges[:-1, None] + h[:, None] * NODES
        points = x.reshape(-1, 1)
        drift, covariance = self._coefficients.drift(points), self._coefficients.covariance(points)
        self._coefficients.check_inside(points, drift, covariance)
        return x, h, drift.reshape(x.shape), covariance.reshape(x.shape)

    def _jumps(self, edges: np.ndarray) -> np.ndarray:
        """Where drift or variance jump, found by bisection in each cell; one in a cell."""

        def values(x: np.ndarray) -> np.ndarray:
            points = x[:, None]
            both = self._coefficients.drift(points), self._coefficients.covariance(points)[:, 0]
            return np.nan_to_num(np.concatenate(both, axis=1))

        low, high = edges[:-1], edges[1:]
        at = values(edges)
        below, above, scale = at[:-1], at[1:], np.abs(at).max(axis=0).clip(min=1e-300)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            between = values(middle)
            first = (np.abs(between - below) / scale).max(-1) >= (np.abs(above - between) / scale).max(-1)
            high, above = np.where(first, middle, high), np.where(first[:, None], between, above)
            low, below = np.where(first, low, middle), np.where(first[:, None], below, between)
        jumps = (np.abs(above - below) / scale).max(-1) > JUMP
        return ((low + high) / 2)[jumps]

    def _from_low(self, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logarithm of ∫ e^log from the lower end to the edges (cells + 1,) and to the nodes (cells, ORDER)."""
        top = log.max(axis=1)
        with np.errstate(divide="ignore"):
            local = np.exp(log - np.where(np.isfinite(top), top, 0.0)[:, None])
            cells = top + np.log(self._h * (local @ WEIGHTS))
            inside = top[:, None] + np.log(self._h[:, None] * np.maximum(local @ PARTIAL.T, 0.0))
        edges = np.concatenate([[-np.inf], np.logaddexp.accumulate(cells)])
        return edges, np.logaddexp(edges[:-1, None], inside)

    def _from_high(self, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        top = log.max(axis=1)
        with np.errstate(divide="ignore"):
            local = np.exp(log - np.where(np.isfinite(top), top, 0.0)[:, None])
            cells = top + np.log(self._h * (local @ WEIGHTS))
            inside = top[:, None] + np.log(self._h[:, None] * np.maximum(local @ PARTIAL[::-1, ::-1].T, 0.0))
        edges = np.concatenate([np.logaddexp.accumulate(cells[::-1])[::-1], [-np.inf]])
        return edges, np.logaddexp(edges[1:, None], inside)

    def solve(self, log_b: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log u at the edges and at the nodes, and log |u'| at the nodes, for L u = -b; log_b: at the nodes."""
        below = self._from_low(self._lower[1] + self._log_speed + log_b)
        above = self._from_high(self._upper[1] + self._log_speed + log_b)
        u = [np.logaddexp(self._upper[i] + below[i], self._lower[i] + above[i]) - self._whole for i in range(2)]
        falls = -np.inf if self._ends.reflects[1] else below[1]
        rises = -np.inf if self._ends.reflects[0] else above[1]
        with np.errstate(divide="ignore"):
            larger = np.maximum(falls, rises)
            slope = self._log_scale + larger + np.log(-np.expm1(-np.abs(rises - falls))) - self._whole
        return u[0], u[1], slope

    def variance(self, slope: np.ndarray) -> np.ndarray:
        """Logarithm of the variance of the escape time at the edges: L v = -a u'²."""
        return self.solve(self._log_variance + 2 * slope)[0]

    def slowest(self, log_mean: np.ndarray) -> tuple[float, np.ndarray]:
        """Logarithm of the smallest eigenvalue λ of -L, and of its eigenfunction at the edges, 0 where it is largest.

        log_mean: of the mean times at the nodes. Powers of the inverse, all of which is positive.
        """
        at_nodes, before = log_mean - log_mean.max(), np.inf
        for _ in range(ROUNDS):
            edges, solved, _ = self.solve(at_nodes)
            log_rate = -solved.max()
            at_nodes = solved + log_rate
            if abs(log_rate - before) < SETTLED * max(1.0, abs(log_rate)):
                break
            before = log_rate
        return float(log_rate), edges - edges.max()

    def sides(self) -> np.ndarray:
        """The probabilities (2,) to leave by the lower and by the upper end."""
        if any(self._ends.reflects):
            return np.array([float(not end) for end in self._ends.reflects])
        return np.exp([self._upper[0][self.start] - self.total, self._lower[0][self.start] - self.total])


def _with(even: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The numbers of both, ascending, but for those of `even` that are so close to others that cells would be tiny."""
    far = np.abs(even[:, None] - others).min(axis=1) > NEAR * (even[1] - even[0])
    far[[0, -1]] = True
    return np.sort(np.concatenate([even[far], others]))
