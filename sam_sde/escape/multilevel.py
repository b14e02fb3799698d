"""Few paths at the finest step and many at longer ones: multilevel Monte Carlo for the restricted mean.

The sample of a run stays its paths at the finest step. They are the fine halves of pairs with the same Brownian motion;
pairs and single paths at longer steps, each level with random numbers of its own, add what the sample is too small to
tell of the mean (Giles 2008; for exit times Giles and Bernal, "Multilevel estimation of expected exit times and other
functionals of stopped diffusions", SIAM/ASA J. Uncertainty Quantification 2018).
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from sam_sde.engines import EscapeProblem, half_steps
from sam_sde.escape.checking import execute_quietly
from sam_sde.escape.execution import EscapeInterrupted
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.random import Stream
from sam_sde.statistics import Level, Sample


@dataclass(frozen=True)
class Allocation:
    """How many paths each level has. dt: its steps, each half the one before; a level but the first is of pairs.

    error: the standard error that is expected. cost: steps, in those of a path at the pilots' longest step.
    """

    dt: tuple[float, ...]
    n_paths: tuple[int, ...]
    error: float
    cost: float


def allocate(pilots: Sequence[Level], error: float, fewest: int) -> Allocation:
    """The cheapest allocation for a standard error, of those that end at the step of the last pilot's `coarse`.

    pilots: pairs at (dt, dt/2), (dt/2, dt/4), …; a first level at each of these steps is looked at. The numbers are
    those of Giles (2008, section 3), √(V/C) each, V the variance of a level and C the cost of one of its paths or
    pairs; and at least `fewest`, for the variances to be seen again.
    """
    return min((_from(first, pilots, error, fewest) for first in range(len(pilots))), key=attrgetter("cost"))


def _from(first: int, pilots: Sequence[Level], error: float, fewest: int) -> Allocation:
    """With the first level at the step dt/2ᶠⁱʳˢᵗ."""
    longest = pilots[first]
    values = [longest.coarse.times, *(pair.values for pair in pilots[first:-1])]
    variance = np.array([_largest_variance(each) for each in values])
    cost = 2.0**first * np.array([1.0, *(3.0 * 2.0**level for level in range(len(values) - 1))])
    wanted = np.sqrt(variance / cost) * np.sqrt(variance * cost).sum() / error**2
    n_paths = np.maximum(np.ceil(wanted), fewest)
    dt = (2.0 * longest.dt / 2**level for level in range(len(values)))
    expected = math.sqrt((variance / n_paths).sum())
    return Allocation(tuple(dt), tuple(int(n) for n in n_paths), expected, float((n_paths * cost).sum()))


def _largest_variance(values: np.ndarray) -> float:
    """One standard error above the variance that was seen: where few pairs part it is easily underestimated."""
    squares = np.square(values - values.mean())
    return float(squares.mean() + squares.std() / math.sqrt(len(values)))


def as_fine(run: EscapeRun) -> EscapeRun:
    """The run with the Brownian motion of the fine halves of pairs."""
    return replace(run, problem=_pair(run.problem, run.problem.dt, 0)[1])


def with_levels(
    result: EscapeResult,
    allocation: Allocation,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
) -> EscapeResult:
    """The result of a run `as_fine`, its restricted mean that of all levels.

    Raises
        EscapeInterrupted: Ctrl-C, with the result as it was.
    """
    run, last = result.run, len(allocation.dt) - 1

    def sample(problem: EscapeProblem, n_paths: int) -> Sample:
        found = execute_quietly(run.of(problem, n_paths), progress, executor)
        return Sample(found.times, found.outcome, found.t_max, found.lr)

    levels = []
    try:
        for level, (dt, n_paths) in enumerate(zip(allocation.dt, allocation.n_paths, strict=True)):
            coarse, fine = _pair(run.problem, dt, last - level)
            if level == 0:
                alone = replace(run.problem, dt=dt, stream=coarse.stream)
                levels.append(Level(dt, sample(alone, n_paths)))
            elif level < last:
                levels.append(Level(dt, sample(fine, n_paths), sample(coarse, n_paths)))
            else:
                own = Sample(result.times, result.outcome, result.t_max, result.lr)
                levels.append(Level(dt, own, sample(coarse, n_paths)))
    except KeyboardInterrupt:
        raise EscapeInterrupted(result) from None
    return replace(result, levels=tuple(levels))


def _pair(problem: EscapeProblem, dt: float, above: int) -> tuple[EscapeProblem, EscapeProblem]:
    """The problem at 2 dt and at dt, with the random numbers of the level so many below the finest one."""
    stream = Stream(problem.stream.seed, problem.stream.arm, above)
    return half_steps(replace(problem, dt=2.0 * dt, stream=stream))
