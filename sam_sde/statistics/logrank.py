"""The log-rank test, and the correction for doing it several times."""

import math

import numpy as np
from scipy import special

from sam_sde.statistics.sample import Sample
from sam_sde.statistics.survival import number_at_risk


def logrank(arm: Sample, reference: Sample) -> dict[str, float]:
    """Statistic and two-sided p-value of the hypothesis that both samples follow one law (Mantel 1966).

    logrank_statistic is standard normal under the hypothesis, and negative where `arm` escapes less than
    `reference`; p_value is 0 where it is too small for a number, and log10_p_value, its decimal logarithm, never
    is. All are NaN where no escape happened while both samples had paths at risk. Failed paths are left out.

    scipy.stats.logrank is the same test, but multiplies counts as 64-bit integers: with 10⁵ paths and
    escape times that fall on a grid of steps the product overflows and its answer is silently wrong. Here
    counts are floats.
    """
    times, escapes = np.unique(
        np.concatenate([arm.times[arm.escaped], reference.times[reference.escaped]]), return_counts=True
    )
    at_risk = number_at_risk(arm.times[~arm.failed], times)
    total = at_risk + number_at_risk(reference.times[~reference.failed], times)
    share = at_risk / total
    expected = np.sum(escapes * share)
    # The last path alone has a certain outcome: its share is 0 or 1, and the maximum only avoids 0 / 0.
    variance = np.sum(escapes * share * (1 - share) * (total - escapes) / np.maximum(total - 1, 1))
    statistic = (np.count_nonzero(arm.escaped) - expected) / math.sqrt(variance) if variance > 0 else math.nan
    return {
        "logrank_statistic": float(statistic),
        "p_value": float(2 * special.ndtr(-abs(statistic))),
        "log10_p_value": float((math.log(2) + special.log_ndtr(-abs(statistic))) / math.log(10)),
    }


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values adjusted so that the chance of any false rejection is held (Holm 1979); a NaN was no test."""
    p_values = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    adjusted = np.full_like(p_values, np.nan)
    multiplied = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiplied), 1.0)
    return adjusted
