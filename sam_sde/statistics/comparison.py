"""Every arm against one of them."""

import difflib
from collections.abc import Iterable, Mapping

import pandas as pd

from sam_sde.errors import ArgumentError
from sam_sde.statistics.independent import independent_effects
from sam_sde.statistics.logrank import holm
from sam_sde.statistics.paired import paired_effects
from sam_sde.statistics.sample import Sample, restrict

# Where a smaller share of an arm's paths escaped, its mean to t_max is only a lower bound of its mean, and so is the
# ratio to that of a faster arm.
FEW_ESCAPES = 0.05


def compare_samples(
    samples: Mapping[str, Sample], reference: str | None = None, *, paired: bool = False
) -> pd.DataFrame:
    """One row for each arm other than the reference (by default the first); intervals are 95 %.

    Arms are compared to the smallest t_max among them, times being t = lr·steps: what happened later is not
    used.

    - rmst_difference, rmst_ratio: the restricted mean of the arm minus, or over, that of the reference. Failed paths
      are left out.
    - rate_ratio: escapes over total time inside, arm over reference; the rates need not be constant. Failed paths
      count until they failed.
    - the intervals of these three are made of those of the two arms (Zou and Donner 2008, Donner and Zou 2012).
    - logrank_statistic, p_value, log10_p_value: see `logrank`; p_adjusted: over the rows (Holm 1979).
    - curves_cross: the Kaplan-Meier curves differ to both sides, so that which arm stays longer depends on the time;
      a test at 5 %, see `leaves_on_both_sides`.

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
    table.insert(table.columns.get_loc("log10_p_value") + 1, "p_adjusted", holm(table["p_value"]))
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
