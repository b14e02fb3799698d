"""Blocks of paths over processes: one thread each, results the same as in one process."""

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING

import cloudpickle
import torch

from sam_sde.engines import BlockResult
from sam_sde.escape.progress import BlockReport, Tally
from sam_sde.escape.trajectory import Recorder
from sam_sde.statistics import Outcome

if TYPE_CHECKING:
    from sam_sde.escape.run import EscapeRun

SECONDS_BETWEEN_REPORTS = 0.1


class Workers:
    """A pool of processes that integrate blocks; a context manager, to be kept over several runs.

    Anything with the interface of `concurrent.futures.Executor` can stand in for the pool of this machine: a task is a
    function of this module and its arguments. Only reports of progress and Ctrl-C need this machine.
    """

    def __init__(self, count: int):
        context = multiprocessing.get_context("spawn")
        self._reports = context.Queue()
        self._stop = context.Event()
        self._executor = ProcessPoolExecutor(count, context, _begin, (self._reports, self._stop))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error) -> None:
        self._stop.set()
        self._executor.shutdown(cancel_futures=True)

    def integrate(self, run: "EscapeRun", tally: Tally, recorder: Recorder | None) -> tuple[list[BlockResult], bool]:
        """The blocks of a run, in order, and whether Ctrl-C ended them: then those that were begun.

        Raises
            Exception: whatever a block raised in its process.
        """
        task = shipped(run)
        if task is None:
            return run.integrate(tally, recorder)
        futures = [
            self._executor.submit(_integrate_block, task, first, recorder if first == 0 else None)
            for first in run.first_paths
        ]
        interrupted = False
        try:
            self._follow(futures, run, tally)
        except KeyboardInterrupt:
            interrupted = True
            self._stop.set()
            for future in reversed(futures):
                future.cancel()
            wait([future for future in futures if not future.cancelled()])
            self._stop.clear()
        return list(_finished_blocks(futures, recorder)), interrupted

    def _follow(self, futures: list[Future], run: "EscapeRun", tally: Tally) -> None:
        """Passes reports on until all blocks have ended."""
        first_of = dict(zip(futures, run.first_paths, strict=True))
        left = set(futures)
        while left:
            done, left = wait(left, timeout=SECONDS_BETWEEN_REPORTS, return_when=FIRST_EXCEPTION)
            for report in self._drain():
                tally.report(report)
            for future in done:
                arrays, *_ = future.result()
                tally.end(first_of[future], int((arrays[0] == Outcome.ESCAPED).sum()))

    def _drain(self) -> Iterator[BlockReport]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._reports.get_nowait()


def shipped(run: "EscapeRun") -> bytes | None:
    """The run as bytes that another process can read; None, with a warning, where there are none."""
    try:
        task = cloudpickle.dumps(run)
        pickle.loads(task)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        warnings.warn(f"workers: the loss cannot be sent to another process, using one ({reason})", stacklevel=3)
        return None
    return task


def _finished_blocks(futures: list[Future], recorder: Recorder | None) -> Iterator[BlockResult]:
    """The results up to the first block that was not begun."""
    for future in futures:
        if future.cancelled():
            return
        arrays, others, recorded = future.result()
        if recorded is not None:
            recorder.take(recorded)
        yield BlockResult(*map(torch.from_numpy, arrays), *others)


# What follows runs in the workers.

_reports = _stop = None
_last_task: tuple[bytes, "EscapeRun"] | None = None


def _begin(reports: multiprocessing.Queue, stop) -> None:
    global _reports, _stop
    _reports, _stop = reports, stop
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal; the first one tells the others when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _integrate_block(task: bytes, first: int, recorder: Recorder | None):
    """One block; its result as arrays, for a tensor would be shared with a process that may be gone."""
    global _last_task
    if _last_task is None or _last_task[0] != task:
        _last_task = (task, pickle.loads(task))
    block = _last_task[1].integrate_block(first, _reporter(), recorder)
    arrays = (block.outcome.numpy(), block.time.numpy(), block.point.numpy())
    return arrays, (block.interrupted_at, block.path_steps, block.engine, block.note), recorder


def _reporter() -> Callable[[BlockReport], None]:
    """Sends a report now and then, and ends the block where the first process asks for it."""
    last = [0.0]

    def report(report: BlockReport) -> None:
        if multiprocessing.parent_process() is not None and not multiprocessing.parent_process().is_alive():
            os._exit(1)  # nobody is left to take the result
        if _stop is not None and _stop.is_set():
            raise KeyboardInterrupt
        if _reports is not None and time.monotonic() - last[0] > SECONDS_BETWEEN_REPORTS:
            last[0] = time.monotonic()
            _reports.put(report)

    return report
