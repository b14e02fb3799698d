"""Integrates some paths of a result again, at dt and at dt/2 with the same noise: what its step does to it."""

import math
import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Literal

from sam_sde.engines import ENGINES, half_steps
from sam_sde.errors import ArgumentError
from sam_sde.escape.execution import EscapeInterrupted, execute
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.step_check import StepCheck
from sam_sde.statistics import Level, paired_changes

CheckDt = bool | Literal["auto"]

# A path costs three times as much here as in the run, once at dt and twice the steps at dt/2: a fifth of it in all.
UNASKED_SHARE = 1 / 16
FEWEST_PATHS, PILOT_SHARE = 500, 1 / 100

# Coordinates of all paths in all steps from which an unasked check is little beside the run, and those of its paths in
# one step from which the time goes in them, and not in the calls.
WORTH_CHECKING = 1e9
FULL_STEP = 2**13

# The change should be known better than the figure itself.
FINER = 0.5


def require_check(check_dt: CheckDt) -> CheckDt:
    if check_dt != "auto" and not isinstance(check_dt, bool):
        raise ArgumentError("check_dt", f"expected True, False or 'auto', got {check_dt!r}")
    return check_dt


def checked(
    result: EscapeResult,
    check_dt: CheckDt,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
) -> EscapeResult:
    """The result with what dt does to it, where that is asked for; "auto": where it is little beside the run.

    The change of the restricted mean is first found from a hundredth of the paths. Asked for, as many follow as make
    its interval half as wide as that of the restricted mean itself; unasked, at most a sixteenth of the paths, and only
    where the first ones do not show that the change is within that interval. There is nothing to check of an algorithm.

    Raises
        EscapeInterrupted: Ctrl-C, with the result as it was.
    """
    run = result.run
    if check_dt is False or not ENGINES[run.engine].of_sde or (check_dt == "auto" and not _is_cheap(result)):
        return result
    most = run.n_paths if check_dt is True else math.floor(UNASKED_SHARE * run.n_paths)
    n_pilot = min(most, max(FEWEST_PATHS, round(PILOT_SHARE * run.n_paths)))
    try:
        check = step_check(paired_level(run, n_pilot, progress, executor))
        statistical = statistical_half_width(result)
        n_paths = min(most, _paths_needed(check, FINER * statistical))
        if n_paths > n_pilot and (check_dt is True or not _is_within(check, statistical)):
            check = step_check(paired_level(run, n_paths, progress, executor))
    except KeyboardInterrupt:
        raise EscapeInterrupted(result) from None
    return replace(result, step_check=check)


def _is_cheap(result: EscapeResult) -> bool:
    dim, compiled = result.run.problem.dynamics.dim, ENGINES[result.engine].worth_from > 0
    full = UNASKED_SHARE * len(result) * dim >= FULL_STEP
    return compiled and full and result.path_steps * dim >= WORTH_CHECKING


def statistical_half_width(result: EscapeResult) -> float:
    """Of the 95 % interval of the restricted mean."""
    summary = result.summary()
    return 0.5 * (summary["rmst_high"] - summary["rmst_low"])


def _paths_needed(check: StepCheck, wanted: float) -> int:
    """As many as make the interval of the change as wide as that."""
    if not wanted > 0 or not math.isfinite(check.half_width):
        return check.n_paths
    return math.ceil(check.n_paths * (check.half_width / wanted) ** 2)


def _is_within(check: StepCheck, statistical: float) -> bool:
    """Whether the change is surely no more than the statistical error."""
    bounds = check.dt_change["dt_change_low"], check.dt_change["dt_change_high"]
    return max(map(abs, bounds)) <= statistical


def paired_level(run: EscapeRun, n_paths: int, progress, executor: Executor | None) -> Level:
    """The run's first paths at dt/2 and at dt."""
    coarse, fine = (execute_quietly(each, progress, executor) for each in paired_runs(run, n_paths))
    return Level(fine.dt, fine, coarse)


def step_check(level: Level) -> StepCheck:
    """What dt/2 does to a run, of which the level has paths."""
    return StepCheck(2.0 * level.dt, len(level), paired_changes(level.coarse, level.fine))


def paired_runs(run: EscapeRun, n_paths: int) -> tuple[EscapeRun, EscapeRun]:
    """The run's first paths at dt and at dt/2, with the same Brownian motion."""
    coarse, fine = half_steps(run.problem)
    return run.of(coarse, n_paths), run.of(fine, n_paths)


def execute_quietly(run: EscapeRun, progress, executor: Executor | None) -> EscapeResult:
    """Without the warnings that the run itself has or will have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return execute(run, progress, executor=executor)
