"""Rates whether they are constant or not, and the test that they are."""

import math

import numpy as np
import pytest
from scipy import stats

from sam_sde.statistics import Outcome, Sample, departure_from_constant_rate
from sam_sde.statistics.intervals import garwood_interval, student
from sam_sde.statistics.rates import rate

ESCAPED, CENSORED, FAILED = Outcome


def followed_to(t_max, escape):
    return Sample(np.minimum(escape, t_max), np.where(escape <= t_max, ESCAPED, CENSORED), t_max, lr=0.01)


def trapped(generator, n_paths, share):
    """A delayed law of which a share never leaves."""
    return np.where(generator.random(n_paths) < share, np.inf, generator.gamma(2, 0.5, n_paths))


@pytest.mark.parametrize("t_max", [0.3, 2.0, 100.0])
def test_rate_interval_is_that_of_all_samples_with_one_path_left_out(t_max):
    """The jackknife estimates the same error of log(escapes / time) without a formula for it."""
    sample = followed_to(t_max, np.random.default_rng(0).gamma(4, 0.25, 2000))
    estimate, (low, high) = rate(sample.times, sample.escaped)
    left_out = np.log((sample.escaped.sum() - sample.escaped) / (sample.times.sum() - sample.times))
    error = left_out.std() * math.sqrt(len(sample) - 1)
    quantile = stats.t.ppf(0.975, min(sample.escaped.sum() + 3, 1998))
    assert math.log(high / estimate) == pytest.approx(quantile * error, rel=0.02)
    assert low * high == pytest.approx(estimate**2)


@pytest.mark.parametrize("t_max", [0.1, 1.0, 3.0, 1e9])
@pytest.mark.parametrize("n_paths", [10, 30, 400, 20_000])
def test_a_constant_rate_is_seldom_refuted(n_paths, t_max):
    """By law in 1 % of experiments: in 300 more than 12 are as likely as 4 standard errors."""
    generator = np.random.default_rng(n_paths)
    samples = [followed_to(t_max, generator.exponential(1.0, n_paths)) for _ in range(300 if n_paths < 1000 else 20)]
    found = [departure for departure in map(departure_from_constant_rate, samples) if departure]
    assert sum(departure.refutes for departure in found) <= (12 if n_paths < 1000 else 3)


def test_a_rate_that_changes_is_refuted_where_the_change_is_notable():
    generator = np.random.default_rng(0)
    laws = {
        "delayed": (generator.gamma(4, 0.25, 400), True),
        "a part is trapped": (trapped(generator, 400, share=0.19), True),
        "nearly exponential": (generator.gamma(1.05, 1.0, 10**5), False),
    }
    for escape, notable in laws.values():
        departure = departure_from_constant_rate(followed_to(5.0, escape))
        assert departure.refutes is notable
        assert departure.p_value < 1e-4  # the last is refuted too, by 10⁵ paths, and it does not matter


def test_the_departure_is_where_the_shares_of_escapes_and_of_time_differ_most():
    """Three paths leave at 1 after 4 of 5 time units inside, the last stays to 2: half of the three came at 4/5."""
    departure = departure_from_constant_rate(Sample([1, 1, 1, 2], [0, 0, 0, 1], t_max=2.0, lr=1))
    assert (departure.escapes, departure.time_inside) == (0.5, 0.8)


@pytest.mark.parametrize("outcome", [CENSORED, FAILED])
def test_without_escapes_nothing_is_said_of_their_rate(outcome):
    assert departure_from_constant_rate(Sample(np.ones(5), np.full(5, outcome), t_max=2.0, lr=1)) is None


@pytest.mark.parametrize("events", [1, 2, 30, 10_000])
def test_garwood_bounds_are_where_the_tails_of_poisson_are_two_and_a_half_percent(events):
    low, high = garwood_interval(events, exposure=2.0)
    assert stats.poisson.sf(events - 1, 2 * low) == pytest.approx(0.025)
    assert stats.poisson.cdf(events, 2 * high) == pytest.approx(0.025)


@pytest.mark.parametrize("degrees", [1, 2, 30, 10_000])
def test_so_many_standard_errors_hold_95_of_100_by_student(degrees):
    assert stats.t.cdf(student(degrees), degrees) == pytest.approx(0.975)
