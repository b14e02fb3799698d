"""Fits of log escape times: their lines, the coverage of intervals and bands, and the s of Xie's formula."""

import numpy as np
import pytest
from scipy import stats

from sam_sde import ArgumentError, xie_time
from sam_sde.statistics.log_time import fit_log_time, fit_xie

B = np.array([4.0, 8.0, 16.0, 24.0, 32.0])
BARRIER = np.array([0.2, 0.3, 0.1, 0.25, 0.15])
ERRORS = np.array([0.02, 0.05, 0.03, 0.1, 0.05])
Z = 1.959964


def test_exact_lines_are_found_whatever_their_units():
    times = np.exp(1.5 + 0.1 * B + 7.0 * BARRIER)
    fit = fit_log_time(times, {"B": B, "barrier": 1e6 * BARRIER})
    assert fit.table()["term"].tolist() == ["constant", "B", "barrier"]
    np.testing.assert_allclose(fit.coefficients, [1.5, 0.1, 7e-6], rtol=1e-9)
    np.testing.assert_allclose(fit.band({"B": [10.0], "barrier": [1e5]})["time"], np.exp(1.5 + 1 + 0.7))


def test_equal_weights_are_those_of_scipy():
    rng = np.random.default_rng(2)
    logs = 1.0 + 0.2 * B + 0.1 * rng.normal(size=5)
    known, fit = stats.linregress(B, logs), fit_log_time(np.exp(logs), {"B": B})
    assert fit.coefficients[1] == pytest.approx(known.slope)
    half = stats.t.ppf(0.975, 3) * known.stderr
    np.testing.assert_allclose(
        fit.table().loc[1, ["low", "high"]].astype(float), [known.slope - half, known.slope + half]
    )


def test_intervals_and_bands_hold_what_is_true_in_95_of_100():
    rng, held, inside, runs = np.random.default_rng(0), 0, 0, 2000
    for _ in range(runs):
        logs = 1.0 + 0.2 * B + ERRORS * rng.normal(size=5)
        ends = [np.exp(logs + sign * Z * ERRORS) for sign in (-1, 1)]
        fit = fit_log_time(np.exp(logs), {"B": B}, low=ends[0], high=ends[1])
        row, band = fit.table().loc[1], fit.band({"B": [40.0]}).loc[0]
        held += row["low"] < 0.2 < row["high"]
        inside += band["time_low"] < np.exp(9.0) < band["time_high"]
    least = 0.95 - 4 * (0.95 * 0.05 / runs) ** 0.5
    assert least < held / runs < 1.0  # √(χ²/freedom) only widens
    assert least < inside / runs < 1.0


def test_times_that_lie_on_no_line_have_a_misfit():
    logs = 0.02 * B**2
    ends = [np.exp(logs + sign * Z * ERRORS) for sign in (-1, 1)]
    assert fit_log_time(np.exp(logs), {"B": B}, low=ends[0], high=ends[1]).misfit > 100
    assert np.isnan(fit_log_time(np.exp(logs), {"B": B}).misfit)


def test_the_s_of_xies_times_is_found_again():
    conditions = {"barrier": 0.3, "minimum_sharpness": 4.0, "saddle_sharpness": -2.0, "lr": 0.5}
    times = np.array([xie_time(batch_size=int(b), s=0.4, **conditions) for b in B])
    np.testing.assert_allclose(fit_xie(times, batch_size=B, **conditions), 0.4, rtol=1e-9)
    held, rng = 0, np.random.default_rng(1)
    for _ in range(1000):
        noisy = times * np.exp(ERRORS * rng.normal(size=5))
        ends = {"low": noisy * np.exp(-Z * ERRORS), "high": noisy * np.exp(Z * ERRORS)}
        _, low, high = fit_xie(noisy, batch_size=B, **conditions, **ends)
        held += low < 0.4 < high
    assert held / 1000 > 0.95 - 4 * (0.95 * 0.05 / 1000) ** 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_log_time([1.0, 2.0, -1.0], {"B": [1, 2, 3]}), "time: expected finite numbers above 0"),
        (lambda: fit_log_time([1.0, 2.0], {"B": [1, 2]}), "time: expected at least 3 times"),
        (lambda: fit_log_time([1.0, 2.0, 3.0], {"B": [1, 2]}), "x: expected 3 values"),
        (lambda: fit_log_time([1.0, 2.0, 3.0], {"B": [4, 4, 4]}), "x: B depend on each other, or are constant"),
        (lambda: fit_log_time(B, {"B": B, "twice": 2 * B}), "x: B, twice depend on each other"),
        (lambda: fit_log_time([1.0, 2.0, 3.0], {}), "x: expected values of at least one"),
        (lambda: fit_log_time(B, {"B": B}, low=B), "high: missing"),
        (lambda: fit_log_time(B, B), "x: expected quantities by their names"),
        (lambda: fit_log_time(["a", "b"], {"B": [1, 2]}), "time: expected a list of numbers, got"),
        (lambda: fit_log_time([1, 2], {"B": [[1], [2, 3]]}), "x: expected a list of numbers, got"),
        (lambda: fit_log_time(B, {"B": B}, low=B, high=B), "low: expected an interval"),
        (
            lambda: fit_xie(B, barrier=1.0, minimum_sharpness=2.0, saddle_sharpness=-2.0, lr=0.1, batch_size=B),
            "saddle_sharpness: it is that of the minimum",
        ),
    ],
)
def test_what_cannot_be_fitted_is_one_error(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
