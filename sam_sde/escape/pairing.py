"""Comparison of arms that knows whether they shared their noise."""

from collections.abc import Mapping

import pandas as pd

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.escape.result import EscapeResult
from sam_sde.statistics import compare_samples


def compare(results: Mapping[str, EscapeResult], reference: str | None = None) -> pd.DataFrame:
    """One row for each arm against `reference` (default: the first): differences, ratios, log-rank, 95 % intervals.

    Arms that all share their random numbers (equal seed and arm name) are compared path by path, without a log-rank
    test; arms with streams of their own are compared as independent samples.

    Raises
        ValueError: fewer than two arms, an unknown reference, random numbers shared by some of the arms only, or by all
            where a mean is one over paths at several steps.
    """
    if not isinstance(results, Mapping) or not all(isinstance(result, EscapeResult) for result in results.values()):
        raise ArgumentError(
            "results", f"expected a dictionary of arms, {{name: escape_times(...)}}, got {shown(results)}"
        )
    streams = {(result.stream.seed, result.stream.arm) for result in results.values()}
    if 1 < len(streams) < len(results):
        raise ArgumentError(
            "results",
            "some of the arms share seed and arm name, hence their noise, and others do not; "
            "give each its own seed, or all the same one for a paired comparison",
        )
    paired = len(results) > 1 and len(streams) == 1
    if paired and any(result.levels for result in results.values()):
        raise ArgumentError(
            "results",
            "the arms share seed and arm name, hence their noise, and one has paths at several steps behind its mean, "
            "which have no partners; give each its own seed, or n_paths and dt in the place of an accuracy",
        )
    return compare_samples(results, reference, paired=paired)
