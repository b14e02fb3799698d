"""Whatever computes the blocks of a run, their result is the same."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.escape import blocks
from sam_sde.escape.channel import Channel
from sam_sde.escape.workers import threads

SGD = ss.SGD(ss.surfaces.quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.01)
OPTIONS = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 2.0, "n_paths": 200, "block_size": 64}


class AtOnce(Executor):
    """The least that an executor can be; it counts its tasks."""

    tasks = 0

    def submit(self, function, /, *arguments, **options):
        self.tasks += 1
        future = Future()
        future.set_result(function(*arguments, **options))
        return future


@pytest.mark.parametrize("executor", [AtOnce(), ThreadPoolExecutor(2)], ids=["at once", "threads"])
def test_any_executor_computes_the_blocks(executor):
    seen = []
    shared = ss.escape_times(SGD, executor=executor, progress=seen.append, **OPTIONS)
    alone = ss.escape_times(SGD, **OPTIONS)
    for name in ("times", "outcome", "exit_points"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))
    assert getattr(executor, "tasks", 4) == 4  # blocks of 64 of 200 paths
    assert seen[-1] == ss.Progress(200, int((alone.outcome == ss.Outcome.ESCAPED).sum()), 1.0)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("engine", "workers"), [("discrete", 1), ("compiled", 1), ("compiled", 2)])
def test_a_run_that_has_ended_keeps_nothing_of_what_its_blocks_used(engine, workers):
    """A study has thousands of them."""
    result = ss.escape_times(SGD, engine=engine, workers=workers, **OPTIONS)
    assert result.run not in blocks._kept


def test_threads_of_torch_s_own_are_as_many_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads(2) as executor:
            assert executor.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as executor:
            assert executor.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_an_interrupt_stops_the_blocks_of_any_executor():
    def interrupt(progress):
        raise KeyboardInterrupt

    in_a_bowl = ss.SGD(ss.surfaces.quadratic([1.0, 1.0]), ss.IsotropicNoise(1.0), lr=0.01)
    options = {**OPTIONS, "region": ss.Ball([0, 0], 1e3), "t_max": 2000.0, "engine": "torchsde"}
    with ThreadPoolExecutor(2) as executor, pytest.raises(ss.EscapeInterrupted) as caught:
        ss.escape_times(in_a_bowl, executor=executor, progress=interrupt, **options)
    assert caught.value.result is None or caught.value.result.t_max < 2000.0


def test_a_channel_carries_the_last_report_of_each_block_once(tmp_path):
    channel = Channel(str(tmp_path))
    for report in ((1, 32, 1), (2, 32, 0), (1, 64, 5)):
        channel.tell(*report)
    channel.begin(1)
    assert sorted(channel.reports()) == [(1, 64, 5), (2, 32, 0)]
    assert not list(channel.reports())
    assert not channel.stopped
    channel.stop()
    assert channel.stopped
    assert not list(channel.reports())


def test_a_channel_knows_which_tasks_are_under_way(tmp_path):
    channel = Channel(str(tmp_path))
    channel.begin(7)
    assert channel.seconds_under_way(7) >= 0.0
    channel.end(7)
    assert channel.seconds_under_way(7) is channel.seconds_under_way(8) is None


def test_a_block_that_cannot_reach_the_channel_goes_on():
    channel = Channel("/nowhere/at/all")
    channel.tell(1, 32, 1)
    channel.begin(1)
    assert channel.seconds_under_way(1) is None
    assert not channel.stopped
