"""What was computed, kept by content: a run that ended in any way goes on from there, and a changed one has its own.

    OUT/store/KEY/about.json        what KEY stands for: all that the paths of an arm follow from
    OUT/store/KEY/FIRST-LAST.npz    how these paths ended

Every file is written whole, and carries the key; one that is not whole, or of something else, is computed again.
"""

import hashlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sam_sde.engines import BlockResult
from sam_sde.errors import InputError
from sam_sde.escape import EscapeRun, Recorder
from sam_sde.files import make_folder, used_by_one, write_csv, write_text, write_whole

FOLDER = "store"

FOLDER_OF_KEY = re.compile(r"([0-9a-f]{20})-([1-9]\d*)")

# Blocks of paths that are this much smaller than they would be today cost more than to compute them again.
MUCH_SMALLER = 4

# What reading a file raises that is not whole, or is none of ours.
UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, pd.errors.ParserError)


@dataclass
class Entry:
    """The paths of one arm, as blocks: `Kept` for its run.

    needed: whether a block that cannot be written is an error; else it is a warning, and the run goes on.
    path_steps: those of the blocks that were found.
    """

    folder: Path
    key: str
    run: EscapeRun
    needed: bool = False
    path_steps: int = field(default=0, init=False)

    def get(self, first: int, recorder: Recorder | None = None) -> BlockResult | None:
        """A block that was kept; None where it, or what the recorder wants of it, was not."""
        path = self.path(first)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            self._require_own(arrays, first)
            if recorder is not None and not recorder.restore(arrays):
                return None
            self.path_steps += int(arrays["path_steps"])
            return BlockResult(
                *(torch.from_numpy(arrays[name]) for name in ("outcome", "time", "point")),
                path_steps=int(arrays["path_steps"]),
                engine=str(arrays["engine"]),
                note=str(arrays["note"]) or None,
                way=str(arrays["way"]),
            )
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            warn_of(path, error)
            return None

    def put(self, first: int, block: BlockResult, recorder: Recorder | None = None) -> None:
        """Keeps a block, and what the recorder has of it."""
        arrays = {
            "key": np.array(self.key),
            "first": np.array(first),
            "outcome": block.outcome.numpy(),
            "time": block.time.numpy(),
            "point": block.point.numpy(),
            "path_steps": np.array(block.path_steps),
            "engine": np.array(block.engine),
            "note": np.array(block.note or ""),
            "way": np.array(block.way),
        }
        if recorder is not None:
            arrays |= recorder.arrays()
        self.write(lambda: write_whole(self.path(first), lambda path: np.savez(path, **arrays)))

    def keep(self, first: int, block: BlockResult) -> None:
        """Keeps a block that has come to its end."""
        if block.interrupted_at is None:
            self.put(first, block)

    def has(self, first: int) -> bool:
        """Whether a block is there, as far as can be told without reading it."""
        return self.path(first).exists()

    def read_table(self, name: str) -> pd.DataFrame | None:
        """One that was kept under this name for as many paths, or None."""
        path = self._table(name)
        try:
            return pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values=[""])
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            warn_of(path, error)
            return None

    def write_table(self, name: str, frame: pd.DataFrame) -> None:
        self.write(lambda: write_csv(frame, self._table(name)))

    def remove(self) -> None:
        """All that is kept of the paths."""
        for file in self.folder.glob("*"):
            if file.name != "about.json":
                file.unlink(missing_ok=True)

    def _table(self, name: str) -> Path:
        return self.folder / f"{name}-of-{self.run.n_paths}.csv"

    def path(self, first: int) -> Path:
        """Of the file of a block."""
        return self.folder / f"{first}-{first + self.run.size_of(first) - 1}.npz"

    def _require_own(self, arrays: dict[str, np.ndarray], first: int) -> None:
        n_paths = self.run.size_of(first)
        shapes = {"outcome": (n_paths,), "time": (n_paths,), "point": (n_paths, self.run.problem.dynamics.dim)}
        own = str(arrays["key"]) == self.key and int(arrays["first"]) == first
        if not own or any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise ValueError("it holds other paths")

    def write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except InputError as error:
            if self.needed:
                raise
            warnings.warn(f"not kept on the way: {error}", stacklevel=2)


def warn_of(path: Path, error: Exception) -> None:
    warnings.warn(f"{path} cannot be used, and is computed again ({type(error).__name__}: {error})", stacklevel=4)


@dataclass(frozen=True)
class Store:
    """The entries in the folder of a command's results."""

    out: Path

    @contextmanager
    def alone(self, shard: str | None = None) -> Iterator["Store"]:
        """Keeps it for this process, see `used_by_one`, and removes what one that was killed was just writing."""
        make_folder(self._folder)
        with used_by_one(self._folder, shard):
            for begun in self._folder.glob("*/.*") if shard is None else ():
                begun.unlink(missing_ok=True)
            yield self

    def holds(self, identity: dict[str, Any]) -> bool:
        """Whether there are any paths of a run with this identity."""
        digest = key_of(identity)
        folders = [self._folder / f"{digest}-{size}" for size in self._sizes.get(digest, ())]
        return any(next(folder.glob("[0-9]*.npz"), None) is not None for folder in folders)

    def entry(self, identity: dict[str, Any], run: EscapeRun, fresh: bool = False, needed: bool = False) -> Entry:
        """That of a run with this identity, in blocks as they were kept.

        fresh: nothing of it is believed, and what is there is removed.
        """
        digest = key_of(identity)
        kept = self._sizes.setdefault(digest, set())
        fitting = [size for size in kept if not fresh and size * MUCH_SMALLER >= run.block_size]
        if fitting and max(fitting) != run.block_size:
            run = replace(run, block_size=max(fitting))
        kept.add(run.block_size)
        key = f"{digest}-{run.block_size}"
        entry = Entry(self._folder / key, key, run, needed)
        if fresh:
            entry.remove()
        if not (entry.folder / "about.json").exists():
            make_folder(entry.folder)
            text = json.dumps(identity, indent=2, ensure_ascii=False, default=str)
            entry.write(lambda: write_text(text + "\n", entry.folder / "about.json"))
        return entry

    @cached_property
    def _sizes(self) -> dict[str, set[int]]:
        """Of the blocks of each digest; the folder is listed once, for a study asks for thousands."""
        found = {}
        for name in os.listdir(self._folder) if self._folder.exists() else ():
            if match := FOLDER_OF_KEY.fullmatch(name):
                found.setdefault(match[1], set()).add(int(match[2]))
        return found

    @property
    def _folder(self) -> Path:
        return self.out / FOLDER


def key_of(identity: dict[str, Any]) -> str:
    """A digest that equal identities share, whatever the order of their keys."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
