"""The tables of a statement on disk: computed once for the same code, size and seed, and read back to be judged.

OUT/NAME/TABLE.csv     the tables
OUT/NAME/tables.json   what they were made from, written last: without it, or where it says another key, all is
                       computed again
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

import sam_sde
from sam_sde.errors import InputError
from sam_sde.files import make_folder, write_csv, write_text
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Statement

RECORD = "tables.json"
# Rooms that no table follows from.
NOT_MEASURED_BY = ("cli", "figures", "report", "terminal", "wording", "endings", "__main__")
# Of this room, what each statement needs beside its own module.
SHARED = ("measuring.py", "saddle.py", "size.py")


@dataclass(frozen=True)
class Kept:
    """The tables of one statement in a folder of results."""

    folder: Path
    statement: Statement
    size: Size

    @property
    def work(self) -> Path:
        """Where the statement keeps work that resumes by itself."""
        return self.folder / "work"

    @property
    def key(self) -> str:
        """Of all that the tables follow from."""
        module = sys.modules[self.statement.measure.__module__]
        parts = (_source(), Path(module.__file__).read_text(encoding="utf-8"), self.size.name, str(self.size.seed))
        return hashlib.sha256("\0".join((self.statement.name, *parts)).encode()).hexdigest()[:20]

    def record(self) -> dict | None:
        """What the tables that are there were made from; None where they are of something else, or not whole."""
        try:
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            whole = record["key"] == self.key and all(
                (self.folder / f"{name}.csv").is_file() for name in record["tables"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if whole else None

    def read(self) -> dict[str, pd.DataFrame]:
        """The tables from their files.

        Raises
            InputError: one cannot be read.
        """
        names = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))["tables"]
        tables = {}
        for name in names:
            path = self.folder / f"{name}.csv"
            try:
                tables[name] = pd.read_csv(path, float_precision="round_trip")
            except (OSError, ValueError) as error:
                raise InputError(f"cannot read {path}: {error}; delete it, and run the statement again") from None
        return tables

    def write(self, tables: Mapping[str, pd.DataFrame], seconds: float, warnings: list[str]) -> None:
        """Writes the tables, and last what they were made from."""
        make_folder(self.folder)
        (self.folder / RECORD).unlink(missing_ok=True)
        for name, table in tables.items():
            write_csv(table, self.folder / f"{name}.csv")
        record = {
            "key": self.key,
            "size": self.size.name,
            "seed": self.size.seed,
            "seconds": round(seconds, 2),
            "tables": list(tables),
            "warnings": warnings,
        }
        write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", self.folder / RECORD)


@cache
def _source() -> str:
    """A digest of the code that tables come from."""
    root = Path(sam_sde.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        room, *rest = file.relative_to(root).parts
        shared = room != "reproduction" or rest[-1] in SHARED
        if shared and room.removesuffix(".py") not in NOT_MEASURED_BY:
            digest.update(file.read_bytes())
    return digest.hexdigest()
