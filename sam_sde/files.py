"""Folders that can be written to, and files that are written whole or not at all."""

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
            _to_disk(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _to_disk(path: Path) -> None:
    """What is in a file is there before its name is, even where the power fails."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_csv(frame: "pd.DataFrame", path: Path) -> None:
    write_whole(path, lambda temporary: frame.to_csv(temporary, index=False))


def write_text(text: str, path: Path) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def used_by_one(folder: Path, shard: str | None = None) -> Iterator[None]:
    """Keeps a folder for this process; those that say that they are different shards may use it side by side.

    Where the system has no such locks everybody may.

    Raises
        InputError: another process uses it.
    """
    with ExitStack() as stack:
        locks = [("lock", False)] if shard is None else [("lock", True), (f"lock-{shard.replace('/', '-of-')}", False)]
        for name, shared in locks:
            stack.enter_context(_lock(folder, name, shared))
        yield


@contextmanager
def _lock(folder: Path, name: str, shared: bool) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / f".{name}").open("a+b", buffering=0) as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            by = file.read(100).decode(errors="replace") or "another process"
            raise InputError(f"{folder} is in use by {by}; wait for its end, or choose another folder") from None
        except OSError:
            pass  # as on some network's file system
        else:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
        yield


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
