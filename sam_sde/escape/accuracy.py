"""Chooses the step and the number of paths for a total error that is asked for."""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from sam_sde import checks
from sam_sde.engines import ENGINES
from sam_sde.errors import ArgumentError
from sam_sde.escape.checking import check_step, execute_quietly
from sam_sde.escape.progress import Progress
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.step_check import StepCheck
from sam_sde.statistics import Sample, restricted_mean, summarize

PILOT_PATHS = 1000
MOST_PATHS = 10**8
MOST_HALVINGS = 12

# The order in dt that errors are taken to vanish with: of Euler's method that where the drift jumps.
ORDERS = {"euler": 0.5}


@dataclass(frozen=True)
class Plan:
    """The dt and n_paths that were chosen, what dt/2 would change, and both shares of the error over the mean."""

    dt: float
    n_paths: int
    step_check: StepCheck | None
    statistical_error: float
    step_error: float


def require_accuracy(accuracy: float) -> float:
    if not 0.0 < checks.real("accuracy", accuracy) < 1.0:
        raise ArgumentError("accuracy", f"expected a number above 0 and below 1, got {accuracy:g}; try 0.01")
    return float(accuracy)


def plan(
    run: EscapeRun,
    accuracy: float,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
) -> Plan:
    """The dt and n_paths with which the restricted mean of the run has a total error of `accuracy` times the mean.

    Half of its square is for the statistical error, the half-width of a 95 % interval, and half for that of the step.
    dt is halved until the change from dt to dt/2, found from paths with the same Brownian motion, says that the error
    of the step is small enough: for a method of order p it is the change over 1 - 2⁻ᵖ. p is taken to be 1, and ½ for
    Euler's method, as it is where SAM's drift jumps. The step of an algorithm is its own.

    Raises
        ArgumentError: more than 10⁸ paths or a step below dt/4096 would be needed.
    """
    share = require_accuracy(accuracy) / math.sqrt(2.0)
    if not ENGINES[run.engine].of_sde:
        sample = execute_quietly(run.of(run.problem, PILOT_PATHS), progress, executor)
        return _plan(run.problem.dt, None, sample, share, step_error=0.0)
    for halvings in range(MOST_HALVINGS + 1):
        halved = replace(run, problem=replace(run.problem, dt=run.problem.dt / 2**halvings))
        check, sample = _checked_pilot(halved, share, progress, executor)
        order = ORDERS.get(run.problem.method, 1.0)
        step_error = abs(check.dt_change["dt_change"]) / (1.0 - 2.0**-order) / _mean(sample)
        if step_error <= share:
            return _plan(check.dt, check, sample, share, step_error)
    raise ArgumentError("accuracy", f"a step of {check.dt:.2g} is too long for {accuracy:g} still; try a larger one")


def _checked_pilot(run: EscapeRun, share: float, progress, executor) -> tuple[StepCheck, Sample]:
    """With as many paths as tell a change of the size of the share from none."""
    check, sample = check_step(run, PILOT_PATHS, progress, executor)
    needed = math.ceil(PILOT_PATHS * (check.half_width / (share * _mean(sample))) ** 2)
    return (check, sample) if needed <= PILOT_PATHS else check_step(run, min(needed, MOST_PATHS), progress, executor)


def _mean(sample: Sample) -> float:
    mean, _ = restricted_mean(sample)
    if not mean > 0:
        raise ArgumentError("accuracy", "no path of the pilot could be followed; try the run without it")
    return mean


def _plan(dt: float, check: StepCheck | None, sample: Sample, share: float, step_error: float) -> Plan:
    """With the number of paths that the spread of the sample takes."""
    summary = summarize(sample)
    half_width = 0.5 * (summary["rmst_high"] - summary["rmst_low"]) * math.sqrt(len(sample)) / _mean(sample)
    n_paths = max(PILOT_PATHS, math.ceil((half_width / share) ** 2))
    if n_paths > MOST_PATHS:
        raise ArgumentError("accuracy", f"it would take {n_paths:.2g} paths; try a larger one")
    return Plan(dt, n_paths, check, half_width / math.sqrt(n_paths), step_error)
