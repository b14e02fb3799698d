"""A folder of results: the tables of ONE run of a command with its record, whatever happens while they are written.

Tables are written into a folder inside, and the record last. From then on they are the result, and take their places
one by one; where the process is killed before they have, the next one that reads or writes the folder goes on. The
record that was there goes first and the new one comes last, so that where it lies the tables are those of one run.
"""

import json
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.files import alone_in, make_folder, write_text
from sam_sde.interrupts import interrupts_wait
from sam_sde.jobs.record import RECORDS, config_hash
from sam_sde.jobs.tables import FIGURE_KINDS, REPORTS, TABLES, tables_of

# Where a result lies of which something is unfinished, beside an earlier one.
PARTIAL = "partial"


class Destination:
    """Where a run of a command writes its results: into `out`, in the place of what an earlier run left there.

    A result of which something is unfinished takes no other's place: where there is one it goes to the folder
    `partial` inside, and a whole one of the same run removes it. `written` is the folder where the last one lies.
    """

    def __init__(self, out: Path, command: str):
        make_folder(out)
        settle(out)
        _refuse_others(out, command)
        self.out, self.command = out, command
        self.written: Path | None = None
        self._partial = out / PARTIAL if (out / RECORDS[command]).exists() else out

    @property
    def told(self) -> str:
        """What is there of this run, for the message of an interrupt."""
        if self.written is None:
            return "nothing was written"
        return f"what had ended is in {self.written}, and `sam-sde plot {self.written}` draws it"

    def write(self, frames: Iterable[tuple[str, pd.DataFrame]], record: dict[str, Any]) -> list[Path]:
        """Writes tables, by their names in TABLES, and the record; returns the files. An interrupt waits for the end.

        Raises
            InputError: they cannot be written, as the disk is full; what lay there is as it was.
        """
        folder = self._partial if record["unfinished"] else self.out
        make_folder(folder)
        try:
            with interrupts_wait():
                files = write_result(frames, record, folder)
                self.written = folder
                if folder != self._partial:
                    _remove(self._partial, self.command)
        finally:
            if folder != self.out:
                _remove_if_empty(folder)
        return files

    def keep(self, frames: Iterable[tuple[str, pd.DataFrame]], record: dict[str, Any]) -> None:
        """Writes what has ended so far, for the case that the rest does not; where that fails, with a warning, no more.

        The record says of something that it is unfinished.
        """
        try:
            self.write(frames, record)
        except InputError as error:
            warnings.warn(f"not kept on the way: {error}", stacklevel=2)


def _refuse_others(out: Path, command: str) -> None:
    """Raises InputError where another command has written tables with the names of this one's."""
    own = {table.file for table in tables_of(command).values()}
    for other in RECORDS:
        shared = own & {table.file for table in tables_of(other).values()}
        if other != command and shared and (out / RECORDS[other]).exists():
            raise InputError(
                f"{out} holds results of `sam-sde {other}`, with {min(shared)} too; choose another folder with --out"
            )


def write_result(frames: Iterable[tuple[str, pd.DataFrame]], record: dict[str, Any], folder: Path) -> list[Path]:
    """Writes tables, by their names in TABLES, and the record, which lists them; returns the files.

    They take the place of what the last run of the same command left, its figures too, all at once or not at all.

    Raises
        InputError: they cannot be written, as the disk is full; what lay there is as it was.
    """
    command = record["command"]
    with alone_in(folder), _telling(folder):
        _settle(folder, command)
        _write_beside(frames, record, folder)
        names = _settle(folder, command)
    return [folder / name for name in names]


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    """Says which file it is that cannot be put into its place, as where a folder has its name."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error}; remove what is in the way") from None


def _write_beside(frames: Iterable[tuple[str, pd.DataFrame]], record: dict[str, Any], folder: Path) -> None:
    beside = _beside(folder, record["command"])
    try:
        make_folder(beside)
        tables = []
        for name, frame in frames:
            TABLES[name].write(frame, beside)
            tables.append(TABLES[name].file)
        text = json.dumps(record | {"tables": tables}, indent=2, ensure_ascii=False)
        write_text(text + "\n", beside / RECORDS[record["command"]])
    except BaseException as error:
        _discard(beside, record["command"])
        if isinstance(error, InputError):
            raise InputError(f"{error}; what {folder} held before is as it was") from None
        raise


def settle(folder: Path) -> None:
    """Gives the tables that a killed process had written, but not put in their places, those places."""
    for command in RECORDS:
        if (_beside(folder, command) / RECORDS[command]).exists():
            with alone_in(folder), _telling(folder):
                _settle(folder, command)


def _settle(folder: Path, command: str) -> list[str]:
    """Gives what is written whole beside the result of a command its place; returns the names of the files.

    It may be cut off anywhere, and done again. What is not whole is removed.
    """
    beside, record = _beside(folder, command), RECORDS[command]
    names = []
    if (beside / record).exists():
        names = [*json.loads((beside / record).read_text(encoding="utf-8"))["tables"], record]
        (folder / record).unlink(missing_ok=True)
        for name in _other_files(command):
            if name not in names:
                (folder / name).unlink(missing_ok=True)
        for name in names:
            if (beside / name).exists():
                (beside / name).replace(folder / name)
    _discard(beside, command)
    return names


def _beside(folder: Path, command: str) -> Path:
    return folder / f".{command}"


def _discard(beside: Path, command: str) -> None:
    (beside / RECORDS[command]).unlink(missing_ok=True)  # first, for without it the others are nothing
    shutil.rmtree(beside, ignore_errors=True)


def _remove(folder: Path, command: str) -> None:
    """Removes the result of a command, and the folder if nothing else is in it."""
    for name in [RECORDS[command], *_other_files(command)]:
        (folder / name).unlink(missing_ok=True)
    _discard(_beside(folder, command), command)
    _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _other_files(command: str) -> list[str]:
    """All tables and figures that a command may leave in its folder, and the page made of them."""
    tables = tables_of(command).values()
    figures = [f"{table.figure}.{kind}" for table in tables if table.figure for kind in FIGURE_KINDS]
    pages = [REPORTS[command]] if command in REPORTS else []
    return [table.file for table in tables] + figures + pages


def read_record(folder: Path, command: str = "escape") -> dict[str, Any]:
    """The record of a command's result in `folder`.

    Raises
        InputError: there is none, it is none, its configuration was changed, or a table of it is missing.
    """
    settle(folder)
    path = folder / RECORDS[command]
    run = f"run `sam-sde {command} CONFIG --out {folder}`"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        tables = record["tables"]
        fits = record["config_hash"] == config_hash(record["config"])
        record["unfinished"].items()
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no whole result of `sam-sde {command}`: no {path.name}; {run} first"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no record of a result ({type(error).__name__}: {error}); {run} again") from None
    if not fits:
        raise InputError(f"{path}: config_hash is not that of the configuration beside it; {run} again")
    missing = [name for name in tables if not (folder / name).exists()]
    if missing:
        raise InputError(f"{path} names {missing[0]}, which is not there; {run} again")
    return record
