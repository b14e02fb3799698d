"""Survival, summary and comparison of escape times: arrays in, data frames out."""

from sam_sde.statistics.change import paired_changes
from sam_sde.statistics.comparison import FEW_ESCAPES, compare_samples
from sam_sde.statistics.levels import Level
from sam_sde.statistics.rates import Departure, departure_from_constant_rate
from sam_sde.statistics.sample import Outcome, Sample, outcome_words, restrict
from sam_sde.statistics.summary import summarize, summary_table
from sam_sde.statistics.survival import median_time, restricted_mean, survival_curve, thin

__all__ = [
    "FEW_ESCAPES",
    "Departure",
    "Level",
    "Outcome",
    "Sample",
    "compare_samples",
    "departure_from_constant_rate",
    "median_time",
    "outcome_words",
    "paired_changes",
    "restrict",
    "restricted_mean",
    "summarize",
    "summary_table",
    "survival_curve",
    "thin",
]
