"""Integrates the paths of a run, here or on an executor, and puts the result together."""

import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from itertools import takewhile

import torch

from sam_sde.engines import BlockResult
from sam_sde.escape.blocks import integrate_block
from sam_sde.escape.processes import processes
from sam_sde.escape.progress import Progress, Tally
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder
from sam_sde.escape.workers import integrate_on, threads


class EscapeInterrupted(KeyboardInterrupt):
    """An interrupt during a run; `result` holds the paths that were begun, or is None.

    Those still inside are censored at the time they had reached; if no block was finished, that is the result's t_max.
    """

    def __init__(self, result: EscapeResult | None):
        super().__init__("interrupted")
        self.result = result


def execute(
    run: EscapeRun,
    progress: Callable[[Progress], None] | None = None,
    recorder: Recorder | None = None,
    executor: Executor | None = None,
) -> EscapeResult:
    """Integrates all paths; `progress` is called after each chunk. Raises EscapeInterrupted on Ctrl-C.

    executor: computes the blocks, anything with the interface of `concurrent.futures.Executor`; without one they are
        integrated here, or by as many threads or processes as the run says.
    """
    tally = Tally(run.n_paths, run.block_size, run.problem.n_steps, progress)
    blocks, interrupted = _blocks(run, tally, recorder, executor)
    begun = list(takewhile(lambda block: block.interrupted_at != 0.0, blocks))
    try:
        result = _result(run, begun) if begun else None
    except KeyboardInterrupt:
        result, interrupted = _result(run, begun), True
    if interrupted:
        raise EscapeInterrupted(result)
    return result


def _blocks(
    run: EscapeRun, tally: Tally, recorder: Recorder | None, executor: Executor | None
) -> tuple[list[BlockResult], bool]:
    """The blocks, in order, and whether Ctrl-C ended them: then those that were begun."""
    shared = None
    if executor is not None:
        shared = integrate_on(executor, run, tally, recorder)
    elif run.workers > 1 and len(run.first_paths) > 1:
        with threads(run.workers) if run.in_threads else nullcontext(processes(run.workers)) as executor:
            shared = integrate_on(executor, run, tally, recorder)
    return _integrate_here(run, tally, recorder) if shared is None else shared


def _integrate_here(run: EscapeRun, tally: Tally, recorder: Recorder | None) -> tuple[list[BlockResult], bool]:
    blocks = []
    try:
        for first in run.first_paths:
            blocks.append(integrate_block(run, first, tally.report, recorder))
            if blocks[-1].interrupted_at is not None:
                return blocks, True
            tally.end(first, blocks[-1].escaped)
    except KeyboardInterrupt:
        return blocks, True
    return blocks, False


def _result(run: EscapeRun, blocks: list[BlockResult]) -> EscapeResult:
    if blocks[0].note is not None:
        warnings.warn(
            f"engine: {run.engine!r} cannot run this problem, {blocks[0].engine!r} did ({blocks[0].note})",
            stacklevel=4,
        )
    if ": " in blocks[0].way:  # with a reason, so it is not what was meant
        warnings.warn(f"engine: {blocks[0].engine!r} runs slower than it might, {blocks[0].way}", stacklevel=4)
    reached = max(block.interrupted_at or run.problem.t_max for block in blocks)
    return EscapeResult(
        times=torch.cat([block.time for block in blocks]).numpy(),
        outcome=torch.cat([block.outcome for block in blocks]).numpy(),
        t_max=min(reached, run.problem.t_max),
        lr=run.problem.dynamics.lr,
        exit_points=torch.cat([block.point for block in blocks]).numpy(),
        dt=run.problem.dt,
        stream=run.problem.stream,
        engine=blocks[0].engine,
        way=blocks[0].way,
        device=str(run.device),
        block_size=run.block_size,
        path_steps=sum(block.path_steps for block in blocks),
        run=run,
    )
