"""The Kaplan-Meier curve, and the two numbers read off it: the restricted mean and the median."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sam_sde.statistics.intervals import EQUAL, Z, bounded_mean_interval
from sam_sde.statistics.levels import mean_over_levels
from sam_sde.statistics.sample import Sample

# A product of fractions that is exactly one half on paper may be a rounding error above it.
ONE_HALF = 0.5 * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """The product-limit estimate (Kaplan and Meier 1958) at the distinct escape times.

    `survival` is the estimate just after each of `times`; `at_risk` counts the paths inside and under
    observation just before; `variance_of_log` is what each escape time adds to the variance of log survival
    (Greenwood 1926).
    """

    times: np.ndarray
    at_risk: np.ndarray
    survival: np.ndarray
    variance_of_log: np.ndarray

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Survival and its Greenwood variance just after each of `times`."""
        index = np.searchsorted(self.times, times, side="right")
        survival = np.append(1.0, self.survival)[index]
        return survival, survival**2 * np.append(0.0, np.cumsum(self.variance_of_log))[index]


def number_at_risk(observed: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How many of the `observed` times are not before each of `times`."""
    return len(observed) - np.searchsorted(np.sort(observed), times, side="left")


def kaplan_meier(sample: Sample) -> KaplanMeier:
    """The curve of the paths that did not fail, of which there has to be one."""
    observed, escaped = sample.times[~sample.failed], sample.escaped[~sample.failed]
    times, escapes = np.unique(observed[escaped], return_counts=True)
    at_risk = number_at_risk(observed, times)
    staying = at_risk - escapes
    survival = np.cumprod(staying / at_risk)
    # Where nobody stays survival is 0 without a variance of its logarithm, and nothing comes after.
    variance_of_log = np.where(staying > 0, escapes / (at_risk * np.maximum(staying, 1.0)), 0.0)
    return KaplanMeier(times, at_risk, survival, variance_of_log)


def survival_curve(sample: Sample) -> pd.DataFrame:
    """The Kaplan-Meier curve with pointwise 95 % intervals; failed paths are left out.

    One row for time 0 before anything happened, one for every distinct escape time t = lr·steps, and one
    for the last time at which a path was seen, if that is later. `survival` is the probability of being
    inside just after `time`, and `at_risk` the number inside and under observation just before it. `low`
    and `high` are the log-log ("exponential Greenwood") intervals of Kalbfleisch and Prentice (1980). The
    formula is undefined at the two ends: where survival is 1 so are both bounds, and where it is 0 `low` is
    0 and `high` stays where it was.
    """
    observed = sample.times[~sample.failed]
    if observed.size == 0:
        empty = {"time": 0.0, "survival": math.nan, "low": math.nan, "high": math.nan, "at_risk": 0}
        return pd.DataFrame([empty])
    curve = kaplan_meier(sample)
    times = np.append(0.0, curve.times)
    if observed.max() > times[-1]:
        times = np.append(times, observed.max())
    # Row i comes after i escape times; a last row without an escape repeats the estimate before it.
    row = np.minimum(np.arange(len(times)), len(curve.times))
    survival = np.append(1.0, curve.survival)[row]
    low, high = _log_log_band(survival, np.append(0.0, np.cumsum(curve.variance_of_log))[row])
    at_risk = number_at_risk(observed, times)
    return pd.DataFrame({"time": times, "survival": survival, "low": low, "high": high, "at_risk": at_risk})


def _log_log_band(survival: np.ndarray, variance_of_log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Survival to the powers exp(± 1.96 standard errors of log(-log survival))."""
    low, high = survival.copy(), survival.copy()
    inside = (survival > 0) & (survival < 1)
    width = Z * np.sqrt(variance_of_log[inside]) / -np.log(survival[inside])
    low[inside] = survival[inside] ** np.exp(width)
    high[inside] = survival[inside] ** np.exp(-width)
    if survival[-1] == 0:  # only the last row can be, and the first never is
        high[-1] = high[-2]
    return low, high


def thin(curve: pd.DataFrame, rows: int = 1000) -> pd.DataFrame:
    """At most `rows` rows of a curve, evenly spread, the first and the last among them; no row is changed."""
    if len(curve) <= rows:
        return curve
    keep = np.linspace(0, len(curve) - 1, rows).round().astype(int)
    return curve.iloc[keep].reset_index(drop=True)


def restricted_mean(sample: Sample) -> tuple[float, float]:
    """The mean of min(T, t_max), and its standard error; NaN when every path failed.

    The mean is the area under the Kaplan-Meier curve to t_max (Irwin 1949), and its variance the sum over
    escape times of (area that remains)² · escapes / (at risk · staying) (Greenwood 1926; Klein and
    Moeschberger 2003, section 4.5). Where paths were censored before t_max and no later escape was seen,
    the curve continues level.
    """
    if sample.failed.all():
        return math.nan, math.nan
    curve = kaplan_meier(sample)
    edges = np.concatenate([[0.0], curve.times, [sample.t_max]])
    area = np.append(1.0, curve.survival) * np.diff(edges)
    remaining = np.cumsum(area[::-1])[::-1][1:]
    return float(area.sum()), math.sqrt(np.sum(remaining**2 * curve.variance_of_log))


def restricted_mean_interval(sample: Sample) -> tuple[float, float, float]:
    """The restricted mean with its 95 % interval, `bounded_mean_interval`; NaN when every path failed.

    Of a sample with levels both are of all of them, see `mean_over_levels`.
    """
    n_paths = len(sample) - int(np.count_nonzero(sample.failed))
    if n_paths == 0:
        return math.nan, math.nan, math.nan
    if sample.levels:
        mean, error = mean_over_levels(sample.levels)
        mean = min(max(mean, EQUAL * sample.t_max), (1 - EQUAL) * sample.t_max)  # a sum of means may leave the bounds
    else:
        mean, error = restricted_mean(sample)
        # Greenwood's variance is that of a mean of n values with divisor n.
        error *= math.sqrt(n_paths / max(n_paths - 1, 1))
    return mean, *bounded_mean_interval(mean, error, sample.t_max, n_paths, int(np.count_nonzero(sample.escaped)))


def median_time(curve: pd.DataFrame) -> tuple[float, float, float]:
    """The median escape time with its 95 % interval, read off a whole curve (not a thinned one).

    Each is the first time at which the survival, its lower and its upper bound are at most one half
    (Brookmeyer and Crowley 1982), and NaN, never infinity, when that was not reached.
    """

    def first_time(column: str) -> float:
        reached = curve[column].to_numpy() <= ONE_HALF
        return float(curve["time"].to_numpy()[reached.argmax()]) if reached.any() else math.nan

    return first_time("survival"), first_time("low"), first_time("high")
