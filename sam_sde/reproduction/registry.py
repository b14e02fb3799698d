"""All statements, in the order of the papers, and what is left out."""

import difflib
from collections.abc import Sequence

from sam_sde.errors import ArgumentError
from sam_sde.reproduction import theorem_1, theorem_2, theorem_3, trajectories
from sam_sde.reproduction.statement import Statement

STATEMENTS: dict[str, Statement] = {
    statement.name: statement
    for statement in (
        theorem_1.STATEMENT,
        theorem_2.STATEMENT,
        theorem_2.GAPS,
        theorem_3.STATEMENT,
        trajectories.BEALE,
        trajectories.PLANE,
    )
}

# What the papers show and nothing here does, with the reason.
NOT_REPRODUCED = {}


def chosen(names: Sequence[str]) -> list[Statement]:
    """The statements with these names in the order of the papers; all of them for none.

    Raises
        ArgumentError: an unknown name.
    """
    for name in names:
        if name not in STATEMENTS:
            nearest = difflib.get_close_matches(name, STATEMENTS, n=1, cutoff=0.0)[0]
            known = ", ".join(STATEMENTS)
            raise ArgumentError("--only", f"unknown statement {name!r}; did you mean {nearest!r}? Known: {known}")
    return [statement for name, statement in STATEMENTS.items() if not names or name in names]
