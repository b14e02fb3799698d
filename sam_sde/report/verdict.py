"""What the tables say of each arm, in a sentence: how many times longer it stays, how sure that is, what limits it."""

import math
from collections.abc import Mapping
from enum import Enum, auto

import pandas as pd

from sam_sde.report.words import number, share, short, with_ends
from sam_sde.statistics import FEW_ESCAPES

SMALLEST_P = 1e-16  # below, a p-value says nothing more
BY_SPLITTING = " (the mean time of rare escapes, by splitting)"
CROSSING = " Their survival curves cross: which of them stays longer depends on the time."


class Finding(Enum):
    """What a comparison of two arms shows."""

    LONGER = auto()
    AT_LEAST = auto()  # longer, by more than is known
    SOONER = auto()
    AT_MOST = auto()  # sooner, by more than is known
    NO_DIFFERENCE = auto()
    HARDLY_ANY_ESCAPE = auto()
    UNKNOWN = auto()


def verdicts(
    summary: pd.DataFrame, comparison: pd.DataFrame | None, labels: Mapping[str, str], unfinished: Mapping[str, str]
) -> list[str]:
    """One sentence for each arm beside the reference; for each arm where none can be compared.

    labels: what each arm is called. unfinished: what has no result, or none that is whole, and why.
    """
    arms = {row["arm"]: row for row in summary.to_dict("records")}
    if comparison is None:
        told = [alone(row, labels[arm]) for arm, row in arms.items()]
    else:
        told = [
            compared(row, arms[row["arm"]], arms[row["reference"]], labels) for row in comparison.to_dict("records")
        ]
    return told + [f"{labels.get(what, what)} did not end: {why}." for what, why in unfinished.items()]


def finding(row: Mapping, own: Mapping, other: Mapping) -> Finding:
    """What a row of comparison.csv shows; own, other: the rows of summary.csv of the arm and the reference."""
    ratio, low, high = ratio_of(row)
    if ratio != ratio or low != low:
        return Finding.UNKNOWN
    if _of_means(row):
        return Finding.NO_DIFFERENCE if low <= 1 <= high else Finding.LONGER if ratio > 1 else Finding.SOONER
    if few_escaped(own) and few_escaped(other):
        return Finding.HARDLY_ANY_ESCAPE
    if low <= 1 <= high:
        return Finding.NO_DIFFERENCE
    if ratio > 1:
        return Finding.AT_LEAST if few_escaped(own) else Finding.LONGER
    return Finding.AT_MOST if few_escaped(other) else Finding.SOONER


def compared(row: Mapping, own: Mapping, other: Mapping, labels: Mapping[str, str]) -> str:
    """The sentence of one row of comparison.csv, see `finding`."""
    arm, reference = labels[row["arm"]], labels[row["reference"]]
    found = finding(row, own, other)
    t_max = f"t_max = {number((other if found is Finding.AT_MOST else own)['t_max'])}"
    if found is Finding.UNKNOWN:
        return f"{arm} cannot be compared with {reference}: {_too_few(own, other)}."
    if found is Finding.HARDLY_ANY_ESCAPE:
        return (
            f"Whether {arm} stays longer than {reference} is not shown: only {_escaped(own)} and {_escaped(other)} of "
            f"their paths escaped before {t_max}."
        )
    (value, *ends), p = with_ends(*ratio_of(row)), p_words(row["p_adjusted"])
    times, interval = _times(ratio_of(row)[0], value), "–".join(ends)
    crossing = CROSSING if row["curves_cross"] else ""
    limits = BY_SPLITTING if _of_means(row) else _restriction(own, other)
    errors = f"95 % interval {interval}{p}{limits}.{crossing}"
    bound = f"escaped before {t_max} (95 % interval of the ratio to t_max {interval}{p}).{crossing}"
    sooner = f"{arm} leaves sooner than {reference}: it stays"
    match found:
        case Finding.NO_DIFFERENCE:
            return (
                f"No difference shown between {arm} and {reference}: the ratio of their mean times is {value}, {errors}"
            )
        case Finding.AT_LEAST:
            only = f"only {_escaped(own)} of its paths"
            return f"{arm} stays at least {times} {reference}, a lower bound: {only} {bound}"
        case Finding.AT_MOST:
            only = f"only {_escaped(other)} of the paths of {reference}"
            return f"{sooner} at most {value} times as long, an upper bound: {only} {bound}"
        case Finding.SOONER:
            return f"{sooner} {value} times as long, {errors}"
    return f"{arm} stays {times} {reference}, {errors}"


def alone(row: Mapping, label: str) -> str:
    """The sentence of an arm that is compared with none."""
    by_splitting = row.get("measured") == "splitting"
    names = ("mean_time", "mean_low", "mean_high") if by_splitting else ("rmst", "rmst_low", "rmst_high")
    mean, low, high = (row[name] for name in names)
    if mean != mean:
        return f"Nothing is known of {label}: {_too_few(row)}."
    if low != low:
        return f"{label} stays {short(mean)} on average{_restriction(row)}; so few paths have no interval."
    value, *ends = with_ends(mean, low, high)
    if by_splitting:
        return f"{label} stays {value} on average, 95 % interval {'–'.join(ends)}{BY_SPLITTING}."
    if few_escaped(row):
        return (
            f"{label} stays at least {value} on average, a lower bound: only {_escaped(row)} of its paths escaped "
            f"before t_max = {number(row['t_max'])}."
        )
    return f"{label} stays {value} on average, 95 % interval {'–'.join(ends)}{_restriction(row)}."


def few_escaped(row: Mapping) -> bool:
    """Whether so few paths of an arm escaped that its mean to t_max is only a lower bound."""
    return row["n_escaped"] < FEW_ESCAPES * row["n_paths"]


def p_words(p: float) -> str:
    """What follows an interval, as ", p = 0.012"; nothing where there is no p-value, as for paired arms."""
    if p != p:
        return ""
    return f", p < {SMALLEST_P:g}" if p < SMALLEST_P else f", p = {p:.2g}"


def ratio_of(row: Mapping) -> tuple[float, float, float]:
    """The ratio of the mean times with its interval: of the means themselves where splitting has found one."""
    if _of_means(row):
        return row["mean_ratio"], row["mean_ratio_low"], row["mean_ratio_high"]
    return row["rmst_ratio"], row["ratio_low"], row["ratio_high"]


def _of_means(row: Mapping) -> bool:
    ratio = row.get("mean_ratio", math.nan)
    return row.get("measured") == "splitting" and ratio == ratio


def _times(ratio: float, value: str) -> str:
    """Near one "1.2 times longer" might be read as 120 % more."""
    return f"{value} times longer than" if ratio >= 2 else f"{value} times as long as"


def _escaped(row: Mapping) -> str:
    return share(row["n_escaped"], row["n_paths"])


def _restriction(*rows: Mapping) -> str:
    censored = [row["t_max"] for row in rows if row["n_censored"] > 0]
    return f" (mean times restricted to t_max = {number(min(censored))})" if censored else ""


def _too_few(*rows: Mapping) -> str:
    failed = [row for row in rows if row["n_failed"] == row["n_paths"]]
    return f"all {failed[0]['n_paths']:,} paths of {failed[0]['arm']} failed" if failed else "there are too few paths"
