"""Folders that can be written to, and files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sam_sde.errors import ArgumentError, InputError

if TYPE_CHECKING:
    import pandas as pd


def make_folder(out: Path) -> None:
    """Makes the folder for results, and sees that files can be written there, before any work.

    Raises
        ArgumentError: it cannot be made, or not be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".sam_sde"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ArgumentError("--out", f"cannot write to {out}: {error.strerror}; choose another folder") from None


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a temporary path beside `path`, then renames it; after a failure nothing is left.

    Raises
        InputError: the folder does not exist or cannot be written to, or the disk is full.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def write_csv(frame: "pd.DataFrame", path: Path) -> None:
    write_whole(path, lambda temporary: frame.to_csv(temporary, index=False))


def write_text(text: str, path: Path) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time in `folder`, the others wait; where the system has no such locks, nobody does."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):  # as on some network's file system
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
