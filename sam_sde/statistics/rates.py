"""Escapes over the time inside: a rate, its interval whether or not it is constant, and whether it is."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sam_sde.statistics.intervals import EQUAL, Interval, degrees_of_freedom, garwood_interval, student
from sam_sde.statistics.sample import Sample

REFUTED = 0.01
NOTABLE = 0.05


def rate(times: np.ndarray, escaped: np.ndarray) -> tuple[float, Interval]:
    """Escapes over total time inside with its interval; NaN where no time was spent.

    times, escaped: (paths,), when each path escaped or was last seen, and whether it escaped.

    The interval is Student's for the logarithm of the ratio of the two means, whose error is that of what a path adds
    to it, escaped/mean(escaped) - time/mean(time) (the "sandwich" of Lin and Wei 1989): it needs no constant rate.
    Without an escape, or where nothing varied, it is that of a Poisson process, `garwood_interval`.
    """
    escapes, exposure = int(np.count_nonzero(escaped)), float(times.sum())
    if not exposure > 0:
        return math.nan, (math.nan, math.nan)
    estimate = escapes / exposure
    error = mean_error(log_influence(escaped) - log_influence(times)) if escapes > 0 else 0.0
    if not error > EQUAL:
        return estimate, garwood_interval(escapes, exposure)
    factor = math.exp(student(degrees_of_freedom(len(times), escapes)) * error)
    return estimate, (estimate / factor, estimate * factor)


def log_influence(values: np.ndarray) -> np.ndarray:
    """What each value adds to the logarithm of their mean, to first order and up to a constant."""
    return values / values.mean()


def mean_error(values: np.ndarray) -> float:
    """The standard error of a mean of independent values; NaN of one alone."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Departure:
    """Where escapes are farthest from a constant rate: a share of them came in another share of the time inside."""

    escapes: float
    time_inside: float
    p_value: float

    @property
    def refutes(self) -> bool:
        """Whether a constant rate is refuted at 1 %, by a twentieth of the escapes or more that came out of turn."""
        return self.p_value < REFUTED and abs(self.escapes - self.time_inside) > NOTABLE


def departure_from_constant_rate(sample: Sample) -> Departure | None:
    """Kolmogorov's test that escapes come at a constant rate; None without escapes.

    At a constant rate the n-th of k escapes comes when n/k of the total time inside has passed ("total time on test",
    Barlow and Campo 1975), up to a Brownian bridge: the largest distance of the two shares follows Kolmogorov's law,
    whatever was censored.
    """
    times, escapes = np.unique(sample.times[sample.escaped], return_counts=True)
    exposure = sample.times.sum()
    if len(times) == 0 or not exposure > 0:
        return None
    inside = _time_inside_by(times, sample.times) / exposure
    escaped = (np.cumsum(escapes) - escapes / 2) / escapes.sum()  # half of those that happen at this moment
    farthest = np.argmax(np.abs(escaped - inside))
    p_value = stats.kstwo.sf(abs(escaped - inside)[farthest], escapes.sum())
    return Departure(float(escaped[farthest]), float(inside[farthest]), float(p_value))


def _time_inside_by(times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The time that paths which end at `ends` have spent inside before each of `times`, summed over paths."""
    ends = np.sort(ends)
    ended = np.searchsorted(ends, times, side="right")
    return np.append(0.0, np.cumsum(ends))[ended] + times * (len(ends) - ended)
