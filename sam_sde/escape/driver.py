"""Escape times of many paths: blocks of fixed size, one after the other, with progress."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.engines import ENGINES, EscapeProblem, run_block
from sam_sde.engines.block import CHUNK
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.start import NormalStart, PointStart
from sam_sde.escape.trajectory import Trajectory, trajectories
from sam_sde.random import Stream
from sam_sde.regions import Region
from sam_sde.statistics import Outcome

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_PATHS = 2**31

# The states of a chunk should stay in a processor's cache, and a step should be long beside torch's 10 µs a call.
BLOCK_COORDINATES = 2**17
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 2**16


@dataclass(frozen=True)
class Progress:
    """How far a run is: paths that ended their block, of these escaped, and the fraction of the work done."""

    finished: int
    escaped: int
    fraction: float


class EscapeInterrupted(KeyboardInterrupt):
    """An interrupt during `escape_times`; `result` holds the paths of the blocks that were finished, or None."""

    def __init__(self, result: EscapeResult | None):
        super().__init__("interrupted")
        self.result = result


def escape_times(
    dynamics: Dynamics,
    *,
    start: Sequence[float] | NormalStart,
    region: Region,
    t_max: float,
    n_paths: int,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "euler",
    engine: str = "auto",
    crossing: str = "bridge",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    block_size: int | None = None,
    chunk: int = CHUNK,
    compact_below: float = 0.8,
    progress: Callable[[Progress], None] | None = None,
) -> EscapeResult:
    """First times at which `n_paths` paths of `dynamics` leave `region`, with t = lr·steps.

    start: one point (dim,) for all paths, or a `NormalStart`.
    t_max: paths inside then are censored; rounded up to whole steps.
    seed, arm: the key of the random numbers. Runs with different seeds or arms are independent; path i of equal
        seed and arm is the same path in every run, whatever n_paths, chunk or companions.
    dt: step of the integration; default the dynamics' lr, one step of the optimizer.
    method: "euler", "milstein" or "srk" (torchsde's); state-dependent noise accepts "euler" only.
    crossing: "bridge" (a path may leave and return within a step), "shift" (region shrunk instead), or "none"
        (only the steps' ends count, as for the discrete algorithm).
    device: "auto" (CUDA where there is one), "cpu", "cuda", …; dtype: "float32" or "float64".
    block_size: paths integrated together; the default follows from dim alone.
    chunk, compact_below: see `sam_sde.engines.block.run_block`; they change the speed, not the result.
    progress: called after each chunk.

    Raises
        ValueError: an argument out of its range, a start outside the region, a loss or noise that is not finite there.
        EscapeInterrupted: on Ctrl-C, with the blocks that were finished.
    """
    problem = EscapeProblem(
        dynamics=dynamics,
        region=region,
        stream=Stream(seed, arm),
        t_max=checks.positive("t_max", t_max),
        dt=dynamics.lr if dt is None else dt,
        method=method,
        crossing=crossing,
    )
    n_paths = checks.whole("n_paths", n_paths, low=1, high=MAX_PATHS)
    chunk = checks.whole("chunk", chunk, low=1)
    block_size = default_block_size(dynamics.dim) if block_size is None else block_size
    run = _Run(
        problem=problem,
        start=start if isinstance(start, NormalStart) else PointStart(checks.vector("start", start, dynamics.dim)),
        n_paths=n_paths,
        engine=resolve_engine(engine),
        device=resolve_device(device),
        dtype=resolve_dtype(dtype),
        block_size=checks.whole("block_size", block_size, low=1),
    )
    run.check_start()
    return run.execute(chunk, compact_below, progress)


@dataclass(frozen=True)
class _Run:
    """A checked problem with its paths, and where they are computed."""

    problem: EscapeProblem
    start: NormalStart
    n_paths: int
    engine: str
    device: torch.device
    dtype: torch.dtype
    block_size: int

    def block(self, first: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (paths,) and start points (paths, dim) of the block that begins with path `first`."""
        paths = torch.arange(first, min(first + self.block_size, self.n_paths), device=self.device)
        return paths, self.start.points(paths, self.problem.stream).to(self.dtype)

    def check_start(self) -> None:
        if len(self.start.mean) != self.problem.dynamics.dim:
            raise ValueError(
                f"start: expected {self.problem.dynamics.dim} numbers, one for each coordinate, "
                f"got {len(self.start.mean)}"
            )
        for first in range(0, 1 if self.start.std == 0 else self.n_paths, self.block_size):
            self.problem.check_start(self.block(first)[1])

    def execute(self, chunk: int, compact_below: float, progress) -> EscapeResult:
        blocks = []
        path_steps = escaped = 0
        try:
            for first in range(0, self.n_paths, self.block_size):
                paths, start = self.block(first)

                def report(steps_done: int, integrated: int, first=first, size=len(paths)) -> None:
                    nonlocal path_steps
                    path_steps += integrated
                    if progress is not None:
                        work = first + size * steps_done / self.problem.n_steps
                        progress(Progress(first, escaped, work / self.n_paths))

                block = run_block(
                    self.problem,
                    ENGINES[self.engine],
                    start,
                    paths,
                    chunk=chunk,
                    compact_below=compact_below,
                    report=report,
                )
                blocks.append([column.cpu().numpy() for column in (block.outcome, block.time, block.point)])
                escaped += int((blocks[-1][0] == Outcome.ESCAPED).sum())
                if progress is not None:
                    finished = first + len(paths)
                    progress(Progress(finished, escaped, finished / self.n_paths))
        except KeyboardInterrupt:
            raise EscapeInterrupted(self.result(blocks, path_steps) if blocks else None) from None
        return self.result(blocks, path_steps)

    def result(self, blocks: list[list[np.ndarray]], path_steps: int) -> EscapeResult:
        outcome, times, points = (np.concatenate(column) for column in zip(*blocks, strict=True))
        return EscapeResult(
            times=times,
            outcome=outcome,
            t_max=self.problem.t_max,
            lr=self.problem.dynamics.lr,
            exit_points=points,
            dt=self.problem.dt,
            stream=self.problem.stream,
            engine=self.engine,
            device=str(self.device),
            block_size=self.block_size,
            path_steps=path_steps,
            _replay=self.replay,
        )

    def replay(self, path: int) -> Trajectory:
        path = checks.whole("path", path, low=0, high=self.n_paths - 1)
        return trajectories(self.problem, self.start, [path], engine=self.engine, device=self.device, dtype=self.dtype)[
            0
        ]


def default_block_size(dim: int) -> int:
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, BLOCK_COORDINATES // dim))


def resolve_engine(engine: str) -> str:
    """The engine's name; "auto" is torchsde."""
    return checks.one_of("engine", engine, ("auto", *ENGINES)).replace("auto", "torchsde")


def resolve_device(device: str | torch.device) -> torch.device:
    """The device; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device: cannot use {device!r}: {reason}; try 'auto' or 'cpu'") from None
    return device


def resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        dtype = str(dtype).removeprefix("torch.")
    return DTYPES[checks.one_of("dtype", dtype, DTYPES)]
