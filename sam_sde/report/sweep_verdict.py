"""What the tables of a sweep say of each arm: under how many conditions it stays longer, and where most and least."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

import pandas as pd

from sam_sde.report.verdict import Finding, alone, compared, finding, ratio_of
from sam_sde.report.words import listed, value_words
from sam_sde.wording import short_key

# What follows the number of conditions under which this is found.
WORDS = {
    Finding.LONGER: "{arm} stays longer than {reference}",
    Finding.SOONER: "{arm} leaves sooner than {reference}",
    Finding.NO_DIFFERENCE: "no difference between them is shown",
    Finding.HARDLY_ANY_ESCAPE: "hardly any path of either escapes",
    Finding.UNKNOWN: "they cannot be compared",
}
BOUNDS = {Finding.LONGER: (Finding.AT_LEAST, "a lower"), Finding.SOONER: (Finding.AT_MOST, "an upper")}
SHOWS_NO_RATIO = (Finding.HARDLY_ANY_ESCAPE, Finding.UNKNOWN)


class Case(NamedTuple):
    """An arm under one condition: how long it stays, in times of the reference where there is one, and in words."""

    size: float
    condition: str
    sentence: str
    shows: Finding | None = None


def sweep_verdicts(summary: pd.DataFrame, comparison: pd.DataFrame | None, keys: list[str]) -> list[str]:
    """For each arm beside the reference what is found under how many conditions, and the ends of its ratios.

    For each arm alone where none can be compared. keys: those that tell the conditions from one another.
    """
    if comparison is None:
        rows = summary.to_dict("records")
        cases = [(row["arm"], Case(row["rmst"], condition_words(row, keys), alone(row, row["arm"]))) for row in rows]
        arms = list(dict.fromkeys(summary["arm"]))
        return [told for arm in arms for told in _ends([case for name, case in cases if name == arm], "time")]
    at = {(*(row[key] for key in keys), row["arm"]): row for row in summary.to_dict("records")}
    told = []
    for (arm, reference), rows in comparison.groupby(["arm", "reference"], sort=False):
        found, cases = Counter(), []
        for row in rows.to_dict("records"):
            own, other = (at[*(row[key] for key in keys), name] for name in (arm, reference))
            shows = finding(row, own, other)
            found[shows] += 1
            if shows not in SHOWS_NO_RATIO:
                sentence = compared(row, own, other, {arm: arm, reference: reference})
                cases.append(Case(ratio_of(row)[0], condition_words(row, keys), sentence, shows))
        told += [_counts(found, arm, reference), *_ends(cases, "ratio")]
    return told


def condition_words(row: Mapping, keys: Iterable[str]) -> str:
    """A condition, as "rho = 0.1 and batch_size = 8"."""
    return listed(f"{short_key(key)} = {value_words(row[key])}" for key in keys)


def _counts(found: Counter, arm: str, reference: str) -> str:
    """One sentence that has every condition."""
    told = list(_findings(found, arm, reference))
    first = f"all {told[0][0]}" if len(told) == 1 else f"{told[0][0]} of {found.total()}"
    rest = [f"under {count} {words}" for count, words in told[1:]]
    return "; ".join([f"Under {first} conditions {told[0][1]}", *rest]) + "."


def _findings(found: Counter, arm: str, reference: str) -> Iterator[tuple[int, str]]:
    for main, words in WORDS.items():
        bound, side = BOUNDS.get(main, (None, ""))
        count = found[main] + found[bound]
        if count:
            bounds = f" (in {found[bound]} of them the ratio is {side} bound)" if found[bound] else ""
            yield count, words.format(arm=arm, reference=reference) + bounds


def _ends(cases: list[Case], what: str) -> list[str]:
    """The sentences of the largest and the smallest of all cases."""
    known = sorted((case for case in cases if case.size == case.size), key=attrgetter("size"))
    if not known:
        return []
    if known[0].size == known[-1].size:
        where = known[0].condition if len(known) == 1 else "all conditions"
        return [f"Under {where}: {known[0].sentence}"]
    told = []
    for size, case, bound in (("larg", known[-1], Finding.AT_LEAST), ("small", known[0], Finding.AT_MOST)):
        hidden = case.shows is not bound and any(other.shows is bound for other in known)
        unless = f", unless a bound hides a {size}er one," if hidden else ""
        told.append(f"The {size}est {what}{unless} is at {case.condition}: {case.sentence}")
    return told
