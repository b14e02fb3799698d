"""Losses that are looked at after some steps only: a path leaves at the first look that finds it outside."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.regions import LossAbove, LossBelow
from sam_sde.surfaces import quadratic, toy_network

LR = 0.05
NETWORK = toy_network(n=15)
START = ss.NormalStart([0.3] * NETWORK.dim, 0.05)


def escape(every, engine="discrete", chunk=16, **options):
    sgd = ss.SGD(NETWORK, ss.EmpiricalNoise(NETWORK), lr=LR, batch_size=2)
    level = 0.8 * NETWORK.value(START.mean[None]).item()
    region = LossAbove(NETWORK, level, every)
    run = {"t_max": 10.0, "n_paths": 40, "dtype": "float64", "engine": engine, "chunk": chunk, "crossing": "none"}
    return ss.escape_times(sgd, start=START, region=region, **run | options), level


@pytest.mark.parametrize(("every", "chunk"), [(2, 16), (7, 4), (7, 16), (16, 16)])
@pytest.mark.parametrize("engine", ["discrete", "torchsde"])
def test_a_path_leaves_at_the_first_look_that_finds_it_outside(engine, every, chunk):
    found, level = escape(every, engine, chunk)
    assert (found.outcome == ss.Outcome.ESCAPED).sum() > 20
    for path in range(0, 40, 4):
        states = torch.from_numpy(found.replay(path).states).double()
        outside = np.flatnonzero((NETWORK.value(states) <= level).numpy()[::every])
        expected = every * LR * outside[0] if len(outside) else 10.0
        assert found.times[path] == pytest.approx(expected)


def test_times_are_too_long_by_what_is_said():
    each, _ = escape(1)
    some, _ = escape(10)
    assert (some.times >= each.times - 1e-9).all()
    both = (each.outcome == ss.Outcome.ESCAPED) & (some.outcome == ss.Outcome.ESCAPED)
    late = (some.times - each.times)[both] / LR
    assert 2 < np.median(late) < 7
    assert np.mean(late <= 9 + 1e-6) > 0.8  # the others came back between two looks


def test_the_loss_is_asked_for_at_looks_alone():
    asked = []

    class Counting(ss.FiniteSum):
        def value(self, w):
            asked.append(len(w))
            return super().value(w)

    surface = Counting(lambda w, x: 0.5 * (w - x).square().sum(), torch.linspace(-1, 1, 8)[:, None], 1)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=LR, batch_size=2)
    run = {"start": [0.0], "t_max": 64 * LR, "n_paths": 5, "engine": "discrete", "chunk": 16}
    for every in (1, 8):
        asked.clear()
        ss.escape_times(sgd, region=LossBelow(surface, 99.0, every), **run)
        in_run = sum(n for n in asked if n > 5)
        assert in_run == {1: 5 * (64 + 4), 8: 5 * 8}[every]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: LossBelow(quadratic([1.0]), 1.0, every=0), "every: expected a whole number of at least 1, got 0"),
        (lambda: escape(3, "torchsde", crossing="bridge"), "every: expected 1 for crossing 'bridge'.* got 3"),
        (
            lambda: ss.rare_escape_times(
                ss.SGD(quadratic([1.0]), ss.IsotropicNoise(1.0), lr=0.1),
                start=[0.0],
                region=LossBelow(quadratic([1.0]), 1.0, 2),
                engine="discrete",
            ),
            "every: a region that is looked at after some steps only",
        ),
    ],
)
def test_what_looks_do_not_fit_is_refused(action, message):
    with pytest.raises(ss.ArgumentError, match=message):
        action()
