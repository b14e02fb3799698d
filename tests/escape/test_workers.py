"""Worker processes change the time that a run takes, and nothing else."""

import os

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.escape import Work, compute_on, execute, prepare, processes
from sam_sde.surfaces import quadratic

OPTIONS = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 2.0, "n_paths": 300, "block_size": 64}


def sgd(loss=None) -> ss.SGD:
    surface = quadratic([1.0, -1.0]) if loss is None else ss.LossSurface(loss, 2)
    return ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.01)


def bowl_that_overflows(w):
    return torch.where(w.abs().sum() < 9.0, w.square().sum(), w.square().sum())


def raises_away_from_the_start(w):
    raise RuntimeError("the loss met a step that it does not like")


@pytest.fixture
def pool():
    return processes(2)


@pytest.mark.slow
def test_results_progress_and_kept_paths_are_those_of_one_process(pool):
    scale = 1.0  # a closure, which the standard pickle cannot send
    dynamics = sgd(lambda w: scale * (w[0] ** 2 - w[1] ** 2) / 2)
    seen = []
    alone = execute(prepare(dynamics, **OPTIONS))
    shared = execute(prepare(dynamics, workers=2, **OPTIONS), seen.append, executor=pool)
    for name in ("times", "outcome", "exit_points"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(shared, name))
    assert shared.path_steps == alone.path_steps
    assert seen[-1] == ss.Progress(300, int((alone.outcome == ss.Outcome.ESCAPED).sum()), 1.0)


@pytest.mark.slow
def test_a_worker_s_exception_is_the_users_error(pool):
    run = prepare(sgd(), **OPTIONS)
    object.__setattr__(run.problem.dynamics.surface, "loss", raises_away_from_the_start)
    with pytest.raises(RuntimeError, match="a step that it does not like"):
        execute(run, executor=pool)


@pytest.mark.slow
def test_an_interrupt_keeps_the_blocks_that_were_begun(pool):
    def interrupt(progress):
        if progress.fraction > 0:
            raise KeyboardInterrupt

    options = {**OPTIONS, "region": ss.Ball([0, 0], 1e9), "t_max": 100.0}
    with pytest.raises(ss.EscapeInterrupted) as caught:
        execute(prepare(sgd(bowl_that_overflows), **options), interrupt, executor=pool)
    result = caught.value.result
    assert 0 < len(result) < 300 or result.t_max < 100.0
    assert (result.outcome == ss.Outcome.CENSORED).all()
    again = execute(prepare(sgd(), **OPTIONS), executor=pool)
    assert len(again) == 300


@pytest.mark.slow
def test_a_loss_that_cannot_be_sent_runs_here_with_one_warning(pool):
    class Unsendable:
        def __call__(self, w):
            return (w[0] ** 2 - w[1] ** 2) / 2

        def __reduce__(self):
            raise TypeError("this loss holds an open file")

    with pytest.warns(UserWarning, match="cannot be sent to another process.*open file"):
        result = execute(prepare(sgd(Unsendable()), **OPTIONS), executor=pool)
    np.testing.assert_array_equal(result.times, execute(prepare(sgd(), **OPTIONS)).times)


def ends_its_process(w):
    os._exit(1)


@pytest.mark.slow
def test_a_block_that_ends_its_process_or_raises_fails_and_the_others_are_done():
    """Of runs beside each other, of which two have a loss that spoils its worker."""
    losses = {"raises": raises_away_from_the_start, "ends": ends_its_process, "one": None, "two": None}
    done, failed, works = {}, {}, []
    for name, loss in losses.items():
        run = prepare(sgd(), **OPTIONS)
        if loss is not None:
            object.__setattr__(run.problem.dynamics.surface, "loss", loss)
        works.append(
            Work(
                run,
                list(run.first_paths),
                lambda first, block, name=name: done.setdefault(name, {}).update({first: block}),
                lambda error, name=name: failed.update({name: error}),
            )
        )
    compute_on(lambda: processes(2), works, at_once=8)
    assert set(failed) == {"raises", "ends"}
    assert "ended the process that computed them" in str(failed["ends"])
    alone = execute(prepare(sgd(), **OPTIONS))
    for name in ("one", "two"):
        times = np.concatenate([done[name][first].time for first in works[0].firsts])
        np.testing.assert_array_equal(times, alone.times)
