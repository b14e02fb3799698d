"""Integrates a block of a run's paths, or a few of them alone, in this process."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch

from sam_sde import checks
from sam_sde.engines import ENGINES, Advance, BlockResult, CannotCompileError, fitting_engines, run_block
from sam_sde.escape.progress import BlockReport
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder, Trajectory


class Prepared(NamedTuple):
    """The function that advances paths, its engine, and why it is not the one that was asked for."""

    advance: Advance
    engine: str
    note: str | None


def make_ready(run: EscapeRun) -> None:
    """Prepares its engine, that the blocks of a run which go side by side find it."""
    prepared(run)


def forget(run: EscapeRun) -> None:
    """Gives up what was prepared for it, and the memory that its blocks used."""
    _kept.pop(run, None)


def integrate_block(
    run: EscapeRun, first: int, report: Callable[[BlockReport], None], recorder: Recorder | None
) -> BlockResult:
    """The block that begins with the path `first`; on Ctrl-C what was reached, see `BlockResult`."""
    return _integrate(run, run.block(first), lambda *done: report(BlockReport(first, *done)), recorder)


def trajectories(run: EscapeRun, paths: list[int], every: int = 1) -> list[Trajectory]:
    """The paths with these numbers, without the others, and every `every`-th of their states."""
    for path in paths:
        checks.whole("path", path, low=0, high=run.n_paths - 1)
    recorder = Recorder(paths, every)
    block = _integrate(run, torch.tensor(paths, device=run.device), None, recorder)
    ends = zip(block.outcome.tolist(), block.time.tolist(), block.point.numpy(), strict=True)
    return [recorder.trajectory(path, run.problem.dt, *end) for path, end in zip(paths, ends, strict=True)]


def _integrate(run: EscapeRun, paths: torch.Tensor, report, recorder: Recorder | None) -> BlockResult:
    advance, engine, note = prepared(run)
    block = run_block(
        run.problem,
        advance,
        run.states_at_start(paths),
        paths,
        dtype=run.dtype,
        chunk=run.chunk,
        compact_below=run.compact_below,
        report=report,
        record=None if recorder is None else recorder.record,
    )
    return replace(block.cpu(), engine=engine, note=note, way=getattr(advance, "way", ""))


# What was prepared for a run belongs to this process, and is not sent along with the run.
_kept: WeakKeyDictionary[EscapeRun, Prepared] = WeakKeyDictionary()


def prepared(run: EscapeRun) -> Prepared:
    """Where an engine cannot compile the problem, the one that needs no compiler."""
    if run not in _kept:
        start = run.states_at_start(run.block(0)).to(run.dtype)
        try:
            _kept[run] = Prepared(ENGINES[run.engine].prepare(run.problem, start), run.engine, None)
        except CannotCompileError as error:
            other = "torchsde" if ENGINES[run.engine].of_sde else "discrete"
            fitting_engines(other, run.problem)
            _kept[run] = Prepared(ENGINES[other].prepare(run.problem, start), other, str(error))
    return _kept[run]
