"""One row of numbers for each arm."""

import math
from collections.abc import Mapping

import pandas as pd

from sam_sde.statistics.intervals import wilson_interval
from sam_sde.statistics.rates import rate
from sam_sde.statistics.sample import Outcome, Sample
from sam_sde.statistics.survival import median_time, restricted_mean_interval, survival_curve


def summary_table(samples: Mapping[str, Sample]) -> pd.DataFrame:
    """`summarize` for every arm, one row each, the name of the arm first."""
    return pd.DataFrame([{"arm": arm, **summarize(sample)} for arm, sample in samples.items()])


def summarize(sample: Sample) -> dict[str, float]:
    """What a sample says about its escape times t = lr·steps; intervals are 95 %, and NaN means "not known".

    - fraction_escaped: escapes by t_max over all paths. A failed path might have escaped or not, so
      fraction_low is the lower bound of Wilson (1927) with none of them counted, fraction_high the upper
      one with all.
    - rmst: mean of min(T, t_max), see `restricted_mean`, with the interval of `bounded_mean_interval`. Failed paths
      are left out. Of what no path did, as to stay where all escaped, the interval knows nothing: with n paths
      that is at most 3.7/n of all. Of a sample with levels it is the mean over all of them, and so is mean_time.
    - mean_time: only where every path escaped, and then rmst with its interval, which holds for the mean to t_max.
      That all escaped of few paths, one of them just before t_max, is luck: the mean without end is longer.
      mean_steps = mean_time / lr.
    - median: see `median_time`. Failed paths are left out.
    - rate: escapes over total time inside, to t_max, see `rate`: its interval needs no constant rate, but only where
      escapes come at one is it the reciprocal of a mean time. Failed paths count until they failed.
    """
    n_paths, n_escaped = len(sample), sample.count(Outcome.ESCAPED)
    restricted = restricted_mean_interval(sample)
    mean = restricted if sample.escaped.all() else (math.nan, math.nan, math.nan)
    estimate, interval = rate(sample.times, sample.escaped)
    return {
        "n_paths": n_paths,
        "n_escaped": n_escaped,
        "n_censored": sample.count(Outcome.CENSORED),
        "n_failed": sample.count(Outcome.FAILED),
        "t_max": float(sample.t_max),
        "fraction_escaped": n_escaped / n_paths,
        **_fraction_bounds(sample),
        **dict(zip(("mean_time", "mean_low", "mean_high"), mean, strict=True)),
        **_named("rmst", *restricted),
        **_named("median", *median_time(survival_curve(sample))),
        **_named("rate", estimate, *interval),
        "mean_steps": mean[0] / sample.lr,
    }


def _named(name: str, estimate: float, low: float, high: float) -> dict[str, float]:
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def _fraction_bounds(sample: Sample) -> dict[str, float]:
    n_paths, n_escaped = len(sample), sample.count(Outcome.ESCAPED)
    low, _ = wilson_interval(n_escaped, n_paths)
    _, high = wilson_interval(n_escaped + sample.count(Outcome.FAILED), n_paths)
    return {"fraction_low": low, "fraction_high": high}
