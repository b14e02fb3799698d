"""The record of a result: what was run, and the mark that all of its tables are there.

It is removed before the first table is written and written after the last one, so that a folder has it only where
the tables beside it are those of one run.
"""

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.files import write_text
from sam_sde.jobs.tables import FIGURE_KINDS, TABLES, tables_of

# The file of each command that writes results.
RECORDS = {"escape": "run.json", "simulate": "trajectories.json", "weak": "weak.json"}

PACKAGES = ("sam_sde", "torch", "torchsde", "numpy", "scipy", "pandas")


def make_record(
    command: str, config: dict[str, Any], config_folder: Path, *, wall_time: float, interrupted: bool = False
) -> dict[str, Any]:
    """What every record says: the configuration as it was understood, its hash, seconds, and versions.

    config_folder: where files that the configuration names are looked for. interrupted: whether something is missing
    that the configuration asks for.
    """
    return {
        "command": command,
        "config": config,
        "config_hash": config_hash(config),
        "config_folder": str(config_folder.resolve()),
        "interrupted": interrupted,
        "wall_time": round(wall_time, 3),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def config_hash(config: dict[str, Any]) -> str:
    """SHA-256 of a configuration as canonical JSON, keys in alphabetical order; of the arms the order counts."""
    arms = list(config["arms"].items())  # the first one is the reference, and the tables follow it
    text = json.dumps({**config, "arms": arms}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_result(frames: Iterable[tuple[str, pd.DataFrame]], record: dict[str, Any], folder: Path) -> list[Path]:
    """Writes tables, by their names in TABLES, and then the record, which lists them; returns the files.

    What the last run of the same command left is removed first, its record before anything else.
    """
    command = record["command"]
    for name in [RECORDS[command], *_other_files(command)]:
        (folder / name).unlink(missing_ok=True)
    written = []
    for name, frame in frames:
        TABLES[name].write(frame, folder)
        written.append(TABLES[name].file)
    text = json.dumps(record | {"tables": written}, indent=2, ensure_ascii=False)
    write_text(text + "\n", folder / RECORDS[command])
    return [folder / name for name in [*written, RECORDS[command]]]


def _other_files(command: str) -> list[str]:
    """All tables and figures that a command may leave in its folder."""
    tables = tables_of(command).values()
    figures = [f"{table.figure}.{kind}" for table in tables if table.figure for kind in FIGURE_KINDS]
    return [table.file for table in tables] + figures


def read_record(folder: Path, command: str = "escape") -> dict[str, Any]:
    """The record of a command's result in `folder`.

    Raises
        InputError: there is none, it is none, its configuration was changed, or a table of it is missing.
    """
    path = folder / RECORDS[command]
    run = f"run `sam-sde {command} CONFIG --out {folder}`"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        tables = record["tables"]
        fits = record["config_hash"] == config_hash(record["config"])
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
