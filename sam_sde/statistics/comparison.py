"""Every arm against one of them."""

import difflib
from collections.abc import Iterable, Mapping

import pandas as pd

from sam_sde.errors import ArgumentError
from sam_sde.statistics.independent import independent_effects
from sam_sde.statistics.logrank import holm
from sam_sde.statistics.paired import paired_effects
from sam_sde.statistics.sample import Sample, restrict


def compare_samples(
    samples: Mapping[str, Sample], reference: str | None = None, *, paired: bool = False
) -> pd.DataFrame:
    """One row for each arm other than the reference (by default the first); intervals are 95 %.

    Arms are compared to the smallest t_max among them, times being t = lr·steps: what happened later is not
    used.

    - rmst_difference: the restricted mean of the arm minus that of the reference, normal interval;
      rmst_ratio: the one over the other, delta method on its logarithm (Royston and Parmar 2013). Failed
      paths are left out.
    - rate_ratio: escapes over total time inside, arm over reference, with the exact conditional interval
      (Przyborowski and Wilenski 1940). Failed paths count until they failed.
    - logrank_statistic, p_value: see `logrank`; p_adjusted: over the rows (Holm 1979).
    - curves_cross: the difference of the Kaplan-Meier curves leaves its pointwise 95 % Greenwood band on
      both sides, so that which arm stays longer depends on the time. It is a warning, not a test: a band is
      left by chance more often than in 5 % of curves.

    `paired` is for arms under common noise; see `paired_effects`. A number that the data do not determine,
    as the ratio to an arm without escapes, is NaN.
    """
    reference = _reference(samples, reference)
    t_max = min(sample.t_max for sample in samples.values())
    restricted = {arm: restrict(sample, t_max) for arm, sample in samples.items()}
    effects = paired_effects if paired else independent_effects
    table = pd.DataFrame(
        {"arm": arm, "reference": reference, **effects(sample, restricted[reference])}
        for arm, sample in restricted.items()
        if arm != reference
    )
    table.insert(table.columns.get_loc("p_value") + 1, "p_adjusted", holm(table["p_value"]))
    return table


def _reference(arms: Iterable[str], reference: str | None) -> str:
    arms = list(arms)
    if len(arms) < 2:
        raise ArgumentError("samples", f"expected at least two arms to compare, got {len(arms)}")
    if reference is None:
        return arms[0]
    if reference not in arms:
        nearest = difflib.get_close_matches(str(reference), arms, n=1, cutoff=0.0)[0]
        raise ArgumentError(
            "reference", f"unknown arm {reference!r}; did you mean {nearest!r}? Known: {', '.join(arms)}"
        )
    return reference
