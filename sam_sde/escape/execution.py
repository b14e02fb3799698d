"""Integrates the paths of a run, here or on an executor, and puts the result together."""

import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from itertools import takewhile
from typing import Protocol

import torch

from sam_sde.engines import BlockResult
from sam_sde.escape.blocks import forget
from sam_sde.escape.processes import processes
from sam_sde.escape.progress import Progress, Tally
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder
from sam_sde.escape.work import Work, compute_here
from sam_sde.escape.workers import compute_on, threads

# Blocks that an executor has at a time: enough that none of its workers waits, and few to take back.
AT_ONCE_EACH, AT_ONCE_ELSEWHERE = 4, 256


class EscapeInterrupted(KeyboardInterrupt):
    """An interrupt during a run; `result` holds the paths that were begun, or is None.

    Those still inside are censored at the time they had reached; if no block was finished, that is the result's t_max.
    """

    def __init__(self, result: EscapeResult | None):
        super().__init__("interrupted")
        self.result = result


class Kept(Protocol):
    """Where the blocks of a run are kept, by their first path."""

    def get(self, first: int, recorder: Recorder | None) -> BlockResult | None: ...

    def put(self, first: int, block: BlockResult, recorder: Recorder | None) -> None: ...


def execute(
    run: EscapeRun,
    progress: Callable[[Progress], None] | None = None,
    recorder: Recorder | None = None,
    executor: Executor | None = None,
    kept: Kept | None = None,
) -> EscapeResult:
    """Integrates all paths; `progress` is called after each chunk. Raises EscapeInterrupted on Ctrl-C.

    executor: computes the blocks, anything with the interface of `concurrent.futures.Executor`; without one they are
        integrated here, or by as many threads or processes as the run says.
    kept: has the blocks that are there already, and takes each of the others as it ends.
    """
    tally = Tally(progress)
    tally.expect(run, run.first_paths)
    blocks = _kept_blocks(run, recorder, kept, tally)

    def ended(first: int, block: BlockResult) -> None:
        blocks[first] = block
        if block.interrupted_at is None:
            tally.end(run, first, block.escaped)
            if kept is not None:
                kept.put(first, block, work.recorder_of(first))

    missing = [first for first in run.first_paths if first not in blocks]
    work = Work(run, missing, ended, report=partial(tally.report, run), recorder=recorder)
    interrupted = False
    try:
        compute([work], executor)
    except KeyboardInterrupt:
        interrupted = True
    whole = takewhile(lambda first: first in blocks and blocks[first].interrupted_at != 0.0, run.first_paths)
    begun = [blocks[first] for first in whole]
    try:
        result = result_of(run, begun) if begun else None
    except KeyboardInterrupt:
        result, interrupted = result_of(run, begun), True
    if interrupted:
        raise EscapeInterrupted(result)
    return result


def _kept_blocks(run: EscapeRun, recorder: Recorder | None, kept: Kept | None, tally: Tally) -> dict[int, BlockResult]:
    blocks = {}
    for first in run.first_paths if kept is not None else ():
        block = kept.get(first, recorder if first == 0 else None)
        if block is not None:
            blocks[first] = block
            tally.end(run, first, block.escaped)
    return blocks


def compute(works: list[Work], executor: Executor | None = None, n_processes: int | None = None) -> None:
    """The works on the executor, or without one where their first run says: here, in threads, or in processes.

    n_processes: how many share them, whatever the run says.
    """
    n_blocks = sum(len(work.firsts) for work in works)
    if n_blocks == 0:
        return
    run, limited = works[0].run, any(work.run.task_timeout is not None for work in works)
    workers = run.workers if n_processes is None else n_processes
    if executor is not None:
        compute_on(lambda: executor, works, AT_ONCE_ELSEWHERE)
    elif n_blocks > 1 and workers > 1 and run.in_threads and n_processes is None and not limited:
        with threads(workers) as crew:
            compute_on(lambda: crew, works, AT_ONCE_EACH * workers)
        for work in works:
            forget(work.run)
    elif limited or (n_blocks > 1 and workers > 1):
        compute_on(lambda: processes(workers), works, AT_ONCE_EACH * workers)
    else:
        compute_here(works)


def result_of(run: EscapeRun, blocks: list[BlockResult]) -> EscapeResult:
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
