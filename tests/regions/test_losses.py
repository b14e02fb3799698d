"""Losses that are looked at after some steps only: a path leaves at the first look that finds it outside."""

from itertools import combinations

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


def test_samples_are_the_same_ones_at_every_look():
    """The level is the mean of their losses, each computed alone."""
    some, w = 6, torch.linspace(-1, 1, 8, dtype=torch.float64).view(4, 2)
    region = LossBelow(NETWORK, 0.7, samples=some)
    samples = list(zip(*NETWORK.samples.data, strict=True))
    losses = torch.stack([torch.stack([NETWORK.sample_loss(each, sample) for each in w]) for sample in samples])
    subsets = torch.tensor(list(combinations(range(15), some)))
    means = losses[subsets].mean(1)
    matches = torch.isclose(means, region.levels(w)[:, 0] + 0.7, rtol=1e-9).all(1)
    assert matches.sum() == 1
    assert torch.equal(region.levels(w), LossBelow(NETWORK, 0.7, samples=some).levels(w))
    everything = LossBelow(NETWORK, 0.7, samples=15)
    torch.testing.assert_close(everything.levels(w), LossBelow(NETWORK, 0.7).levels(w))
    torch.testing.assert_close(everything.normal(w, None), LossBelow(NETWORK, 0.7).normal(w, None))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: LossBelow(NETWORK, 1.0, samples=16), "samples: expected a whole number from 1 to 15, got 16"),
        (lambda: LossBelow(quadratic([1.0]), 1.0, samples=3), "samples: .*quadratic.* is not a loss over data"),
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
