"""Ends a process that does not come back from its work."""

import faulthandler
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ends_process_after(seconds: float | None) -> Iterator[None]:
    """Ends a worker process where the body takes longer, whatever hangs in it, and prints where; None for no limit."""
    if seconds is None or multiprocessing.parent_process() is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
