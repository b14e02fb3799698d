"""How far a run is, counted over blocks that may be computed side by side."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sam_sde.escape.run import EscapeRun


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    finished: paths whose block has ended; escaped: paths that escaped, of all blocks; fraction: of the work, at most 1.
    """

    finished: int
    escaped: int
    fraction: float


class BlockReport(NamedTuple):
    """What a block says of itself after a chunk: its first path, steps done, paths that escaped."""

    first: int
    steps: int
    escaped: int


class Tally:
    """The last report of each block of some runs, and what they add up to."""

    def __init__(self, progress: Callable[[Progress], None] | None):
        self._progress = progress
        self._expected = self._finished = self._escaped = 0
        self._under_way: dict[tuple[int, int], tuple[float, int]] = {}

    def expect(self, run: EscapeRun, firsts: Iterable[int]) -> None:
        """Some blocks of a run that count, by their first paths."""
        self._expected += sum(map(run.size_of, firsts))

    def report(self, run: EscapeRun, report: BlockReport) -> None:
        done = run.size_of(report.first) * report.steps / run.problem.n_steps
        self._under_way[id(run), report.first] = (done, report.escaped)
        self._tell()

    def end(self, run: EscapeRun, first: int, escaped: int) -> None:
        self._under_way.pop((id(run), first), None)
        self._finished += run.size_of(first)
        self._escaped += escaped
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            work = self._finished + sum(done for done, _ in self._under_way.values())
            escaped = self._escaped + sum(escaped for _, escaped in self._under_way.values())
            self._progress(Progress(self._finished, escaped, work / self._expected))
