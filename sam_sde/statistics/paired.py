"""Two arms under common noise: path i of the one saw the same noise as path i of the other."""

import math

import numpy as np

from sam_sde.errors import ArgumentError
from sam_sde.statistics.independent import leaves_on_both_sides
from sam_sde.statistics.intervals import log_normal_interval, normal_interval
from sam_sde.statistics.sample import Outcome, Sample

# A clock that counts steps may end a rounding error below t_max.
END = 1 - 1e-6


def paired_effects(arm: Sample, reference: Sample) -> dict[str, float]:
    """The columns of `compare_samples` for one arm, both samples followed to the same t_max.

    Pairs of which either path failed are left out. Standard errors are those of the mean of one value a
    pair: the difference of the times min(T, t_max) itself, and for a ratio of means a/b the influence of
    the pair on log(a/b). There is no log-rank test, which takes its samples for independent.
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
        **_restricted_means(times, base_times),
        **_rates(times, escaped, base_times, base_escaped),
        "logrank_statistic": math.nan,
        "p_value": math.nan,
        "curves_cross": _curves_cross(np.where(escaped, times, np.inf), np.where(base_escaped, base_times, np.inf)),
    }


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _influence(values: np.ndarray) -> np.ndarray:
    """What each value adds to the logarithm of their mean, to first order and up to a constant."""
    return values / values.mean()


def _restricted_means(times: np.ndarray, base_times: np.ndarray) -> dict[str, float]:
    difference, ratio = math.nan, math.nan
    low, high, ratio_low, ratio_high = [math.nan] * 4
    if times.size > 0:
        difference = float(times.mean() - base_times.mean())
        low, high = normal_interval(difference, _standard_error(times - base_times))
    if base_times.any():
        ratio = float(times.mean() / base_times.mean())
    if ratio > 0:
        influence = _influence(times) - _influence(base_times)
        ratio_low, ratio_high = log_normal_interval(ratio, _standard_error(influence))
    return {
        "rmst_difference": difference,
        "difference_low": low,
        "difference_high": high,
        "rmst_ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }


def _rates(
    times: np.ndarray, escaped: np.ndarray, base_times: np.ndarray, base_escaped: np.ndarray
) -> dict[str, float]:
    ratio, low, high = math.nan, math.nan, math.nan
    if base_escaped.any() and times.any():
        ratio = float((escaped.sum() / times.sum()) * (base_times.sum() / base_escaped.sum()))
    if ratio > 0:
        influence = _influence(escaped) - _influence(times) - _influence(base_escaped) + _influence(base_times)
        low, high = log_normal_interval(ratio, _standard_error(influence))
    return {"rate_ratio": ratio, "rate_ratio_low": low, "rate_ratio_high": high}


def _curves_cross(times: np.ndarray, base_times: np.ndarray) -> bool:
    """As for independent arms, with the variance of a difference of paired proportions (McNemar 1947).

    A path that never escaped has time infinity.
    """
    grid = np.unique(np.concatenate([times, base_times]))

    def fraction_by(values: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.sort(values), grid, side="right") / max(len(values), 1)

    left, base_left, both_left = (fraction_by(values) for values in (times, base_times, np.maximum(times, base_times)))
    difference = base_left - left
    discordant = left + base_left - 2 * both_left
    variance = np.maximum(discordant - difference**2, 0.0) / max(len(times), 1)
    return leaves_on_both_sides(difference, np.sqrt(variance))
