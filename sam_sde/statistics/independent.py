"""Two arms whose paths saw independent noise."""

import math

import numpy as np

from sam_sde.statistics.crossing import leaves_on_both_sides, looked_at
from sam_sde.statistics.intervals import difference_interval, ratio_interval
from sam_sde.statistics.logrank import logrank
from sam_sde.statistics.rates import rate
from sam_sde.statistics.sample import Sample
from sam_sde.statistics.survival import kaplan_meier, restricted_mean_interval


def independent_effects(arm: Sample, reference: Sample) -> dict[str, float]:
    """The columns of `compare_samples` for one arm, both samples followed to the same t_max."""
    return {
        **_restricted_means(arm, reference),
        **_rates(arm, reference),
        **logrank(arm, reference),
        "curves_cross": _curves_cross(arm, reference),
    }


def _restricted_means(arm: Sample, reference: Sample) -> dict[str, float]:
    mean, *interval = restricted_mean_interval(arm)
    base, *base_interval = restricted_mean_interval(reference)
    low, high = difference_interval(mean, interval, base, base_interval)
    ratio_low, ratio_high = ratio_interval(mean, interval, base, base_interval)
    return {
        "rmst_difference": mean - base,
        "difference_low": low,
        "difference_high": high,
        "rmst_ratio": mean / base if base > 0 else math.nan,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }


def _rates(arm: Sample, reference: Sample) -> dict[str, float]:
    estimate, interval = rate(arm.times, arm.escaped)
    base, base_interval = rate(reference.times, reference.escaped)
    low, high = ratio_interval(estimate, interval, base, base_interval)
    return {
        "rate_ratio": estimate / base if base > 0 else math.nan,
        "rate_ratio_low": low,
        "rate_ratio_high": high,
    }


def _curves_cross(arm: Sample, reference: Sample) -> bool:
    """By the Greenwood variances of both curves."""
    if arm.failed.all() or reference.failed.all():
        return False
    times = looked_at(np.concatenate([arm.times[arm.escaped], reference.times[reference.escaped]]))
    survival, variance = kaplan_meier(arm).at(times)
    base_survival, base_variance = kaplan_meier(reference).at(times)
    return leaves_on_both_sides(survival - base_survival, np.sqrt(variance + base_variance))
