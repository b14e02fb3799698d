"""What a statement of a paper is, and how a verdict on it is reached."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from sam_sde.reproduction.measuring import Bench

HOLDS, IN_PART, NOT_AS_PRINTED = "holds", "holds in part", "does not hold as printed"
VERDICTS = (HOLDS, IN_PART, NOT_AS_PRINTED)

VERDICT_RULE = (
    "A statement holds if every row of the kind claim does, it does not hold as printed if none does, and otherwise "
    "it holds in part. Rows of the kind finding say what was found beside it, and do not enter the verdict."
)

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """One number that was expected, and what was measured.

    what: in words. expected: as the paper, or the derivation, has it. measured: the number, with its 95 % interval low,
    high where it is random (NaN where not). holds: whether the two agree, by the rule of the statement. finding: it is
    no claim of the paper, and does not enter the verdict.
    """

    what: str
    expected: str
    measured: float
    holds: bool
    low: float = math.nan
    high: float = math.nan
    finding: bool = False


@dataclass(frozen=True)
class Judgement:
    """The rows, and the reason for the verdict in one sentence with its numbers."""

    rows: list[Row]
    reason: str

    @property
    def verdict(self) -> str:
        claims = [row.holds for row in self.rows if not row.finding]
        if all(claims):
            return HOLDS
        return IN_PART if any(claims) else NOT_AS_PRINTED


@dataclass(frozen=True)
class Statement:
    """A statement of a paper, as it can be run.

    name: for --only, and of its folder. where: in which paper, and where there. claim: what is said there. ran: what is
    run, in one sentence. rule: by which a row holds. measure: runs it, and returns tables by name. judge: rows and
    reason, from the tables as they are read back from their files.
    """

    name: str
    where: str
    claim: str
    ran: str
    rule: str
    measure: Callable[[Bench], dict[str, pd.DataFrame]]
    judge: Callable[[Tables], Judgement]


def row_of(table: pd.DataFrame, **values) -> pd.Series:
    """The one row of a table that has these values; numbers are compared as they were written."""
    found = table
    for column, value in values.items():
        found = found[found[column] == value]
    if len(found) != 1:
        raise ValueError(f"expected one row with {values}, got {len(found)}")
    return found.iloc[0]
