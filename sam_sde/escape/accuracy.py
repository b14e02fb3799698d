"""Chooses the step and the number of paths for a total error that is asked for."""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from sam_sde import checks
from sam_sde.engines import ENGINES
from sam_sde.errors import ArgumentError
from sam_sde.escape.checking import execute_quietly, paired_level, step_check
from sam_sde.escape.multilevel import Allocation, allocate, as_fine, with_levels
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.step_check import StepCheck
from sam_sde.statistics import Level, Sample, restricted_mean, summarize
from sam_sde.statistics.intervals import Z

PILOT_PATHS = 1000
MOST_PATHS = 10**8
MOST_HALVINGS = 12

# The order in dt that errors are taken to vanish with: of Euler's method that where the drift jumps.
ORDERS = {"euler": 0.5}


# A part of the cost, below which paths at several steps are worth that the other figures have fewer paths.
WORTH_LEVELS = 0.8


@dataclass(frozen=True)
class Plan:
    """The dt and n_paths that were chosen, what dt/2 would change, and both shares of the error over the mean.

    levels: the paths at longer steps and at dt behind the mean, see `sam_sde.escape.multilevel`; None where all are at
    dt.
    """

    dt: float
    n_paths: int
    step_check: StepCheck | None
    statistical_error: float
    step_error: float
    levels: Allocation | None = None

    @property
    def way(self) -> str:
        return "one step" if self.levels is None else "multilevel"

    def run_of(self, run: EscapeRun) -> EscapeRun:
        """A run at dt of n_paths, as the plan wants its random numbers."""
        return run if self.levels is None else as_fine(run)

    def completed(
        self,
        result: EscapeResult,
        progress: Callable[[Progress], None] | None = None,
        executor: Executor | None = None,
    ) -> EscapeResult:
        """The result of `run_of` with its other levels, and with what dt/2 would change."""
        result = replace(result, step_check=self.step_check)
        return result if self.levels is None else with_levels(result, self.levels, progress, executor)


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

    The variances of the pilots at all these steps say whether paths at the last step alone, or few there and more at
    longer steps, cost less; then n_paths is that of the few.

    Raises
        ArgumentError: more than 10⁸ paths or a step below dt/4096 would be needed.
    """
    share = require_accuracy(accuracy) / math.sqrt(2.0)
    if not ENGINES[run.engine].of_sde:
        sample = execute_quietly(run.of(run.problem, PILOT_PATHS), progress, executor)
        return _possible(_at_one_step(run.problem.dt, None, sample, share, step_error=0.0))
    pilots = []
    for halvings in range(MOST_HALVINGS + 1):
        halved = replace(run, problem=replace(run.problem, dt=run.problem.dt / 2**halvings))
        pilots.append(_pilot(halved, share, progress, executor))
        check, sample = step_check(pilots[-1]), pilots[-1].coarse
        order = ORDERS.get(run.problem.method, 1.0)
        step_error = abs(check.dt_change["dt_change"]) / (1.0 - 2.0**-order) / _mean(sample)
        if step_error <= share:
            return _possible(_cheaper(_at_one_step(check.dt, check, sample, share, step_error), pilots, share))
    raise ArgumentError("accuracy", f"a step of {check.dt:.2g} is too long for {accuracy:g} still; try a larger one")


def _pilot(run: EscapeRun, share: float, progress, executor) -> Level:
    """With as many paths as tell a change of the size of the share from none."""
    pilot = paired_level(run, PILOT_PATHS, progress, executor)
    needed = math.ceil(PILOT_PATHS * (step_check(pilot).half_width / (share * _mean(pilot.coarse))) ** 2)
    return pilot if needed <= PILOT_PATHS else paired_level(run, min(needed, MOST_PATHS), progress, executor)


def _mean(sample: Sample) -> float:
    mean, _ = restricted_mean(sample)
    if not mean > 0:
        raise ArgumentError("accuracy", "no path of the pilot could be followed; try the run without it")
    return mean


def _at_one_step(dt: float, check: StepCheck | None, sample: Sample, share: float, step_error: float) -> Plan:
    """With the number of paths that the spread of the sample takes."""
    summary = summarize(sample)
    half_width = 0.5 * (summary["rmst_high"] - summary["rmst_low"]) * math.sqrt(len(sample)) / _mean(sample)
    n_paths = max(PILOT_PATHS, math.ceil((half_width / share) ** 2))
    return Plan(dt, n_paths, check, half_width / math.sqrt(n_paths), step_error)


def _cheaper(plan: Plan, pilots: list[Level], share: float) -> Plan:
    """The plan, or that with paths at longer steps where it is clearly cheaper and no path failed."""
    if any(sample.failed.any() for pilot in pilots for sample in (pilot.coarse, pilot.fine)):
        return plan
    half_width = Z / _mean(pilots[-1].coarse)
    found = allocate(pilots, share / half_width, PILOT_PATHS)
    at_one_step = plan.n_paths * 2.0 ** (len(pilots) - 1)
    if len(found.dt) == 1 or found.cost >= WORTH_LEVELS * at_one_step:
        return plan
    return replace(plan, n_paths=found.n_paths[-1], statistical_error=half_width * found.error, levels=found)


def _possible(plan: Plan) -> Plan:
    most = max((plan.n_paths,) if plan.levels is None else plan.levels.n_paths)
    if most > MOST_PATHS:
        raise ArgumentError("accuracy", f"it would take {most:.2g} paths; try a larger one")
    return plan
