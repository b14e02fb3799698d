"""The tables of a statement on disk: computed once for the same code, size and seed, and read back to be judged.

OUT/NAME/TABLE.csv     the tables
OUT/NAME/tables.json   what they were made from, written last: without it, or where it says another key, all is
                       computed again
OUT/NAME/work          until then what has ended of it, see `sam_sde.reproduction.measuring.Bench`
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
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
        """Where a statement that is being measured keeps what has ended."""
        return self.folder / "work"

    @property
    def key(self) -> str:
        """Of all that the tables follow from; of the code as it was when it was first asked for, see `read_code`."""
        parts = (_source(), _own_source(self.statement), self.size.name, str(self.size.seed))
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
        shutil.rmtree(self.work, ignore_errors=True)


def read_code(statements: Iterable[Statement]) -> None:
    """Reads the code that their keys are of, before anything runs: an edit during a run is not of what is running."""
    for statement in statements:
        _own_source(statement)
    _source()


@cache
def _own_source(statement: Statement) -> str:
    return Path(sys.modules[statement.measure.__module__].__file__).read_text(encoding="utf-8")


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
