"""Blocks of paths on an executor: processes of this machine, or any other with the interface of concurrent.futures."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait

import cloudpickle
import torch

from sam_sde.engines import BlockResult
from sam_sde.escape.blocks import integrate_block
from sam_sde.escape.channel import Channel
from sam_sde.escape.progress import BlockReport, Tally
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder
from sam_sde.statistics import Outcome

SECONDS_BETWEEN_REPORTS = 0.1


@contextlib.contextmanager
def processes(count: int) -> Iterator[Executor]:
    """An executor of `count` processes of one thread each, to be kept over several runs."""
    executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def integrate_on(
    executor: Executor, run: EscapeRun, tally: Tally, recorder: Recorder | None
) -> tuple[list[BlockResult], bool] | None:
    """The blocks of a run, in order, and whether Ctrl-C ended them: then those that were begun.

    None, with a warning, where the run cannot be sent to another process.

    Raises
        Exception: whatever a block raised where it was computed.
    """
    task = shipped(run)
    if task is None:
        return None
    with tempfile.TemporaryDirectory(prefix="sam_sde-", ignore_cleanup_errors=True) as folder:
        channel = Channel(folder)
        futures = [
            executor.submit(_integrate_block, task, first, recorder if first == 0 else None, channel)
            for first in run.first_paths
        ]
        interrupted = False
        try:
            _follow(futures, run, tally, channel)
        except KeyboardInterrupt:
            interrupted = True
            _end(futures, channel)
        except BaseException:
            _end(futures, channel)
            raise
    return list(_finished_blocks(futures, recorder)), interrupted


def shipped(run: EscapeRun) -> bytes | None:
    """The run as bytes that another process can read; None, with a warning, where there are none."""
    try:
        task = cloudpickle.dumps(run)
        pickle.loads(task)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        warnings.warn(f"workers: the loss cannot be sent to another process, using one ({reason})", stacklevel=3)
        return None
    return task


def _follow(futures: list[Future], run: EscapeRun, tally: Tally, channel: Channel) -> None:
    """Passes reports on until all blocks have ended."""
    first_of = dict(zip(futures, run.first_paths, strict=True))
    left = set(futures)
    while left:
        done, left = wait(left, timeout=SECONDS_BETWEEN_REPORTS, return_when=FIRST_EXCEPTION)
        for report in channel.reports():
            tally.report(report)
        for future in done:
            arrays, *_ = future.result()
            tally.end(first_of[future], int((arrays[0] == Outcome.ESCAPED).sum()))


def _end(futures: list[Future], channel: Channel) -> None:
    """Ends the blocks that are under way, and begins no other."""
    channel.stop()
    for future in reversed(futures):
        future.cancel()
    wait([future for future in futures if not future.cancelled()])


def _finished_blocks(futures: list[Future], recorder: Recorder | None) -> Iterator[BlockResult]:
    """The results up to the first block that was not begun, or whose process an interrupt has ended as well."""
    for future in futures:
        if future.cancelled() or isinstance(future.exception(), BrokenExecutor):
            return
        arrays, others, recorded = future.result()
        if recorded is not None:
            recorder.take(recorded)
        yield BlockResult(*map(torch.from_numpy, arrays), *others)


# What follows runs where the executor computes.

_last_task: tuple[bytes, EscapeRun] | None = None


def _begin() -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal; the first one tells the others when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    """Where the first process is killed, nobody else tells the others."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _integrate_block(task: bytes, first: int, recorder: Recorder | None, channel: Channel):
    """One block; its result as arrays, for a tensor would be shared with a process that may be gone."""
    global _last_task
    if _last_task is None or _last_task[0] != task:
        _last_task = (task, pickle.loads(task))
    block = integrate_block(_last_task[1], first, _reporter(channel), recorder)
    arrays = (block.outcome.numpy(), block.time.numpy(), block.point.numpy())
    return arrays, (block.interrupted_at, block.path_steps, block.engine, block.note, block.way), recorder


def _reporter(channel: Channel) -> Callable[[BlockReport], None]:
    """Sends a report now and then, and ends the block where it is asked to."""
    last = [0.0]

    def report(report: BlockReport) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)  # nobody is left to take the result
        if time.monotonic() - last[0] > SECONDS_BETWEEN_REPORTS:
            last[0] = time.monotonic()
            if channel.stopped:
                raise KeyboardInterrupt
            channel.tell(report)

    return report
