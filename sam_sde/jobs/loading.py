"""Reads a folder of results back, whichever command wrote it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.jobs.record import RECORDS
from sam_sde.jobs.results import read_record, settle
from sam_sde.jobs.tables import tables_of


@dataclass(frozen=True)
class Results:
    """What a command has written.

    command: which. config: the configuration as it was understood, a nested dictionary; of a sweep with its grid.
    record: all that is said of the run: versions, seed, warnings, and under `unfinished` what did not end.
    tables: the CSV files by their names, as "summary", each a data frame.

    >>> results = load("results/beale_saddle")
    >>> results.tables["summary"].set_index("arm")["rmst"]
    """

    folder: Path
    command: str
    config: dict[str, Any]
    record: dict[str, Any]
    tables: dict[str, pd.DataFrame]


def load(folder: str | Path, command: str | None = None) -> Results:
    """The results in a folder; command: whose, where several have written there, as "simulate" beside "escape".

    Raises
        InputError: there are none, or one of the files is not what the command writes.
    """
    folder = Path(folder)
    if command is None:
        settle(folder)
        command = next((name for name, record in RECORDS.items() if (folder / record).exists()), "escape")
    elif command not in RECORDS:
        raise InputError(f"command: expected one of {', '.join(RECORDS)}, got {command!r}")
    record = read_record(folder, command)
    tables = {
        table.file.removesuffix(".csv"): table.read(folder)
        for table in tables_of(command).values()
        if table.file in record["tables"]
    }
    return Results(folder, command, record["config"], record, tables)
