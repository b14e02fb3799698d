"""One row of numbers for each arm."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from sam_sde.statistics.intervals import garwood_interval, normal_interval, t_interval, wilson_interval
from sam_sde.statistics.sample import Outcome, Sample
from sam_sde.statistics.survival import median_time, restricted_mean, survival_curve


def summary_table(samples: Mapping[str, Sample]) -> pd.DataFrame:
    """`summarize` for every arm, one row each, the name of the arm first."""
    return pd.DataFrame([{"arm": arm, **summarize(sample)} for arm, sample in samples.items()])


def summarize(sample: Sample) -> dict[str, float]:
    """What a sample says about its escape times t = lr·steps; intervals are 95 %, and NaN means "not known".

    - fraction_escaped: escapes by t_max over all paths. A failed path might have escaped or not, so
      fraction_low is the lower bound of Wilson (1927) with none of them counted, fraction_high the upper
      one with all.
    - mean_time: mean with Student's interval, only where every path escaped; mean_steps = mean_time / lr.
    - rmst: mean of min(T, t_max), see `restricted_mean`. Failed paths are left out.
    - median: see `median_time`. Failed paths are left out.
    - rate: escapes over total time inside, with the exact interval of Garwood (1936). It is a constant-rate
      model: the reciprocal of a mean time only where escapes are a Poisson process. Failed paths count
      until they failed.
    """
    n_paths, n_escaped = len(sample), sample.count(Outcome.ESCAPED)
    return {
        "n_paths": n_paths,
        "n_escaped": n_escaped,
        "n_censored": sample.count(Outcome.CENSORED),
        "n_failed": sample.count(Outcome.FAILED),
        "t_max": float(sample.t_max),
        "fraction_escaped": n_escaped / n_paths,
        **_fraction_bounds(sample),
        **_mean(sample),
        **_restricted_mean(sample),
        **_named("median", *median_time(survival_curve(sample))),
        **_rate(sample),
        "mean_steps": _mean(sample)["mean_time"] / sample.lr,
    }


def _named(name: str, estimate: float, low: float, high: float) -> dict[str, float]:
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def _fraction_bounds(sample: Sample) -> dict[str, float]:
    n_paths, n_escaped = len(sample), sample.count(Outcome.ESCAPED)
    low, _ = wilson_interval(n_escaped, n_paths)
    _, high = wilson_interval(n_escaped + sample.count(Outcome.FAILED), n_paths)
    return {"fraction_low": low, "fraction_high": high}


def _mean(sample: Sample) -> dict[str, float]:
    if not sample.escaped.all():
        return {"mean_time": math.nan, "mean_low": math.nan, "mean_high": math.nan}
    low, high = t_interval(sample.times)
    return {"mean_time": float(sample.times.mean()), "mean_low": low, "mean_high": high}


def _restricted_mean(sample: Sample) -> dict[str, float]:
    mean, standard_error = restricted_mean(sample)
    low, high = np.clip(normal_interval(mean, standard_error), 0.0, sample.t_max)
    return _named("rmst", mean, float(low), float(high))


def _rate(sample: Sample) -> dict[str, float]:
    escapes, exposure = sample.count(Outcome.ESCAPED), float(sample.times.sum())
    rate = escapes / exposure if exposure > 0 else math.nan
    return _named("rate", rate, *garwood_interval(escapes, exposure))
