"""The pilot finds where paths stay, and levels that about a third of the walkers pass; what cannot work it refuses."""

import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.escape import prepare
from sam_sde.rare.chain import Chain, HeldError
from sam_sde.rare.settling import NotRareError, settle
from sam_sde.surfaces import double_well, quadratic
from tests.rare.problems import Below, ornstein_uhlenbeck, saddle_sam

FEW = {"walkers": 300, "repeats": 4, "engine": "compiled", "method": "euler"}


def test_the_core_is_below_the_median_and_a_third_comes_from_level_to_level():
    result = ss.rare_escape_times(ornstein_uhlenbeck(), start=[0.0], region=Below(5.0), **(FEW | {"walkers": 2000}))
    assert abs(result.plan.core + 5.0) < 0.15
    assert abs(result.plan.levels[0] + 5.0 - 1.28) < 0.15
    passed = result.levels().groupby("level")["probability"].mean()
    assert passed.iloc[:-2].between(0.2, 0.4).all()
    assert passed.iloc[-1] > 0.2


def test_paths_that_leave_before_they_settle_need_no_splitting():
    with pytest.raises(NotRareError, match=r"escapes are not rare.*direct simulation"):
        ss.rare_escape_times(ornstein_uhlenbeck(), start=[0.0], region=Below(0.5), **FEW)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda w: 0.0 * w[0], "score: expected one that varies"),
        (lambda w: -w[0].abs(), "score: it does not grow towards the exit"),
    ],
)
def test_a_score_that_leads_nowhere_is_an_error(score, message):
    with pytest.raises(ss.ArgumentError, match=message):
        ss.rare_escape_times(ornstein_uhlenbeck(), start=[0.0], region=Below(5.0), score=score, **FEW)


def test_a_slow_coordinate_that_the_score_does_not_see_has_settled_before_loops_count():
    """It takes 20 times as long as the one that leaves."""
    dynamics = ss.SGD(quadratic([0.05, 1.0]), ss.IsotropicNoise(math.sqrt(40.0)), lr=0.1, batch_size=2)
    region = ss.Slab([0.0, 0.0], [0.0, 1.0], 5.0)
    run = prepare(dynamics, start=[0.0, 0.0], region=region, t_max=100.0, n_paths=1000, engine="torchsde")
    settled = settle(Chain(run, region), torch.arange(1000))
    assert settled.steps >= 128
    assert not settled.slow


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"core": -9.0}, "core: expected a score that paths cross where they stay"),
        ({"core": -0.5}, "core: expected a score that paths cross where they stay"),
        ({"levels": [-6.0, -2.0]}, "levels: expected a first one above -5"),
        ({"levels": [-1.0]}, "levels: expected a score that paths cross where they stay"),
    ],
)
def test_a_core_or_first_level_where_paths_hardly_are_is_an_error(given, message):
    with pytest.raises(ss.ArgumentError, match=message):
        ss.rare_escape_times(ornstein_uhlenbeck(), start=[0.0], region=Below(5.0), score=Below(5.0), **FEW, **given)


def test_a_score_that_is_no_number_on_the_way_is_an_error():
    with pytest.raises(ss.ArgumentError, match="score: expected a number everywhere, got NaN at"):
        ss.rare_escape_times(
            ornstein_uhlenbeck(), start=[0.0], region=Below(5.0), score=lambda w: (w[0] + 2.0).sqrt(), **FEW
        )


@pytest.mark.slow
def test_walkers_that_another_trap_holds_are_told_of(monkeypatch):
    """Out of the left well into the right one, which is no exit: there they would stay."""
    monkeypatch.setattr("sam_sde.rare.pilot.SOME_STEPS", 2**9)
    monkeypatch.setattr("sam_sde.rare.pilot.LONGEST_OF_SETTLED", 8)
    dynamics = ss.SGD(double_well(), ss.IsotropicNoise(1.0), lr=0.1, batch_size=3)
    with pytest.raises(HeldError, match=r"another trap|try another core"):
        ss.rare_escape_times(
            dynamics,
            start=[-1.0, 0.0],
            region=ss.Slab([0, 0], [0, 1], 3.0),
            score=lambda w: w[0],
            **(FEW | {"method": "heun", "engine": "torchsde"}),
        )


def test_the_score_at_a_saddle_is_the_distance_along_its_unstable_direction():
    ball, at = ss.Ball([0, 0], 0.5), np.array([[0.3, -0.2], [0.0, 0.1]])
    result = ss.rare_escape_times(
        saddle_sam(0.05), start=[0, 0], region=ball, walkers=100, repeats=2, engine="compiled"
    )
    np.testing.assert_allclose(result.score.levels(torch.tensor(at))[:, 0], [0.2, 0.1])
