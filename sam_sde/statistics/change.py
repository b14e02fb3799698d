"""How the figures of a summary change from one sample to another of the same paths, path by path."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from sam_sde.statistics.sample import Sample

FIGURES = ("fraction_escaped", "mean_time", "rmst", "median", "rate", "mean_steps")

GROUPS = 20


def paired_changes(before: Sample, after: Sample) -> pd.DataFrame:
    """One row for each of FIGURES: figure, before, after, change, change_low, change_high, with 95 % intervals.

    Path i of the one is path i of the other, and each that stayed was followed to t_max. The variance is that of a
    jackknife which leaves out one of 20 groups of paths at a time (Efron and Tibshirani, "An Introduction to the
    Bootstrap", section 11.5), the quantile Student's with 19 degrees of freedom; that of the fraction is Agresti's and
    Min's (2005), for few paths may have changed. A figure that one of the samples does not have is NaN.
    """
    groups = np.arange(len(before)) % min(GROUPS, len(before))
    first, second = _figures(before), _figures(after)
    change = second - first
    left_out = [_figures(after, groups != g) - _figures(before, groups != g) for g in np.unique(groups)]
    half_width = _half_width(np.array(left_out))
    low, high = change - half_width, change + half_width
    low[0], high[0] = _interval_of_fraction(before.escaped, after.escaped)
    columns = {"before": first, "after": second, "change": change, "change_low": low, "change_high": high}
    return pd.DataFrame({"figure": FIGURES, **columns})


def _figures(sample: Sample, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
    """FIGURES of the chosen paths, as `summarize` has them."""
    times, escaped, failed = sample.times[chosen], sample.escaped[chosen], sample.failed[chosen]
    exposure, times = times.sum(), times[~failed]
    if not times.size:
        return np.full(len(FIGURES), math.nan)
    mean = times.mean() if escaped.all() else math.nan
    median = np.sort(np.where(escaped[~failed], times, math.inf))[(len(times) - 1) // 2]
    rate = escaped.sum() / exposure if exposure > 0 else math.nan
    median = median if math.isfinite(median) else math.nan
    return np.array([escaped.mean(), mean, times.mean(), median, rate, mean / sample.lr])


def _half_width(left_out: np.ndarray) -> np.ndarray:
    """Of a 95 % interval, from the values (groups, figures) without each group."""
    count = len(left_out)
    if count < 2:
        return np.full(left_out.shape[1], math.nan)
    variance = (count - 1) / count * np.square(left_out - left_out.mean(axis=0)).sum(axis=0)
    return stats.t.ppf(0.975, count - 1) * np.sqrt(variance)


def _interval_of_fraction(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Wald's, after half a path is added to each of the four ways a pair may end."""
    count, more, fewer = len(before) + 2, (after & ~before).sum() + 0.5, (before & ~after).sum() + 0.5
    change = (more - fewer) / count
    half_width = stats.norm.ppf(0.975) * math.sqrt(more + fewer - (more - fewer) ** 2 / count) / count
    return change - half_width, change + half_width
