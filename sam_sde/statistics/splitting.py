"""The mean escape time from independent repeats of splitting, with its interval.

With p the probability that a loop leaves, a loop of mean time L, and s the mean time to the first one that may,

    E τ = s + (1 - q) L / p

where q is the fraction of paths that leave before that (Hill, "Free Energy Transduction in Biology", 1977). The mean of
1/p̂ over the repeats would be too large: p̂ and L are averaged first, and divided then. Intervals are Student's on the
logarithmic scale, with the variance of the jackknife over the repeats.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from sam_sde.statistics.intervals import Interval, difference_interval, student

# A repeat whose probability is so many times the mean carries it: the others miss what it found. So do they where its
# logarithm is so many standard deviations, as the median deviation tells them, above the median.
MANY_TIMES, MOST_OF_FEW = 4.0, 0.75  # times the mean, or of the number of repeats where these are few
MANY_DEVIATIONS, ENOUGH_REPEATS = 6.0, 12
FEW_ANCESTORS = 10


class Estimate(NamedTuple):
    """A number above 0, its interval, and its relative standard error."""

    value: float
    low: float
    high: float
    relative_error: float


def mean_of_repeats(values: np.ndarray) -> Estimate:
    """The mean of values (repeats,) of which none is below 0; without an interval where all are 0."""
    return _log_estimate(lambda chosen: values[chosen].mean(), len(values))


def mean_escape_time(probability: np.ndarray, loop: np.ndarray, start: np.ndarray, start_left: np.ndarray) -> Estimate:
    """E τ from arrays (repeats,) of p̂, L, s and q, in the unit of L and s; infinite where no repeat left."""

    def time(chosen: np.ndarray) -> float:
        p = probability[chosen].mean()
        if p == 0:
            return math.inf
        return start[chosen].mean() + (1.0 - start_left[chosen].mean()) * loop[chosen].mean() / p

    return _log_estimate(time, len(probability))


def _log_estimate(statistic, n_repeats: int) -> Estimate:
    everything = np.arange(n_repeats)
    value = float(statistic(everything))
    without = np.array([statistic(np.delete(everything, i)) for i in everything])
    if not (0 < value < math.inf and (without > 0).all() and np.isfinite(without).all()):
        return Estimate(value, math.nan, math.nan, math.nan)
    logs = np.log(without)
    error = math.sqrt((n_repeats - 1) / n_repeats * float(((logs - logs.mean()) ** 2).sum()))
    half = student(n_repeats - 1) * error
    return Estimate(value, value * math.exp(-half), value * math.exp(half), error)


def distrust(probability: np.ndarray, fewest_ancestors: int) -> str | None:
    """Why the mean of p̂ (repeats,) may be far from what was to be found, or None.

    The law of p̂ has a heavy tail where the score leads walkers by another way than the one they mostly leave by: most
    repeats are then too small, and one of many carries the mean.
    """
    mean = probability.mean()
    if mean == 0:
        return "no walker of any repeat came to the exit"
    extinct = int((probability == 0).sum())
    if extinct:
        return f"in {extinct} of {len(probability)} repeats no walker came to the exit"
    largest, logs = probability.max() / mean, np.log(probability)
    if largest > min(MANY_TIMES, MOST_OF_FEW * len(probability)):
        return f"the repeats disagree: the largest probability is {largest:.2g} times their mean"
    above, deviation = logs.max() - np.median(logs), stats.median_abs_deviation(logs, scale="normal")
    if len(logs) >= ENOUGH_REPEATS and above > MANY_DEVIATIONS * deviation:
        return f"the repeats disagree: the largest probability is {math.exp(above):.2g} times their median"
    if fewest_ancestors < FEW_ANCESTORS:
        return f"all walkers that left descend from {fewest_ancestors} of the first ones in one repeat"
    return None


def log_ratio_interval(value: float, interval: Interval, base: float, base_interval: Interval) -> Interval:
    """Of value / base, two independent estimates above 0, by their intervals' logarithms (Zou and Donner 2008)."""
    if not (value > 0 and base > 0):
        return math.nan, math.nan
    logs = ([math.log(x) if x > 0 else -math.inf for x in each] for each in (interval, base_interval))
    low, high = difference_interval(math.log(value), next(logs), math.log(base), next(logs))
    return math.exp(low), math.exp(high)
