"""How far a run is, counted over blocks that may be computed side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


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
    """The last report of each block, and what they add up to."""

    def __init__(self, n_paths: int, block_size: int, n_steps: int, progress: Callable[[Progress], None] | None):
        self._n_paths, self._block_size, self._n_steps = n_paths, block_size, n_steps
        self._progress = progress
        self._reports: dict[int, BlockReport] = {}
        self._ended: set[int] = set()

    def report(self, report: BlockReport) -> None:
        self._reports[report.first] = report
        self._tell()

    def end(self, first: int, escaped: int) -> None:
        self._ended.add(first)
        self.report(BlockReport(first, self._n_steps, escaped))

    def _size(self, first: int) -> int:
        return min(self._block_size, self._n_paths - first)

    def _tell(self) -> None:
        if self._progress is None:
            return
        under_way = (r for first, r in self._reports.items() if first not in self._ended)
        finished = sum(map(self._size, self._ended))
        work = finished + sum(self._size(r.first) * r.steps / self._n_steps for r in under_way)
        escaped = sum(report.escaped for report in self._reports.values())
        self._progress(Progress(finished, escaped, work / self._n_paths))
