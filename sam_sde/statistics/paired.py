"""Two arms under common noise: path i of the one saw the same noise as path i of the other."""

import math

import numpy as np

from sam_sde.errors import ArgumentError
from sam_sde.statistics.crossing import leaves_on_both_sides, looked_at
from sam_sde.statistics.intervals import EQUAL, Interval, ratio_interval, student, unseen_share
from sam_sde.statistics.rates import log_influence, mean_error, rate
from sam_sde.statistics.sample import Outcome, Sample

# A clock that counts steps may end a rounding error below t_max.
END = 1 - 1e-6


def paired_effects(arm: Sample, reference: Sample) -> dict[str, float]:
    """The columns of `compare_samples` for one arm, both samples followed to the same t_max.

    Pairs of which either path failed are left out. Intervals are Student's, with as many degrees of freedom as
    there are pairs whose times min(T, t_max) differ, but at most half of all, because differences are often skewed
    to one side: for the mean of the differences; for a ratio r by the differences time - r·reference time (Fieller
    1954), so that it holds 1 where the difference holds 0; for the ratio of rates by what each pair adds to its
    logarithm. There is no log-rank test, which takes its samples for independent.
    """
    if len(arm) != len(reference):
        raise ArgumentError("paired", f"expected as many paths in each arm, got {len(arm)} and {len(reference)}")
    for sample in (arm, reference):
        if ((sample.outcome == Outcome.CENSORED) & (sample.times < sample.t_max * END)).any():
            raise ArgumentError("paired", "expected every path that stayed to be followed to t_max")
    kept = ~(arm.failed | reference.failed)
    times, base_times = arm.times[kept], reference.times[kept]
    escaped, base_escaped = arm.escaped[kept], reference.escaped[kept]
    return {
        **_restricted_means(times, base_times, arm.t_max),
        **_rates(times, escaped, base_times, base_escaped),
        "logrank_statistic": math.nan,
        "p_value": math.nan,
        "log10_p_value": math.nan,
        "curves_cross": _curves_cross(np.where(escaped, times, np.inf), np.where(base_escaped, base_times, np.inf)),
    }


def _half_width(times: np.ndarray, base_times: np.ndarray) -> float:
    """Half the width of an interval in standard errors."""
    return student(min(np.count_nonzero(times != base_times), (len(times) + 1) // 2))


def _restricted_means(times: np.ndarray, base_times: np.ndarray, t_max: float) -> dict[str, float]:
    difference, ratio = math.nan, math.nan
    interval = ratio_bounds = (math.nan, math.nan)
    if times.size > 0:
        difference = float(times.mean() - base_times.mean())
        interval = _difference_interval(times, base_times, t_max)
    if base_times.any():
        base = float(base_times.mean())
        ratio = float(times.mean()) / base
        varied = mean_error(times - base_times) > EQUAL * t_max
        ratio_bounds = (
            _fieller_interval(times, base_times)
            if varied
            else (max(1 + interval[0] / base, 0.0), 1 + interval[1] / base)
        )
    return {
        "rmst_difference": difference,
        "difference_low": interval[0],
        "difference_high": interval[1],
        "rmst_ratio": ratio,
        "ratio_low": ratio_bounds[0],
        "ratio_high": ratio_bounds[1],
    }


def _difference_interval(times: np.ndarray, base_times: np.ndarray, t_max: float) -> Interval:
    """Where no difference varied, up to `unseen_share` of the pairs may do otherwise."""
    difference, error = float((times - base_times).mean()), mean_error(times - base_times)
    if error > EQUAL * t_max:
        half_width = _half_width(times, base_times) * error
        return difference - half_width, difference + half_width
    share = unseen_share(len(times))
    return difference - share * (t_max + difference), difference + share * (t_max - difference)


def _fieller_interval(times: np.ndarray, base_times: np.ndarray) -> Interval:
    """All ratios r for which mean(times - r·base_times) may be 0; a bound at infinity is NaN."""
    (variance, covariance), (_, base_variance) = np.cov(times, base_times)
    spread = _half_width(times, base_times) ** 2 / len(times)
    mean, base = times.mean(), base_times.mean()
    # The bounds are the roots of a r² - 2 b r + c.
    a, b, c = base**2 - spread * base_variance, mean * base - spread * covariance, mean**2 - spread * variance
    root = b + math.sqrt(max(b**2 - a * c, 0.0))
    return float(c / root) if c > 0 else 0.0, float(root / a) if a > 0 else math.nan


def _rates(
    times: np.ndarray, escaped: np.ndarray, base_times: np.ndarray, base_escaped: np.ndarray
) -> dict[str, float]:
    (estimate, interval), (base, base_interval) = rate(times, escaped), rate(base_times, base_escaped)
    if estimate > 0 and base > 0:
        low, high = _rate_ratio_interval(times, escaped, base_times, base_escaped)
    else:  # of an arm without escapes all that is known is its own bound
        low, high = ratio_interval(estimate, interval, base, base_interval)
    return {
        "rate_ratio": estimate / base if base > 0 else math.nan,
        "rate_ratio_low": low,
        "rate_ratio_high": high,
    }


def _rate_ratio_interval(
    times: np.ndarray, escaped: np.ndarray, base_times: np.ndarray, base_escaped: np.ndarray
) -> Interval:
    """The variance is as if of one pair more only the one path had escaped, and of another only the other.

    A few pairs that escape both, or stay both, would have none at all.
    """
    influence = log_influence(escaped) - log_influence(times) - log_influence(base_escaped) + log_influence(base_times)
    more = sum((1 - of.mean()) / np.count_nonzero(of) ** 2 for of in (escaped, base_escaped))
    log_ratio = math.log(escaped.mean() / times.mean() * base_times.mean() / base_escaped.mean())
    half_width = _half_width(times, base_times) * math.hypot(mean_error(influence), math.sqrt(more))
    if not half_width > EQUAL:  # no error was seen, or of one pair alone
        return math.nan, math.nan
    return math.exp(log_ratio - half_width), math.exp(log_ratio + half_width)


def _curves_cross(times: np.ndarray, base_times: np.ndarray) -> bool:
    """As for independent arms, with the variance of a difference of paired proportions (McNemar 1947).

    A path that never escaped has time infinity.
    """
    everything = np.concatenate([times, base_times])
    at = looked_at(everything[np.isfinite(everything)])

    def fraction_by(values: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.sort(values), at, side="right") / max(len(values), 1)

    left, base_left, both_left = (fraction_by(values) for values in (times, base_times, np.maximum(times, base_times)))
    difference = base_left - left
    discordant = left + base_left - 2 * both_left
    variance = np.maximum(discordant - difference**2, 0.0) / max(len(times), 1)
    return leaves_on_both_sides(difference, np.sqrt(variance))
