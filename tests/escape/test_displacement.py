"""Displacement of paths from a critical point: beside theory, whatever the blocks, at the times that are asked for."""

import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import torchsde_engine
from sam_sde.escape import displacement as module
from sam_sde.escape.displacement import COLUMNS, observed_steps
from sam_sde.surfaces import quadratic

SURFACE = quadratic([-2.0, 1.5], rotation=30.0)
NOISE = ss.FrozenHessianNoise(SURFACE, at=[0.0, 0.0])
OPTIONS = {"start": [0.0, 0.0], "t_max": 1.0, "times": 6, "n_paths": 4000, "seed": 1}

ARMS = {
    "sgd": (ss.SGD, {}, {}),
    "sgd as algorithm": (ss.SGD, {}, {"engine": "discrete"}),
    "same": (ss.USAM, {"rho": 0.3, "ascent": "same"}, {}),
    "independent as algorithm": (ss.USAM, {"rho": 0.3, "ascent": "independent"}, {"engine": "discrete"}),
    "total": (ss.USAM, {"rho": 0.3, "drift": "total"}, {}),
    "heavy": (ss.SGD, {"momentum": 0.5}, {"dt": 0.01}),
    "heavy as algorithm": (ss.SGD, {"momentum": 0.5, "initial_velocity": "equilibrium"}, {"engine": "discrete"}),
    "nesterov": (ss.USAM, {"rho": 0.1, "momentum": 0.5, "nesterov": True}, {"engine": "discrete"}),
}


def found(kind=ss.SGD, own=None, **options):
    dynamics = kind(SURFACE, NOISE, **{"lr": 0.05, "batch_size": 8, **(own or {})})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ss.displacement(dynamics, **OPTIONS | options)


@pytest.mark.parametrize("arm", ARMS)
def test_paths_are_where_theory_has_them(arm):
    """Within 4 standard errors at all times, from the point; and from a normal law beside it."""
    kind, own, options = ARMS[arm]
    for start in ([0.0, 0.0], ss.NormalStart([0.03, -0.02], 0.05)):
        table = found(kind, own, start=start, at=[0.0, 0.0], **options)
        theory = table["discrete" if "engine" in options else "exact"]
        error = (table["msd_high"] - table["msd"]) / 1.96
        assert list(table) == list(COLUMNS)
        assert ((table["msd"] - theory).abs() < 4 * error).all(), table
        assert (error < 0.1 * theory).all()


def test_normalized_sam_is_measured_though_nothing_is_known_of_it():
    sam = ss.SAM(SURFACE, NOISE, lr=0.05, batch_size=8, rho=0.1)
    with pytest.warns(UserWarning, match="however small the gradient, so that it jumps there"):
        table = ss.displacement(sam, **OPTIONS)
    assert table[["exact", "discrete", "formula", "formula_valid"]].isna().all(axis=None)
    assert (table["msd"] < found()["msd"]).iloc[5]  # it holds paths in


def test_a_formula_of_the_sde_is_judged_by_what_was_run():
    """At ηλ = -0.1 it is exact for the SDE, and 16 % off for the algorithm at the end."""
    of_sde, of_algorithm = (found(engine=engine, n_paths=10) for engine in ("auto", "discrete"))
    assert (of_sde["formula_valid"] == 1).all()
    assert (of_algorithm["formula_valid"] == 0).all()
    assert of_algorithm["formula"].iloc[5] / of_algorithm["discrete"].iloc[5] > 1.16


def test_paths_are_the_same_whatever_the_blocks(monkeypatch):
    whole = found(n_paths=200)
    monkeypatch.setattr(module, "default_block_size", lambda *arguments: 64)
    np.testing.assert_allclose(found(n_paths=200)[["msd", "msd_high"]], whole[["msd", "msd_high"]], rtol=1e-5)


def test_they_are_the_paths_of_a_simulation():
    dynamics = ss.SGD(SURFACE, NOISE, lr=0.05, batch_size=8)
    paths = ss.simulate(dynamics, start=[0.0, 0.0], t_max=1.0, n_paths=50, seed=1)
    ends = np.array([path.states[-1] for path in paths])
    vectors = torch.linalg.eigh(SURFACE.hessian(torch.zeros(1, 2).double()))[1][0].numpy()
    expected = ((ends @ vectors) ** 2).mean(0)
    np.testing.assert_allclose(found(n_paths=50, times=[1.0])["msd"], expected, rtol=1e-4)


def test_memory_does_not_grow_with_the_steps(monkeypatch):
    """Of the states of all steps those of two chunks live at a time: the last one, and the one before it."""
    chunks = []

    def prepare(integration, start):
        advance = torchsde_engine.prepare(integration, start)

        def watched(*arguments):
            chunk = advance(*arguments)
            chunks.append(weakref.ref(chunk.moved))
            assert sum(each() is not None for each in chunks) <= 2
            return chunk

        return watched

    engine = replace(torchsde_engine.ENGINE, prepare=prepare)
    monkeypatch.setitem(module.ENGINES, "torchsde", engine)
    found(t_max=10.0, times=100, n_paths=10)
    assert len(chunks) == 7


def test_paths_that_fail_leave_no_number_behind():
    surface = ss.LossSurface(lambda w: -(w[0] ** 2) - 100 * w[0] ** 4 + w[1] ** 2, dim=2)
    sgd = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.05)
    bent, failed = "drift or noise differ", "50 of 50 paths became NaN or infinite"
    with pytest.warns(UserWarning, match=bent), pytest.warns(UserWarning, match=failed):
        table = ss.displacement(sgd, start=[0.0, 0.0], t_max=5.0, times=[0.05, 5.0], n_paths=50)
    np.testing.assert_array_equal(table["msd"].isna(), [False, True, False, True])


def test_a_step_that_is_too_long_is_told_of():
    sgd = ss.SGD(SURFACE, NOISE, lr=0.02, batch_size=8, momentum=0.9)
    with pytest.warns(UserWarning, match="from the exact one .* try a smaller dt than 0.02"):
        ss.displacement(sgd, start=[0.0, 0.0], t_max=0.1, times=3, n_paths=2000)


@pytest.mark.parametrize(
    ("dt", "lr", "t_max", "expected"),
    [(0.1, 0.1, 1.0, [1, 2, 3, 5, 10]), (0.05, 0.1, 1.0, [2, 4, 6, 10, 20]), (0.3, 0.1, 0.9, [1, 2, 3])],
)
def test_times_are_spread_over_whole_steps_of_the_optimizer(dt, lr, t_max, expected):
    assert observed_steps(5, t_max, dt, lr)[-1] == expected[-1]
    assert set(observed_steps(5, t_max, dt, lr)) <= set(range(expected[0], expected[-1] + 1, expected[0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": [0.03]}, "times: expected whole numbers of steps of dt = 0.05"),
        ({"times": [0.1, 0.05]}, "times: expected whole numbers of steps"),
        ({"times": [2.0]}, "times: expected times up to t_max = 1"),
        ({"times": 0}, "times: expected a whole number of at least 1"),
        ({"start": [1.0, 0.0]}, "at: expected a critical point"),
        ({"at": [0.0]}, "at: expected 2 numbers"),
        ({"engine": "fast"}, "engine: unknown value 'fast'"),
        ({"method": "rk4"}, "method: unknown value 'rk4'"),
        ({"engine": "discrete", "dt": 0.1}, "dt: expected lr = 0.05"),
        ({"n_paths": 1}, "n_paths: expected a whole number from 2"),
        ({"t_max": -1}, "t_max: expected a number above 0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ss.ArgumentError, match=f"^{message}"):
        found(**changes)
