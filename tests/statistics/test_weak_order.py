"""Fitted orders, their intervals, and means with controls, against plain formulas and repeated samples."""

import numpy as np

from sam_sde.statistics.weak_order import absolute_interval, controlled_mean, fitted_order

LRS = np.array([0.1, 0.05, 0.025, 0.0125])


def test_a_power_law_has_its_order_and_its_interval_holds_it_in_95_of_100():
    rng = np.random.default_rng(0)
    for order in (1.0, 2.0):
        exact, error = 3.0 * LRS**order, 0.02 * LRS**order
        fits = []
        for _ in range(2000):
            noisy = [absolute_interval(e, s) for e, s in zip(exact + error * rng.normal(size=4), error, strict=True)]
            fits.append(fitted_order(LRS, *np.array(noisy).T))
        found, low, high = np.array(fits).T
        held = np.mean((low < order) & (order < high))
        assert abs(np.mean(found) - order) < 4 * np.std(found) / 2000**0.5
        assert 0.95 - 4 * (0.05 * 0.95 / 2000) ** 0.5 < held < 1.0  # √(χ²/df) only widens


def test_errors_that_may_be_zero_do_not_count_and_leave_no_order():
    error = 3.0 * LRS**2
    low, high = 0.9 * error, 1.1 * error
    exact = fitted_order(LRS, error, low, high)
    np.testing.assert_allclose(exact[0], 2.0)
    low[3], error[3] = 0.0, 10.0
    np.testing.assert_allclose(fitted_order(LRS, error, low, high)[0], 2.0)
    low[2] = 0.0
    assert np.isnan(fitted_order(LRS, error, low, high)).all()


def test_points_off_the_line_widen_the_interval():
    error = np.array([1.0, 0.8, 0.2, 0.15])
    _, low, high = fitted_order(LRS, error, 0.99 * error, 1.01 * error)
    _, narrow_low, narrow_high = fitted_order(LRS, LRS, 0.99 * LRS, 1.01 * LRS)
    assert high - low > 10 * (narrow_high - narrow_low)


def test_the_interval_of_a_size_begins_at_zero_where_the_difference_may_be_zero():
    np.testing.assert_allclose(absolute_interval(-3.0, 1.0), (3.0, 3 - 1.959964, 3 + 1.959964), rtol=1e-6)
    np.testing.assert_allclose(absolute_interval(-1.0, 1.0), (1.0, 0.0, 2.959964), rtol=1e-6)


def test_controls_leave_the_mean_and_take_the_spread_that_they_explain():
    rng = np.random.default_rng(1)
    means, errors = [], []
    for _ in range(500):
        control, rest = rng.normal(size=(2, 400))
        controls = np.stack([1e-6 * control, 1e-6 * control, 0 * control], axis=1)  # equal ones, and one of nothing
        found = controlled_mean(0.7 + 5.0 * control + 0.5 * rest, controls)
        means.append(found[0])
        errors.append(found[1])
    np.testing.assert_allclose(np.mean(errors), 0.5 / 20, rtol=0.02)
    np.testing.assert_allclose(np.std(means), np.mean(errors), rtol=4 / 1000**0.5)
    assert abs(np.mean(means) - 0.7) < 4 * np.mean(errors) / 500**0.5


def test_samples_that_are_all_alike_have_an_error_of_rounding():
    mean, error = controlled_mean(np.full(100, 0.3), np.zeros((100, 2)))
    np.testing.assert_allclose(mean, 0.3)
    assert 0 < error < 1e-14
