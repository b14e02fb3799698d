"""A checked escape run: its paths in blocks of fixed size, one after the other, with progress."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from sam_sde import checks
from sam_sde.engines import (
    ENGINES,
    Advance,
    BlockResult,
    CannotCompileError,
    EscapeProblem,
    choose_engine,
    run_block,
)
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.start import NormalStart
from sam_sde.escape.trajectory import Recorder, Trajectory
from sam_sde.statistics import Outcome


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    finished: paths whose block has ended; escaped: paths that escaped, of all blocks; fraction: of the work, at most 1.
    """

    finished: int
    escaped: int
    fraction: float


class EscapeInterrupted(KeyboardInterrupt):
    """An interrupt during a run; `result` holds the paths that were begun, or is None.

    Those still inside are censored at the time they had reached; if no block was finished, that is the result's t_max.
    """

    def __init__(self, result: EscapeResult | None):
        super().__init__("interrupted")
        self.result = result


@dataclass(frozen=True)
class EscapeRun:
    """A problem with its paths, and where and how they are computed. Creating it checks the start.

    chunk, compact_below: see `run_block`; they change the speed, not the result.

    Raises
        ValueError: a start of the wrong length, outside the region, or where loss, drift or noise is not finite.
    """

    problem: EscapeProblem
    start: NormalStart
    n_paths: int
    engine: str
    device: torch.device
    dtype: torch.dtype
    block_size: int
    chunk: int
    compact_below: float

    def __post_init__(self):
        dim = self.problem.dynamics.dim
        if len(self.start.mean) != dim:
            raise ValueError(f"start: expected {dim} numbers, one for each coordinate, got {len(self.start.mean)}")
        last = 1 if self.start.std == 0 else self.n_paths
        for first in range(0, last, self.block_size):
            self.problem.check_start(self._block(first, min(first + self.block_size, last))[1])

    def execute(
        self, progress: Callable[[Progress], None] | None = None, recorder: Recorder | None = None
    ) -> EscapeResult:
        """Integrates all paths; `progress` is called after each chunk. Raises EscapeInterrupted on Ctrl-C."""
        blocks, tally = [], _Tally(self.n_paths, self.problem.n_steps, progress)
        try:
            for first in range(0, self.n_paths, self.block_size):
                paths, start = self._block(first, min(first + self.block_size, self.n_paths))
                tally.begin_block(len(paths))
                blocks.append(self._integrate(start, paths, tally.add_chunk, recorder))
                if blocks[-1].interrupted_at is not None:
                    raise KeyboardInterrupt
                tally.end_block(blocks[-1])
        except KeyboardInterrupt:
            blocks = [block for block in blocks if block.interrupted_at != 0.0]
            raise EscapeInterrupted(self._result(blocks, tally.path_steps) if blocks else None) from None
        return self._result(blocks, tally.path_steps)

    def trajectories(self, paths: list[int], every: int = 1) -> list[Trajectory]:
        """The paths with these numbers again, without the others, and every `every`-th of their states."""
        for path in paths:
            checks.whole("path", path, low=0, high=self.n_paths - 1)
        numbers = torch.tensor(paths, device=self.device)
        recorder = Recorder(paths, every)
        block = self._integrate(self._start_of(numbers), numbers, None, recorder)
        ends = zip(block.outcome.tolist(), block.time.tolist(), block.point.cpu().numpy(), strict=True)
        return [recorder.trajectory(path, self.problem.dt, *end) for path, end in zip(paths, ends, strict=True)]

    def replay(self, path: int) -> Trajectory:
        return self.trajectories([path])[0]

    @cached_property
    def _engine(self) -> tuple[str, Advance]:
        """The engine that does the work and its function; torchsde where the compiled one cannot."""
        few = self._block(0, min(self.n_paths, 8))[1]
        try:
            return self.engine, ENGINES[self.engine].prepare(self.problem, few)
        except CannotCompileError as error:
            reference = choose_engine("torchsde", self.problem, self.n_paths)
            warnings.warn(f"engine: 'compiled' cannot run this problem, using 'torchsde' ({error})", stacklevel=2)
            return reference, ENGINES[reference].prepare(self.problem, few)

    def _integrate(self, start: torch.Tensor, paths: torch.Tensor, report, recorder: Recorder | None) -> BlockResult:
        return run_block(
            self.problem,
            self._engine[1],
            start,
            paths,
            chunk=self.chunk,
            compact_below=self.compact_below,
            report=report,
            record=None if recorder is None else recorder.record,
        ).cpu()

    def _start_of(self, paths: torch.Tensor) -> torch.Tensor:
        return self.start.points(paths, self.problem.stream).to(self.dtype)

    def _block(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (paths,) and start points (paths, dim) of the paths first, …, end - 1."""
        paths = torch.arange(first, end, device=self.device)
        return paths, self._start_of(paths)

    def _result(self, blocks: list[BlockResult], path_steps: int) -> EscapeResult:
        reached = max(block.interrupted_at or self.problem.t_max for block in blocks)
        return EscapeResult(
            times=torch.cat([block.time for block in blocks]).numpy(),
            outcome=torch.cat([block.outcome for block in blocks]).numpy(),
            t_max=min(reached, self.problem.t_max),
            lr=self.problem.dynamics.lr,
            exit_points=torch.cat([block.point for block in blocks]).numpy(),
            dt=self.problem.dt,
            stream=self.problem.stream,
            engine=self._engine[0],
            device=str(self.device),
            block_size=self.block_size,
            path_steps=path_steps,
            _replay=self.replay,
        )


class _Tally:
    """Counts what is done and tells it."""

    def __init__(self, n_paths: int, n_steps: int, progress: Callable[[Progress], None] | None):
        self.path_steps = 0
        self._n_paths, self._n_steps = n_paths, n_steps
        self._progress = progress
        self._finished = self._escaped = self._block_size = 0

    def begin_block(self, n_paths: int) -> None:
        self._block_size = n_paths

    def add_chunk(self, steps_done: int, path_steps: int, escaped: int) -> None:
        self.path_steps += path_steps
        self._tell(self._escaped + escaped, self._finished + self._block_size * steps_done / self._n_steps)

    def end_block(self, block: BlockResult) -> None:
        self._finished += self._block_size
        self._escaped += int((block.outcome == Outcome.ESCAPED).sum())
        self._tell(self._escaped, self._finished)

    def _tell(self, escaped: int, work: float) -> None:
        if self._progress is not None:
            self._progress(Progress(self._finished, escaped, work / self._n_paths))
