"""Blocks of paths on an executor: threads, processes, or any other with the interface of concurrent.futures.

Where a process is lost, those that were computed then go again, alone, for one of them may be why it was; what loses
its process a second time has failed.
"""

import contextlib
import multiprocessing
import os
import pickle
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import cloudpickle
import torch

from sam_sde.escape.blocks import make_ready
from sam_sde.escape.channel import Channel
from sam_sde.escape.processes import own_device
from sam_sde.escape.progress import BlockReport
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.trajectory import Recorder
from sam_sde.escape.watch import ends_process_after
from sam_sde.escape.work import Compute, Work, compute_here

SECONDS_BETWEEN_REPORTS = 0.1

# A run with what is done with its blocks, or that as bytes.
Sent = tuple[EscapeRun, Compute] | bytes


class LostProcessError(RuntimeError):
    """A block of paths that ended its process."""


@contextlib.contextmanager
def threads(count: int) -> Iterator[Executor]:
    """An executor of `count` threads, which share no operation of torch with further ones."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as executor:
            yield executor
    finally:
        torch.set_num_threads(before)  # what a thread sets holds for all that begin later


def compute_on(renewed: Callable[[], Executor], works: Iterable[Work], at_once: int) -> None:
    """The blocks of the works on an executor; a run that cannot be sent to another process is computed here.

    renewed: the executor, another one where that was broken. at_once: how many blocks it is given at a time.

    Raises
        KeyboardInterrupt: after what was reached of the blocks that were begun was handed on.
        Exception: what a work's own functions raise.
    """
    with tempfile.TemporaryDirectory(prefix="sam_sde-", ignore_cleanup_errors=True) as folder:
        crew = _Crew(renewed, works, at_once, Channel(folder))
        try:
            crew.work()
        except KeyboardInterrupt:
            crew.end()
            crew.hand_on()
            raise
        except BaseException:
            crew.end()
            raise


@dataclass(eq=False)
class _Task:
    """One block: the number by which it is told of, what is sent of its work, and how often it lost its process."""

    number: int
    work: Work
    sent: Sent
    first: int
    lost: int = 0

    @property
    def name(self) -> str:
        return f"paths {self.first} to {self.first + self.work.run.size_of(self.first) - 1}"


@dataclass
class _Crew:
    """An executor with the tasks it was given, those that it gets next, and those that go alone."""

    renewed: Callable[[], Executor]
    works: Iterable[Work]
    at_once: int
    channel: Channel
    given: dict[Future, _Task] = field(default_factory=dict)
    again: deque[_Task] = field(default_factory=deque)
    alone: deque[_Task] = field(default_factory=deque)

    def __post_init__(self):
        self._executor = self.renewed()
        self._new = self._tasks()

    def work(self) -> None:
        while self._give() or self.given:
            self._take()

    def _tasks(self) -> Iterator[_Task]:
        number = 0
        for work in self.works:
            try:
                sent = _sendable(self._executor, work)
            except Exception as error:
                work.fail(error)
                continue
            if sent is None:
                compute_here([work])
                continue
            for first in work.firsts:
                yield _Task(number := number + 1, work, sent, first)

    def _give(self) -> bool:
        """Fills the executor up; whether anything was given."""
        n_given = len(self.given)
        while len(self.given) < (1 if self.alone else self.at_once) and (task := self._next()) is not None:
            recorder = task.work.recorder_of(task.first)
            future = self._submit(_compute_block, task.sent, task.first, recorder, self.channel, task.number)
            self.given[future] = task
        return len(self.given) > n_given

    def _next(self) -> _Task | None:
        for queue in (self.alone, self.again):
            while queue:
                if not queue[0].work.has_failed:
                    return queue.popleft()
                queue.popleft()
        return next((task for task in self._new if not task.work.has_failed), None)

    def _submit(self, *call) -> Future:
        try:
            return self._executor.submit(*call)
        except BrokenExecutor:
            self._executor = self.renewed()
            return self._executor.submit(*call)

    def _take(self) -> None:
        """Waits for a while, and hands on what has ended."""
        done, _ = wait(self.given, timeout=SECONDS_BETWEEN_REPORTS, return_when=FIRST_COMPLETED)
        tasks = {task.number: task for task in self.given.values()}
        for number, *told in self.channel.reports():
            if number in tasks:
                tasks[number].work.report(BlockReport(tasks[number].first, *told))
        lost = []
        for future in sorted(done, key=lambda future: self.given[future].number):
            task, error = self.given.pop(future), future.exception()
            if isinstance(error, BrokenExecutor):
                lost.append((task, error))
            elif error is not None:
                task.work.fail(error)
            elif not task.work.has_failed:
                _hand_on(task, future)
        if lost:
            self._take_back(lost)

    def _take_back(self, lost: list[tuple[_Task, Exception]]) -> None:
        """With a process all that the executor had is lost, and those that were under way may be the reason."""
        wait(self.given)
        for future, task in self.given.items():
            if future.exception() is None:
                _hand_on(task, future)
            else:
                lost.append((task, future.exception()))
        self.given.clear()
        suspects = [each for each in lost if self.channel.seconds_under_way(each[0].number) is not None] or lost
        self.again.extend(task for task, error in lost if (task, error) not in suspects)
        for task, error in suspects:
            task.lost += 1
            if task.lost == 1:
                self.alone.append(task)
            else:
                task.work.fail(LostProcessError(self._why(task, error)))
            self.channel.end(task.number)

    def _why(self, task: _Task, error: Exception) -> str:
        limit, seconds = task.work.run.task_timeout, self.channel.seconds_under_way(task.number) or 0.0
        if limit is not None and seconds >= limit:
            return f"{task.name} did not end within task_timeout = {limit:g} seconds, nor when they were tried again"
        return f"{task.name} ended the process that computed them, and another one alone with them ({error})"

    def end(self) -> None:
        """Ends the blocks that are under way, and begins no other."""
        self.channel.stop()
        for future in reversed(self.given):
            future.cancel()
        wait([future for future in self.given if not future.cancelled()])

    def hand_on(self) -> None:
        for future, task in self.given.items():
            if not future.cancelled() and future.exception() is None and not task.work.has_failed:
                _hand_on(task, future)


def _hand_on(task: _Task, future: Future) -> None:
    block, recorded = pickle.loads(future.result())
    if recorded is not None:
        task.work.recorder.take(recorded)
    task.work.ended(task.first, block)


def _sendable(executor: Executor, work: Work) -> Sent | None:
    """The run for threads, which have what this one has, ready to be computed; for others as bytes."""
    if isinstance(executor, ThreadPoolExecutor):
        make_ready(work.run)
        return work.run, work.compute
    return _shipped(work)


def _shipped(work: Work) -> bytes | None:
    """The run as bytes that another process can read; None, with a warning, where there are none."""
    try:
        task = cloudpickle.dumps((work.run, work.compute))
        pickle.loads(task)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        warnings.warn(f"workers: the loss cannot be sent to another process, using one ({reason})", stacklevel=3)
        return None
    return task


# What follows runs where the executor computes.

_last_task: tuple[Channel, bytes, EscapeRun, Compute] | None = None


def _compute_block(sent: Sent, first: int, recorder: Recorder | None, channel: Channel, number: int) -> bytes:
    """One block; its result as bytes, for a tensor would be shared with a process that may be gone."""
    channel.begin(number)
    run, compute = _run(sent, channel)
    with ends_process_after(run.task_timeout):
        block = compute(run, first, _reporter(channel, number), recorder)
    channel.end(number)
    return pickle.dumps((block, recorder))


def _run(sent: Sent, channel: Channel) -> tuple[EscapeRun, Compute]:
    """Read once for all blocks of a call; equal bytes of another call may name a file that has changed."""
    global _last_task
    if not isinstance(sent, bytes):
        return sent
    if _last_task is None or _last_task[:2] != (channel, sent):
        run, compute = pickle.loads(sent)
        device = own_device(run.device)
        _last_task = (channel, sent, run if device == run.device else replace(run, device=device), compute)
    return _last_task[2:]


def _reporter(channel: Channel, number: int) -> Callable[[BlockReport], None]:
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
            channel.tell(number, report.steps, report.escaped)

    return report
