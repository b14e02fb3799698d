"""The 95 % intervals. A bound that a sample cannot support is NaN: not infinity, not the estimate itself."""

import math

import numpy as np
from scipy import stats

Interval = tuple[float, float]

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = float(stats.norm.isf(TAIL))


def normal_interval(estimate: float, standard_error: float) -> Interval:
    """estimate ± 1.96 standard errors; empty where nothing varied, because then no error was estimated."""
    if not standard_error > 0:
        return math.nan, math.nan
    return estimate - Z * standard_error, estimate + Z * standard_error


def log_normal_interval(ratio: float, log_standard_error: float) -> Interval:
    """ratio · exp(± 1.96 standard errors of its logarithm): the delta method for a ratio of means."""
    if not (ratio > 0 and log_standard_error > 0):
        return math.nan, math.nan
    factor = math.exp(Z * log_standard_error)
    return ratio / factor, ratio * factor


def t_interval(values: np.ndarray) -> Interval:
    """Student's interval for the mean of independent values."""
    if len(values) < 2:
        return math.nan, math.nan
    standard_error = values.std(ddof=1) / math.sqrt(len(values))
    if not standard_error > 0:
        return math.nan, math.nan
    width = stats.t.isf(TAIL, len(values) - 1) * standard_error
    return float(values.mean() - width), float(values.mean() + width)


def wilson_interval(successes: int, trials: int) -> Interval:
    """Score interval of a proportion (Wilson 1927)."""
    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def garwood_interval(events: int, exposure: float) -> Interval:
    """Exact interval of a Poisson rate, `events` seen in a total time `exposure` (Garwood 1936)."""
    if not exposure > 0:
        return math.nan, math.nan
    low = stats.chi2.ppf(TAIL, 2 * events) / 2 if events > 0 else 0.0
    high = stats.chi2.isf(TAIL, 2 * (events + 1)) / 2
    return float(low / exposure), float(high / exposure)


def rate_ratio_interval(events: int, exposure: float, base_events: int, base_exposure: float) -> Interval:
    """Exact interval of a ratio of two Poisson rates (Przyborowski and Wilenski 1940).

    Given the total of both counts, `events` is binomial with odds ratio · exposure / base_exposure, so the
    interval of Clopper and Pearson (1934) for its probability is one for the ratio. A bound at infinity is
    NaN.
    """
    if not (exposure > 0 and base_exposure > 0) or events + base_events == 0:
        return math.nan, math.nan
    share = stats.binomtest(events, events + base_events).proportion_ci(CONFIDENCE, method="exact")
    scale = base_exposure / exposure
    low = share.low / (1 - share.low) * scale
    high = share.high / (1 - share.high) * scale if share.high < 1 else math.nan
    return float(low), float(high)
