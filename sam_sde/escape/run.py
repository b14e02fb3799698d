"""A checked escape run: a problem with its paths, and where and how they are to be computed."""

import math
from dataclasses import dataclass, replace

import torch

from sam_sde.dynamics import Dynamics, times, uneven
from sam_sde.engines import ENGINES, EscapeProblem
from sam_sde.engines.problem import FULLY_CHECKED
from sam_sde.errors import ArgumentError
from sam_sde.escape.precision import precision_warnings
from sam_sde.escape.start import Start, start_states
from sam_sde.surfaces import FiniteSum

# Of the algorithm: nothing is compiled for a check.
UNCOMPILED = ENGINES["discrete"]


def default_block_size(dynamics: Dynamics, engine: str, n_paths: int, workers: int, device: torch.device) -> int:
    """How many paths an engine integrates together where it is not told."""
    # A path has its state and, for each step, its noise: with data one number a sample.
    numbers = max(dynamics.state_dim, dynamics.channels)
    return ENGINES[engine].block_size(numbers, math.ceil(n_paths / workers), device.type == "cuda")


@dataclass(frozen=True)
class EscapeRun:
    """What is to be integrated, and how. Creating it checks the start.

    n_paths: how many paths, numbered from 0; block_size: how many are integrated together.
    engine: the name of one of `sam_sde.engines.ENGINES`. workers: threads or processes that share the blocks.
    chunk, compact_below: see `run_block`; they change the speed, not the result.
    task_timeout: seconds after which a block that has not come to its end is given up, with its process.

    Raises
        ArgumentError: a start outside the region, or where loss, drift or noise is not finite.
    """

    problem: EscapeProblem
    start: Start
    n_paths: int
    engine: str
    device: torch.device
    dtype: torch.dtype
    block_size: int
    chunk: int
    compact_below: float
    workers: int = 1
    task_timeout: float | None = None

    def __post_init__(self):
        last = 1 if self.start.std == 0 else self.n_paths
        for first in range(0, last, self.block_size):
            paths = torch.arange(first, min(first + self.block_size, last), device=self.device)
            self._check_start(paths, self.start.points(paths, self.problem.stream))

    def _check_start(self, paths: torch.Tensor, w: torch.Tensor) -> None:
        try:
            self.problem.check_start(w.to(self.dtype))
            self._check_first_step(paths, w.to(self.dtype))
        except ArgumentError as error:
            if self.dtype != torch.float64 and self._can_start(paths, w):
                message = f"{error.message}; so it is in single precision alone, try dtype 'float64'"
                raise ArgumentError(error.name, message) from None
            raise

    def _can_start(self, paths: torch.Tensor, w: torch.Tensor) -> bool:
        try:
            self.problem.check_start(w)
            self._check_first_step(paths, w)
        except ArgumentError:
            return False
        return True

    def _check_first_step(self, paths: torch.Tensor, w: torch.Tensor) -> None:
        """Of random starts (paths, dim): of the algorithm its first step, of an SDE what a step is made of."""
        if len(w) <= FULLY_CHECKED:
            return
        problem, state = self.problem, self.problem.state_at(w)
        for surface in (getattr(part, "surface", None) for part in problem.dynamics.parts):
            if surface is not None and not isinstance(surface, FiniteSum):  # whose value costs many steps
                surface.check_at(w)
        if ENGINES[self.engine].of_sde:
            t, z = times(0.0, state), uneven(state, problem.dynamics.channels)
            step = problem.dynamics.f(t, state) + problem.dynamics.g_prod(t, state, z)
        else:
            step = UNCOMPILED.prepare(problem, state)(problem, state, paths, 0, 1).states[-1]
        lost = int((~torch.isfinite(step)).any(-1).sum())
        if lost:
            raise ArgumentError("start", f"a step from there is not finite for {lost} of {len(w)} paths")

    @property
    def precision_warnings(self) -> list[str]:
        """Why the run may come out wrong in its precision; one sentence for each reason."""
        problem = self.problem
        return precision_warnings(problem.dynamics, self.start.mean, problem.t_max, self.dtype, problem.region)

    def of(self, problem: EscapeProblem, n_paths: int) -> "EscapeRun":
        """The first paths alone, of this problem or one like it."""
        block_size = default_block_size(problem.dynamics, self.engine, n_paths, self.workers, self.device)
        return replace(self, problem=problem, n_paths=n_paths, block_size=block_size)

    def with_engine(self, engine: str) -> "EscapeRun":
        """The same paths by another engine."""
        block_size = default_block_size(self.problem.dynamics, engine, self.n_paths, self.workers, self.device)
        chunk = ENGINES[engine].chunk_of(block_size, self.problem.dynamics.state_dim, self.device.type == "cuda")
        return replace(self, engine=engine, block_size=block_size, chunk=chunk)

    @property
    def in_threads(self) -> bool:
        """Whether its workers are threads of this process."""
        return ENGINES[self.engine].in_threads and self.device.type == "cpu"

    @property
    def first_paths(self) -> range:
        """The number of the first path of each block."""
        return range(0, self.n_paths, self.block_size)

    def size_of(self, first: int) -> int:
        """How many paths the block has that begins with the path `first`."""
        return min(self.block_size, self.n_paths - first)

    def block(self, first: int) -> torch.Tensor:
        """The numbers (paths,) of the paths in the block that begins with the path `first`."""
        return torch.arange(first, first + self.size_of(first), device=self.device)

    def states_at_start(self, paths: torch.Tensor) -> torch.Tensor:
        """The states (paths, state_dim) in which the paths with these numbers start, in float64."""
        return start_states(self.start, self.problem.dynamics, self.problem.stream, paths, self.dtype)
