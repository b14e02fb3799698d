"""Two arms whose paths saw independent noise."""

import math

import numpy as np

from sam_sde.statistics.intervals import Z, log_normal_interval, normal_interval, rate_ratio_interval
from sam_sde.statistics.logrank import logrank
from sam_sde.statistics.sample import Outcome, Sample
from sam_sde.statistics.survival import kaplan_meier, restricted_mean


def independent_effects(arm: Sample, reference: Sample) -> dict[str, float]:
    """The columns of `compare_samples` for one arm, both samples followed to the same t_max."""
    statistic, p_value = logrank(arm, reference)
    return {
        **_restricted_means(arm, reference),
        **_rates(arm, reference),
        "logrank_statistic": statistic,
        "p_value": p_value,
        "curves_cross": _curves_cross(arm, reference),
    }


def _restricted_means(arm: Sample, reference: Sample) -> dict[str, float]:
    (mean, error), (base_mean, base_error) = restricted_mean(arm), restricted_mean(reference)
    low, high = normal_interval(mean - base_mean, math.hypot(error, base_error))
    ratio, ratio_low, ratio_high = math.nan, math.nan, math.nan
    if base_mean > 0:
        ratio = mean / base_mean
    if ratio > 0:
        ratio_low, ratio_high = log_normal_interval(ratio, math.hypot(error / mean, base_error / base_mean))
    return {
        "rmst_difference": mean - base_mean,
        "difference_low": low,
        "difference_high": high,
        "rmst_ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }


def _rates(arm: Sample, reference: Sample) -> dict[str, float]:
    escapes, exposure = arm.count(Outcome.ESCAPED), float(arm.times.sum())
    base_escapes, base_exposure = reference.count(Outcome.ESCAPED), float(reference.times.sum())
    low, high = rate_ratio_interval(escapes, exposure, base_escapes, base_exposure)
    known = base_escapes > 0 and exposure > 0
    ratio = (escapes / exposure) * (base_exposure / base_escapes) if known else math.nan
    return {"rate_ratio": ratio, "rate_ratio_low": low, "rate_ratio_high": high}


def _curves_cross(arm: Sample, reference: Sample) -> bool:
    """Whether the difference of the curves leaves its pointwise Greenwood band on both sides."""
    if arm.failed.all() or reference.failed.all():
        return False
    curve, base = kaplan_meier(arm), kaplan_meier(reference)
    times = np.union1d(curve.times, base.times)
    (survival, variance), (base_survival, base_variance) = curve.at(times), base.at(times)
    return leaves_on_both_sides(survival - base_survival, np.sqrt(variance + base_variance))


def leaves_on_both_sides(difference: np.ndarray, standard_error: np.ndarray) -> bool:
    """Whether a curve is somewhere 1.96 standard errors above zero and somewhere as far below."""
    return bool((difference > Z * standard_error).any() and (difference < -Z * standard_error).any())
