"""The 95 % intervals hold the truth in 95 % of experiments, also of few paths and of few escapes.

Two things no interval can do. With one escape expected there is none in a third of the experiments, and a bound that
is honest then holds always: of few escapes, and of numbers of two arms that both have few, more than 97 % hold. And
where a part of the paths is trapped that is so small that samples have none of it, a mean to a far t_max depends on
what was not seen; here every part that stays is a third of all.
"""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from sam_sde.statistics import Outcome, Sample, independent, paired
from sam_sde.statistics.rates import rate
from sam_sde.statistics.survival import restricted_mean_interval

STAY = 0.3  # of the mixture

SURVIVAL = {
    "exponential": lambda t: math.exp(-t),
    "delayed": stats.gamma(4, scale=0.25).sf,
    "partly trapped": lambda t: STAY + (1 - STAY) * stats.gamma(2, scale=0.5).sf(t),
}
# Escape times of uniform numbers, which common noise makes dependent.
TIMES = {
    "exponential": lambda u: -np.log(u),
    "delayed": lambda u: special.gammainccinv(4, u) / 4,
    "partly trapped": lambda u: np.where(
        u > STAY, special.gammainccinv(2, np.clip((u - STAY) / (1 - STAY), 1e-300, 1)) / 2, np.inf
    ),
}
SETTINGS = [
    (n_paths, escapes)
    for n_paths in (10, 400)
    for escapes in (1, 5, 20, None)  # expected; None for a t_max that most paths do not reach
    if escapes is None or escapes < 0.65 * n_paths
]


def time_of(law, n_paths, escapes):
    """The t_max to which so many escapes are expected."""
    if escapes is None:
        return 4.0
    return optimize.brentq(lambda t: 1 - SURVIVAL[law](t) - escapes / n_paths, 1e-9, 50)


def sample(escape, t_max):
    return Sample(np.minimum(escape, t_max), np.where(escape <= t_max, Outcome.ESCAPED, Outcome.CENSORED), t_max, 1.0)


def truth(law, t_max):
    mean = integrate.quad(SURVIVAL[law], 0, t_max, limit=200)[0]
    return mean, (1 - SURVIVAL[law](t_max)) / mean


def uniforms(n_paths, correlation):
    """Of 1,000 experiments with two arms, the same in every run."""
    first, other = np.random.default_rng(n_paths).standard_normal((2, 1000, n_paths))
    return special.ndtr(first), special.ndtr(correlation * first + math.sqrt(1 - correlation**2) * other)


@pytest.mark.slow
@pytest.mark.parametrize("law", SURVIVAL)
@pytest.mark.parametrize(("n_paths", "escapes"), SETTINGS)
def test_of_one_arm(law, n_paths, escapes):
    """The mean to t_max, which is the mean where all escaped, and the rate."""
    t_max = time_of(law, n_paths, escapes)
    samples = [sample(escape, t_max) for escape in TIMES[law](uniforms(n_paths, 0.0)[0])]
    means = np.array([restricted_mean_interval(of)[1:] for of in samples])
    rates = np.array([rate(of.times, of.escaped)[1] for of in samples])
    for name, bounds, true in zip(("rmst", "rate"), (means, rates), truth(law, t_max), strict=True):
        held = np.mean((bounds[:, 0] <= true) & (true <= bounds[:, 1]))
        print(f"coverage of {name}, {law}, {n_paths} paths, {escapes} escapes: {held:.3f}")
        assert 0.93 <= held <= (0.975 if n_paths == 400 and escapes in (20, None) else 0.999)


# Where all of ten pairs do the same and the difference is skewed, Student's interval holds 90 %.
LEAST_OF_PAIRS = {10: 0.88, 400: 0.925}
ARMS = [("exponential", "exponential"), ("delayed", "exponential"), ("partly trapped", "delayed")]


@pytest.mark.slow
@pytest.mark.parametrize(("arm", "base", "correlation"), [*((*arms, None) for arms in ARMS), (*ARMS[2], 0.99)])
@pytest.mark.parametrize(("n_paths", "escapes"), [(10, 1), (10, None), (400, 20), (400, None)])
def test_of_two_arms(arm, base, n_paths, escapes, correlation, monkeypatch):
    """Independent ones, and arms under common noise whose normal scores are correlated."""
    for module in (independent, paired):  # what takes most of the time, and has no interval
        monkeypatch.setattr(module, "_curves_cross", lambda *samples: False)
    monkeypatch.setattr(independent, "logrank", lambda *samples: {})
    t_max = time_of(arm, n_paths, escapes)
    effects = independent.independent_effects if correlation is None else paired.paired_effects
    own, other = uniforms(n_paths, correlation or 0.0)
    rows = [
        effects(sample(times, t_max), sample(base_times, t_max))
        for times, base_times in zip(TIMES[arm](own), TIMES[base](other), strict=True)
    ]
    (mean, speed), (base_mean, base_speed) = truth(arm, t_max), truth(base, t_max)
    true = {"difference": mean - base_mean, "ratio": mean / base_mean, "rate_ratio": speed / base_speed}
    for name, value in true.items():
        low, high = (np.array([row[f"{name}_{end}"] for row in rows]) for end in ("low", "high"))
        held = np.mean(~(low > value) & ~(high < value))  # a bound at infinity is NaN
        print(f"coverage of {name}, {arm} and {base}, {n_paths} paths, {escapes} escapes, {correlation}: {held:.3f}")
        assert held >= (0.93 if correlation is None else LEAST_OF_PAIRS[n_paths])
        assert held <= (0.97 if n_paths == 400 and escapes is None else 1)
