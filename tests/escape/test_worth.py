"""Unasked, a run has as many workers as pay."""

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import EscapeProblem
from sam_sde.escape import prepare
from sam_sde.escape.worth import worthwhile_workers
from sam_sde.random import Stream
from sam_sde.surfaces import load_dataset, mlp

SADDLE = ss.SGD(ss.surfaces.quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.01)
DIGITS = mlp(load_dataset("digits"))
DATA = ss.SGD(DIGITS, ss.EmpiricalNoise(DIGITS), lr=0.01, batch_size=400)


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)


@pytest.mark.parametrize(
    ("engine", "n_paths", "steps", "workers"),
    [
        ("compiled", 1000, 10**6, 1),  # a step takes no longer than to call it
        ("compiled", 20_000, 10, 4),
        ("compiled", 10**6, 10, 8),
        ("torchsde", 10**5, 1000, 1),
        ("torchsde", 10**5, 10_000, 8),
    ],
)
def test_threads_come_with_many_paths_and_processes_with_long_work(eight_cores, engine, n_paths, steps, workers):
    problem = EscapeProblem(dynamics=SADDLE, region=ss.Ball([0, 0], 1.0), stream=Stream(), t_max=steps * 0.01, dt=0.01)
    assert worthwhile_workers(problem, engine, n_paths, torch.device("cpu")) == workers
    assert worthwhile_workers(problem, engine, n_paths, torch.device("cuda")) == 1


@pytest.mark.parametrize(("engine", "samples"), [("torchsde", 1797), ("discrete", 400)])
def test_samples_are_work_all_of_an_sde_and_those_of_a_minibatch(eight_cores, engine, samples):
    options = {"region": ss.Ball([0] * DATA.dim, 9.0), "stream": Stream(), "t_max": 10.0, "dt": 0.01}
    problem = EscapeProblem(dynamics=DATA, crossing="none", method="euler", **options)
    worth = 3e8 / (problem.n_steps * DATA.dim * samples / 40)
    found = [worthwhile_workers(problem, engine, int(f * worth), torch.device("cpu")) for f in (0.9, 1.2)]
    assert found == [1, 8]


def test_a_run_asks_for_them_and_a_number_overrides(eight_cores):
    options = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 1.0, "engine": "compiled", "device": "cpu"}
    runs = [prepare(SADDLE, n_paths=40_001, workers=workers, **options) for workers in (None, 3)]
    assert [run.workers for run in runs] == [8, 3]
    assert [len(run.first_paths) for run in runs] == [8, 3]
    assert all(run.in_threads for run in runs)
    assert not prepare(SADDLE, n_paths=10, **{**options, "engine": "torchsde"}).in_threads
