"""Carries splitting out: the pilot, and then the repeats, here or on workers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sam_sde.escape import EscapeInterrupted, EscapeRun, Progress, Work, compute
from sam_sde.escape.blocks import make_ready
from sam_sde.escape.progress import BlockReport
from sam_sde.rare.chain import Chain
from sam_sde.rare.numbers import Numbers
from sam_sde.rare.pilot import PILOT_WALKERS, Plan, plan_levels
from sam_sde.rare.preparation import RareRun
from sam_sde.rare.result import RareResult
from sam_sde.rare.splitting import Repeat, split
from sam_sde.regions import Region


class KeptRepeats(Protocol):
    """Where repeats are kept, by their first walker."""

    def plan(self) -> Plan | None: ...

    def put_plan(self, plan: Plan) -> None: ...

    def get(self, first: int) -> Repeat | None: ...

    def put(self, first: int, repeat: Repeat) -> None: ...


@dataclass(frozen=True)
class Splitting:
    """What is done with a block of the run: one repeat."""

    score: Region
    plan: Plan

    def __call__(self, run: EscapeRun, first: int, report: Callable, recorder: None) -> Repeat:
        numbers = numbers_of(run, 1 + first // run.block_size)
        told = lambda stages, exits: report(BlockReport(first, stages, exits))  # noqa: E731
        return split(Chain(run, self.score, self.plan.longest_walk), self.plan, numbers, run.block_size, told)


def numbers_of(run: EscapeRun, repeat: int) -> Numbers:
    return Numbers(run.problem.stream, repeat, max(run.block_size, PILOT_WALKERS), run.device)


def measure(
    rare: RareRun,
    progress: Callable[[Progress], None] | None = None,
    share: Callable[[list[Work]], None] = compute,
    kept: KeptRepeats | None = None,
) -> RareResult:
    """The pilot, and the repeats that are not kept, carried out by `share`. Raises EscapeInterrupted on Ctrl-C."""
    run = rare.run
    plan = None if kept is None else kept.plan()
    if plan is None:
        make_ready(run)
        plan = plan_levels(Chain(run, rare.score), numbers_of(run, 0), rare.core, rare.levels)
        if kept is not None:
            kept.put_plan(plan)
    found = {} if kept is None else {first: each for first in run.first_paths if (each := kept.get(first)) is not None}
    stages, done = len(plan.levels) + 1, {}

    def tell() -> None:
        if progress is not None:
            fraction = (len(found) + sum(done.values()) / stages) / len(run.first_paths)
            progress(Progress(len(found) * run.block_size, sum(len(r.exit_points) for r in found.values()), fraction))

    def report(block) -> None:
        done[block.first] = block.steps
        tell()

    def ended(first: int, repeat: Repeat) -> None:
        done.pop(first, None)
        found[first] = repeat
        if kept is not None:
            kept.put(first, repeat)
        tell()

    missing = [first for first in run.first_paths if first not in found]
    try:
        share([Work(run, missing, ended, report=report, compute=Splitting(rare.score, plan))])
    except KeyboardInterrupt:
        result = (
            RareResult(run, rare.score, plan, [found[first] for first in sorted(found)]) if len(found) > 1 else None
        )
        raise EscapeInterrupted(result) from None
    return RareResult(run, rare.score, plan, [found[first] for first in run.first_paths])
