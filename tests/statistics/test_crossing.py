"""Curves that cross are found, and others are not taken for them, with any number of paths."""

import math

import numpy as np
import pytest
from scipy import special

from sam_sde.statistics import Outcome, Sample, compare_samples, independent
from sam_sde.statistics import paired as under_common_noise


def sample(escape, t_max):
    return Sample(np.minimum(escape, t_max), np.where(escape <= t_max, Outcome.ESCAPED, Outcome.CENSORED), t_max, 0.01)


def exponential_pair(generator, n_paths, paired):
    first, other = generator.standard_normal((2, n_paths))
    scores = first, 0.8 * first + 0.6 * other if paired else other
    return [-special.log_ndtr(score) for score in scores]


def later_apart(times):
    """The same law to t = 1, and far from it afterwards: the one side is real, the other would be chance."""
    return np.where(times > 1, 1 + 5 * (times - 1), times)


def crosses(generator, n_paths, paired, t_max, other=lambda times: times):
    first, second = exponential_pair(generator, n_paths, paired)
    arms = {"first": sample(first, t_max), "second": sample(other(second), t_max)}
    return compare_samples(arms, paired=paired)["curves_cross"].item()


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("t_max", [0.5, 1e9])
def test_two_samples_of_one_law_rarely_cross(t_max, paired):
    for n_paths, n_experiments in ((100, 50), (400, 50), (4000, 10), (20_000, 5)):
        generator = np.random.default_rng(n_paths)
        assert sum(crosses(generator, n_paths, paired, t_max) for _ in range(n_experiments)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("other", [lambda times: times, later_apart], ids=["one law", "apart later"])
@pytest.mark.parametrize(("n_paths", "n_experiments"), [(100, 500), (5000, 100)])
def test_curves_that_do_not_cross_are_said_to_in_at_most_5_percent(n_paths, n_experiments, other, paired, monkeypatch):
    for module in (independent, under_common_noise):  # what takes most of the time
        for effects in ("_restricted_means", "_rates"):
            monkeypatch.setattr(module, effects, lambda *samples: {})
    for t_max in (2.0, 1e9):
        generator = np.random.default_rng(n_paths)
        found = np.mean([crosses(generator, n_paths, paired, t_max, other) for _ in range(n_experiments)])
        print(f"crossing found with {n_paths} paths to {t_max:g}: {found:.4f}")
        assert found <= 0.05


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("t_max", [2.0, 1e9])
@pytest.mark.parametrize("n_paths", [400, 4000, 20_000])
def test_curves_that_cross_are_found(n_paths, t_max, paired):
    """exp(-t) and exp(-(t/0.9)²) are equal at t = 0.81."""
    for seed in range(5):
        generator = np.random.default_rng(seed)
        assert crosses(generator, n_paths, paired, t_max, lambda times: 0.9 * np.sqrt(times))


def test_paths_lost_to_observation_do_not_hide_a_crossing():
    generator = np.random.default_rng(0)
    arms = {}
    for name, escape in zip(("a", "b"), exponential_pair(generator, 2000, paired=False), strict=True):
        escape = 0.9 * np.sqrt(escape) if name == "b" else escape
        end = np.minimum(generator.uniform(0, 6, 2000), 3.0)
        arms[name] = Sample(np.minimum(escape, end), np.where(escape <= end, 0, 1), 3.0, 0.01)
    assert compare_samples(arms)["curves_cross"].item()
    same = {name: Sample(arms["a"].times[part], arms["a"].outcome[part], 3.0, 0.01) for name, part in HALVES.items()}
    assert not compare_samples(same)["curves_cross"].item()


HALVES = {"a": slice(1000), "b": slice(1000, None)}


@pytest.mark.parametrize("paired", [False, True])
def test_arms_without_escapes_do_not_cross(paired):
    stuck = sample(np.full(50, math.inf), 2.0)
    assert not compare_samples({"a": stuck, "b": stuck}, paired=paired)["curves_cross"].item()
