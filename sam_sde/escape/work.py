"""Blocks of runs that are to be computed, and what becomes of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sam_sde.engines import BlockResult
from sam_sde.escape.blocks import integrate_block
from sam_sde.escape.progress import BlockReport
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder


def _raise(error: Exception) -> None:
    raise error


@dataclass(eq=False)
class Work:
    """Some blocks of one run.

    firsts: the first path of each block.
    ended: called with the first path and the result of each block, in any order; after an interrupt also with those
        that did not come to their end, see `BlockResult`.
    failed: called with what a block raised; those that were not begun are then left out. By default it is raised.
    report: called after chunks of steps. recorder: keeps states of paths in the first block.
    """

    run: EscapeRun
    firsts: list[int]
    ended: Callable[[int, BlockResult], None]
    failed: Callable[[Exception], None] = _raise
    report: Callable[[BlockReport], None] = lambda report: None
    recorder: Recorder | None = None
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
                block = integrate_block(work.run, first, work.report, work.recorder_of(first))
            except Exception as error:
                work.fail(error)
                break
            work.ended(first, block)
            if block.interrupted_at is not None:
                raise KeyboardInterrupt
