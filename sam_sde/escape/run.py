"""A checked escape run: its paths in blocks of fixed size, here or over worker processes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

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
from sam_sde.errors import ArgumentError
from sam_sde.escape.progress import BlockReport, Progress, Tally
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.start import NormalStart, start_states
from sam_sde.escape.trajectory import Recorder, Trajectory
from sam_sde.escape.workers import Workers


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
    workers: int = 1

    def __post_init__(self):
        dim = self.problem.dynamics.dim
        if len(self.start.mean) != dim:
            raise ArgumentError("start", f"expected {dim} numbers, one for each coordinate, got {len(self.start.mean)}")
        last = 1 if self.start.std == 0 else self.n_paths
        for first in range(0, last, self.block_size):
            paths = torch.arange(first, min(first + self.block_size, last), device=self.device)
            self.problem.check_start(self.start.points(paths, self.problem.stream).to(self.dtype))

    @property
    def first_paths(self) -> range:
        """The number of the first path of each block."""
        return range(0, self.n_paths, self.block_size)

    def execute(
        self,
        progress: Callable[[Progress], None] | None = None,
        recorder: Recorder | None = None,
        workers: Workers | None = None,
    ) -> EscapeResult:
        """Integrates all paths; `progress` is called after each chunk. Raises EscapeInterrupted on Ctrl-C.

        workers: a pool to use; without one, blocks are integrated here, or by as many processes as `workers` says.
        """
        tally = Tally(self.n_paths, self.block_size, self.problem.n_steps, progress)
        if workers is not None:
            blocks, interrupted = workers.integrate(self, tally, recorder)
        elif self.workers > 1 and len(self.first_paths) > 1:
            with Workers(self.workers) as workers:
                blocks, interrupted = workers.integrate(self, tally, recorder)
        else:
            blocks, interrupted = self.integrate(tally, recorder)
        begun = list(takewhile(lambda block: block.interrupted_at != 0.0, blocks))
        try:
            result = self._result(begun) if begun else None
        except KeyboardInterrupt:
            result, interrupted = self._result(begun), True
        if interrupted:
            raise EscapeInterrupted(result)
        return result

    def integrate(self, tally: Tally, recorder: Recorder | None) -> tuple[list[BlockResult], bool]:
        """The blocks, one after the other, and whether Ctrl-C ended them: then those that were begun."""
        blocks = []
        try:
            for first in self.first_paths:
                blocks.append(self.integrate_block(first, tally.report, recorder))
                if blocks[-1].interrupted_at is not None:
                    return blocks, True
                tally.end(first, blocks[-1].escaped)
        except KeyboardInterrupt:
            return blocks, True
        return blocks, False

    def integrate_block(
        self, first: int, report: Callable[[BlockReport], None], recorder: Recorder | None
    ) -> BlockResult:
        """The block that begins with the path `first`."""
        paths, start = self._block(first, min(first + self.block_size, self.n_paths))
        return self._integrate(start, paths, lambda *done: report(BlockReport(first, *done)), recorder)

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

    def __getstate__(self) -> dict:
        """Without what was compiled, which belongs to this process."""
        return {name: value for name, value in self.__dict__.items() if name != "_engine"}

    @cached_property
    def _engine(self) -> tuple[Advance, str, str | None]:
        """The function that advances paths, its engine, and why it is torchsde where the compiled one was meant."""
        block = self._block(0, min(self.n_paths, self.block_size))[1]
        try:
            return ENGINES[self.engine].prepare(self.problem, block), self.engine, None
        except CannotCompileError as error:
            reference = choose_engine("torchsde", self.problem, self.n_paths)
            return ENGINES[reference].prepare(self.problem, block), reference, str(error)

    def _integrate(self, start: torch.Tensor, paths: torch.Tensor, report, recorder: Recorder | None) -> BlockResult:
        advance, engine, note = self._engine
        block = run_block(
            self.problem,
            advance,
            start,
            paths,
            chunk=self.chunk,
            compact_below=self.compact_below,
            report=report,
            record=None if recorder is None else recorder.record,
        )
        return replace(block.cpu(), engine=engine, note=note)

    def _start_of(self, paths: torch.Tensor) -> torch.Tensor:
        """The states (paths, state_dim) at the start."""
        return start_states(self.start, self.problem.dynamics, self.problem.stream, paths, self.dtype)

    def _block(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (paths,) and states at the start (paths, state_dim) of the paths first, …, end - 1."""
        paths = torch.arange(first, end, device=self.device)
        return paths, self._start_of(paths)

    def _result(self, blocks: list[BlockResult]) -> EscapeResult:
        if blocks[0].note is not None:
            warnings.warn(
                f"engine: {self.engine!r} cannot run this problem, {blocks[0].engine!r} did ({blocks[0].note})",
                stacklevel=4,
            )
        reached = max(block.interrupted_at or self.problem.t_max for block in blocks)
        return EscapeResult(
            times=torch.cat([block.time for block in blocks]).numpy(),
            outcome=torch.cat([block.outcome for block in blocks]).numpy(),
            t_max=min(reached, self.problem.t_max),
            lr=self.problem.dynamics.lr,
            exit_points=torch.cat([block.point for block in blocks]).numpy(),
            dt=self.problem.dt,
            stream=self.problem.stream,
            engine=blocks[0].engine,
            device=str(self.device),
            block_size=self.block_size,
            path_steps=sum(block.path_steps for block in blocks),
            _run=self,
        )
