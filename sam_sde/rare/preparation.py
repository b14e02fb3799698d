"""What is asked of splitting, checked before any walker takes a step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from sam_sde import checks
from sam_sde.dynamics import ConstantSchedule, Dynamics, Schedule, times, uneven
from sam_sde.engines import ENGINES, EscapeProblem
from sam_sde.errors import ArgumentError
from sam_sde.escape import EscapeRun, Start, prepare
from sam_sde.noise import EmpiricalNoise
from sam_sde.parameters import Point
from sam_sde.rare.numbers import MAX_STAGES, MOST_PATHS, Numbers
from sam_sde.rare.pilot import LOOPS_EACH, PILOT_WALKERS
from sam_sde.rare.score import require_score, score_of
from sam_sde.regions import Region

WALKERS, REPEATS = 10_000, 16
FEWEST_WALKERS, FEWEST_REPEATS = 100, 2

# By which the engine is chosen: those that a walker takes over all stages are fewer, but by few walkers at a time.
STEPS_OF_A_WALKER = 20_000

# At which multiples of dt the drift must be what it is at 0.
OTHER_TIMES = (1.0, 7.0, 1e3, 1e6)


@dataclass(frozen=True)
class RareRun:
    """A checked experiment: a run of which each block is a repeat, the score, and what is known of the levels."""

    run: EscapeRun
    score: Region
    core: float | None
    levels: tuple[float, ...] | None


def prepare_rare(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    region: Region,
    score: str | Region | Callable = "auto",
    core: float | None = None,
    levels: Sequence[float] | None = None,
    walkers: int = WALKERS,
    repeats: int = REPEATS,
    **options,
) -> RareRun:
    """A checked experiment; the arguments are those of `rare_escape_times`."""
    walkers = checks.whole("walkers", walkers, low=FEWEST_WALKERS)
    repeats = checks.whole("repeats", repeats, low=FEWEST_REPEATS)
    most, counted = MOST_PATHS // MAX_STAGES, max(walkers, PILOT_WALKERS)
    if (repeats + 1) * counted > most:
        raise ArgumentError(
            "repeats", f"expected at most {most // counted - 1} with {walkers} walkers each, got {repeats}"
        )
    dt = dynamics.lr if options.get("dt") is None and isinstance(dynamics, Dynamics) else options.get("dt")
    nominal = {} if dt is None else {"t_max": STEPS_OF_A_WALKER * checks.positive("dt", dt)}
    run = prepare(
        dynamics, start=start, region=region, n_paths=walkers * repeats, block_size=walkers, **nominal, **options
    )
    _require_markov(run)
    _check_starts(run, repeats)
    score = score_of(score, dynamics, region, run.start)
    w = run.start.mean[None].to(device=run.device, dtype=run.dtype)
    require_score(score, w)
    core = None if core is None else checks.real("core", core)
    if core is not None and score is region and core >= 0:
        raise ArgumentError("core", f"expected a level of the region inside it, below 0, got {core:g}")
    if levels is not None:
        levels = tuple(checks.vector("levels", levels).tolist())
        if len(levels) >= MAX_STAGES:
            raise ArgumentError("levels", f"expected at most {MAX_STAGES - 1} of them, got {len(levels)}")
        if any(not low < high for low, high in pairwise(levels)):
            raise ArgumentError("levels", f"expected scores that increase, got {checks.shown(list(levels))}")
        if core is not None and not core < levels[0]:
            raise ArgumentError("core", f"expected a score below the first level {levels[0]:g}, got {core:g}")
    return RareRun(run, score, core, levels)


def _check_starts(run: EscapeRun, repeats: int) -> None:
    """Those that are random, of the pilot and of the loops of each repeat."""
    for repeat in range(repeats + 1 if run.start.std else 0):
        numbers = Numbers(run.problem.stream, repeat, max(run.block_size, PILOT_WALKERS), run.device)
        n = math.ceil(run.block_size / LOOPS_EACH)
        paths = numbers.paths(0, n) if repeat else torch.cat([numbers.paths(0, PILOT_WALKERS), numbers.paths(1, n)])
        run.problem.check_start(run.start.points(paths, run.problem.stream).to(run.dtype))


def _require_markov(run: EscapeRun) -> None:
    """What a walker does next must follow from its state alone, or a clone of it would do something else."""
    dynamics, problem = run.problem.dynamics, run.problem
    for part in dynamics.parts:
        noise = getattr(part, "noise", None)
        if not ENGINES[run.engine].of_sde and isinstance(noise, EmpiricalNoise) and noise.sampling == "epochs":
            raise ArgumentError(
                "sampling",
                "'epochs' remembers which samples were drawn, and splitting takes walkers from the middle of an epoch; "
                "try 'without_replacement'",
            )
    if problem.region.every > 1:
        raise ArgumentError(
            "every", "a region that is looked at after some steps only is left at no state of a step; try every 1"
        )
    schedules = [each for each in vars(dynamics).values() if isinstance(each, Schedule)]
    changing = len(dynamics.parts) > 1 or any(not isinstance(each, ConstantSchedule) for each in schedules)
    if not changing:
        state = run.states_at_start(run.block(0)[:1]).to(run.dtype)
        state = torch.cat([state, state + uneven(state, state.shape[1])])  # for at a critical point all may be 0
        changing = not all(_same(_step_at(problem, 0.0, state), _step_at(problem, k, state)) for k in OTHER_TIMES)
    if changing:
        raise ArgumentError(
            "dynamics",
            f"{type(dynamics).__name__} changes with time, by a schedule or a switch, and a rare escape comes long "
            "after; try the optimizer that is active late, with constant rates",
        )


def _step_at(problem: EscapeProblem, k: float, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Drift and noise at time k·dt."""
    t, z = times(k * problem.dt, state), uneven(state, problem.dynamics.channels)
    return problem.dynamics.f(t, state), problem.dynamics.g_prod(t, state, z)


def _same(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.allclose(*pair, equal_nan=True) for pair in zip(one, other, strict=True))


def prepare_halved(rare: RareRun) -> RareRun:
    """The same with steps of dt/2, and random numbers of its own. Raises ArgumentError for the discrete engine."""
    if not ENGINES[rare.run.engine].of_sde:
        raise ArgumentError("check_dt", "engine 'discrete' has the steps of the optimizer, there is no dt to halve")
    problem = rare.run.problem
    stream = replace(problem.stream, level=problem.stream.level + 1)
    return replace(rare, run=replace(rare.run, problem=replace(problem, dt=problem.dt / 2, stream=stream)))
