"""Blocks of runs that are to be computed, and what becomes of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sam_sde.escape.blocks import forget, integrate_block
from sam_sde.escape.progress import BlockReport
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder


def _raise(error: Exception) -> None:
    raise error


class Ended(Protocol):
    """What is computed of a block: a `BlockResult`, or another thing that can be pickled.

    interrupted_at: the time at which Ctrl-C ended it, None where it came to its end.
    """

    interrupted_at: float | None


# (run, first path of the block, what it reports to, recorder) to what is computed of the block.
Compute = Callable[[EscapeRun, int, Callable[[BlockReport], None], Recorder | None], Ended]


@dataclass(eq=False)
class Work:
    """Some blocks of one run.

    firsts: the first path of each block.
    ended: called with the first path and the result of each block, in any order; after an interrupt also with those
        that did not come to their end, see `BlockResult`.
    compute: what is done with a block, by default the integration of its paths.
    failed: called with what a block raised; those that were not begun are then left out. By default it is raised.
    report: called after chunks of steps. recorder: keeps states of paths in the first block.
    """

    run: EscapeRun
    firsts: list[int]
    ended: Callable[[int, Any], None]
    failed: Callable[[Exception], None] = _raise
    report: Callable[[BlockReport], None] = lambda report: None
    recorder: Recorder | None = None
    compute: Compute = field(default_factory=lambda: integrate_block)
    has_failed: bool = field(default=False, init=False)

    def fail(self, error: Exception) -> None:
        if not self.has_failed:
            self.has_failed = True
            self.failed(error)

    def recorder_of(self, first: int) -> Recorder | None:
        return self.recorder if first == 0 else None


def compute_here(works: Iterable[Work]) -> None:
    """One block after another, in this process.

    Raises
        KeyboardInterrupt: after the block that it ended was handed on.
    """
    for work in works:
        for first in work.firsts:
            try:
                block = work.compute(work.run, first, work.report, work.recorder_of(first))
            except Exception as error:
                work.fail(error)
                break
            work.ended(first, block)
            if block.interrupted_at is not None:
                raise KeyboardInterrupt
        forget(work.run)
