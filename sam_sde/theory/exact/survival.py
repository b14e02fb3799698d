"""The probability that a Markov chain is still inside, over time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from sam_sde.theory.exact.chain import Chain, without_pivots

# The rational approximation Σ_j c_j (1 - γz)^{-j} of e^z, of the order 4 and without memory of what is fast (L-stable;
# Hairer and Wanner, Solving Ordinary Differential Equations II, table IV.6.4): one matrix for all of its parts.
POLE = 0.57281606248208
PARTS = 4

STEPS = 16  # of the same length, then twice the length
MOST_DOUBLINGS = 45
ALIKE = 1e-7  # relative difference to the slowest mode, from which on it is alone
VISIBLE = 0.01  # of the mode's largest value: where the two are compared
GONE = 1e-13

QUADRATURE = 6000  # times for an integral
QUANTILES, LOGIT = 400, 14.0  # of a curve, evenly by log(S/(1-S)) up to this
NEARLY = 0.01  # of the coefficient of variation


def _shares() -> np.ndarray:
    """c_1 … c_4, for which the derivatives 0 … 3 at z = 0 are 1."""
    rows = []
    for k in range(PARTS):
        rows.append([POLE**k * np.prod([j + i for i in range(k)]) for j in range(1, PARTS + 1)])
    return np.linalg.solve(np.array(rows, dtype=float), np.ones(PARTS))


@dataclass(frozen=True)
class Survival:
    """P(inside at t): a curve through values and slopes at `times`, from the last of them on c·e^{-rate t}.

    stretch: by how much longer all times are than those of the chain.
    """

    times: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    rate: float
    stretch: float = 1.0

    def __call__(self, t: np.ndarray) -> np.ndarray:
        t = np.asarray(t, dtype=float) / self.stretch
        curve = CubicHermiteSpline(self.times, self.values, self.slopes)
        last = self.times[-1]
        tail = self.values[-1] * np.exp(-self.rate * np.maximum(t - last, 0.0))
        return np.clip(np.where(t < last, curve(np.minimum(t, last)), tail), 0.0, 1.0)


def survival(chain: Chain, start: int, rate: float, mode: np.ndarray) -> Survival:
    """The survival function of the chain from one state.

    rate, mode: those of its slowest mode, which is all that is left in the end; until then steps are taken, whose
    length grows with the time.
    """
    a, visible = chain.a.tocsc(), mode > VISIBLE
    shares, identity = _shares(), sparse.eye_array(len(mode), format="csc")
    step, t, v = 0.25 / np.median(chain.total), 0.0, np.ones(len(mode))
    times, values, slopes = [0.0], [1.0], [0.0]
    row = chain.a[[start]]
    for _ in range(MOST_DOUBLINGS):
        lu = without_pivots(identity + POLE * step * a)
        for _ in range(STEPS):
            part, after = v, 0.0
            for share in shares:
                part = lu.solve(part)
                after = after + share * part
            v, t = after, t + step
            times.append(t)
            values.append(v[start])
            slopes.append(-(row @ v)[0])
        ratio = v[visible] / mode[visible]
        if np.ptp(ratio) < ALIKE * ratio.max() or v.max() < GONE:
            break
        step *= 2
    return Survival(np.array(times), np.array(values), np.array(slopes), rate)


def extrapolated(coarse: Survival, fine: Survival, mean: float, deviation: float) -> Survival:
    """The survival function that those of two grids tend to, for a mean and a standard deviation that are known.

    A drift that is strong beside the noise takes a chain from point to point, and the waits there spread its times,
    with a variance that goes with the spacing. Each quantile is then extrapolated so far that the spread is that of
    `deviation`. Where the fine chain has nearly that, its times are stretched alone.
    """
    t = np.concatenate([[0.0], np.geomspace(1e-6, 60.0, QUADRATURE) * mean])
    moments = [_moments(t, curve(t)) for curve in (coarse, fine)]
    spreads = [spread / middle for middle, spread in moments]
    known = deviation / mean
    if abs(spreads[1] / known - 1) < NEARLY or abs(spreads[1] - spreads[0]) < NEARLY * known:
        return _stretched(fine, mean / moments[1][0])
    further = np.clip((known - spreads[1]) / (spreads[1] - spreads[0]), 0.0, 1.0)
    levels = 1 / (1 + np.exp(np.linspace(-LOGIT, LOGIT, QUANTILES)))  # from 1 down to 0
    at = [np.log(np.interp(-levels, -curve(t[1:]), t[1:])) for curve in (coarse, fine)]
    times = np.exp(np.maximum.accumulate(at[1] + further * (at[1] - at[0])))
    times, kept = np.unique(times, return_index=True)
    times, values = np.append(0.0, times), np.append(1.0, levels[kept])
    slopes = PchipInterpolator(times, values).derivative()(times)
    curve = Survival(times, values, slopes, fine.rate)
    return _stretched(curve, mean / _moments(t, curve(t))[0])


def _stretched(curve: Survival, by: float) -> Survival:
    return replace(curve, stretch=curve.stretch * by)


def _moments(t: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of a time with the survival function `inside` at t."""
    mean = np.trapezoid(inside, t)
    return float(mean), float(np.sqrt(max(np.trapezoid(2 * t * inside, t) - mean**2, 0.0)))
