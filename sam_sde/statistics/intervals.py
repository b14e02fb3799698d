"""The 95 % intervals. A bound that a sample cannot support is NaN: not infinity, not the estimate itself."""

import math

from scipy import special, stats

Interval = tuple[float, float]

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = float(stats.norm.isf(TAIL))

# Relative spread below which values are equal but for rounding.
EQUAL = 1e-12


def student(degrees: int) -> float:
    """Half the width of a 95 % interval in standard errors; at least one degree of freedom."""
    return float(-special.stdtrit(max(degrees, 1), TAIL))


def unseen_share(n: int) -> float:
    """The largest share of all paths that may behave as none of n did (Clopper and Pearson 1934): 3.7/n for large n."""
    return -math.expm1(math.log(TAIL) / n)


def degrees_of_freedom(n_paths: int, n_escaped: int) -> int:
    """Of a variance that few paths or few escapes tell; measured, see tests/statistics/test_coverage.py."""
    return min(n_escaped + 3, n_paths - 2)


def bounded_mean_interval(mean: float, error: float, bound: float, n_paths: int, n_escaped: int) -> Interval:
    """The interval of a mean of values in [0, bound], of which `n_escaped` of `n_paths` lie below the bound.

    Student's, on the scale log(mean / (bound - mean)): the sum of the few gaps that escapes leave to the bound is as
    skewed as the mean of a few long times. Where nothing varied at all, up to `unseen_share` of the paths may do
    otherwise.
    """
    if not error > EQUAL * bound:
        share = unseen_share(n_paths)
        return mean * (1 - share), mean + (bound - mean) * share
    half_width = student(degrees_of_freedom(n_paths, n_escaped)) * error * bound / (mean * (bound - mean))
    centre = math.log(mean / (bound - mean))
    return float(bound * special.expit(centre - half_width)), float(bound * special.expit(centre + half_width))


def wilson_interval(successes: int, trials: int) -> Interval:
    """Score interval of a proportion (Wilson 1927)."""
    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def garwood_interval(events: int, exposure: float) -> Interval:
    """Exact interval of a Poisson rate, `events` seen in a total time `exposure` (Garwood 1936)."""
    if not exposure > 0:
        return math.nan, math.nan
    low = special.gammaincinv(events, TAIL) if events > 0 else 0.0
    high = special.gammainccinv(events + 1, TAIL)
    return float(low / exposure), float(high / exposure)


def difference_interval(value: float, interval: Interval, base: float, base_interval: Interval) -> Interval:
    """Of value - base, two independent estimates with their intervals (Zou and Donner 2008)."""
    (low, high), (base_low, base_high) = interval, base_interval
    return (
        value - base - math.hypot(value - low, base_high - base),
        value - base + math.hypot(high - value, base - base_low),
    )


def ratio_interval(value: float, interval: Interval, base: float, base_interval: Interval) -> Interval:
    """Of value / base, two independent estimates that are 0 or more, with their intervals (Donner and Zou 2012).

    It holds every ratio r with 0 in the interval of value - r·base. A bound at infinity is NaN.
    """
    (low, high), (base_low, base_high) = interval, base_interval
    product = value * base

    def root(squared: float, base_squared: float) -> float:
        return product + math.sqrt(max(product**2 - squared * base_squared, 0.0))

    ratio_low = ratio_high = math.nan
    if base_high > 0 and max(value, base) > 0:
        squared = low * (2 * value - low)
        ratio_low = squared / root(squared, base_high * (2 * base - base_high)) if low > 0 else 0.0
    if base_low > 0:
        base_squared = base_low * (2 * base - base_low)
        ratio_high = root(high * (2 * value - high), base_squared) / base_squared
    return ratio_low, ratio_high
