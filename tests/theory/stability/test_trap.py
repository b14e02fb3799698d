"""Where normalized SAM is held on quadratics, against its own steps."""

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import quadratic
from sam_sde.theory.stability import critical_points, stability
from sam_sde.theory.stability.trap import resting_gradient, trapping_gradient

SADDLES = [[-1.0], [1.0, -1.0], [1.0, -0.5], [0.5, -1.0], [1.0, -0.5, -0.8]]


def sam(spectrum, **options):
    surface = quadratic(spectrum)
    dynamics = ss.SAM(surface, ss.NoNoise(), **options)
    return dynamics, stability(dynamics, critical_points(surface)[0])


def after(spectrum, start, n_steps, *, rho, lr, momentum=0.0, nesterov=False):
    """Steps of SAM with a heavy ball on ½ Σ λ x², from the points `start` (paths, dim)."""
    x, v = np.array(start, dtype=float), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(n_steps):
            gradient = x * spectrum
            norm = np.linalg.norm(gradient, axis=1, keepdims=True)
            descent = (x + rho * gradient / norm) * spectrum
            v = momentum * v + descent
            x = x - lr * (descent + momentum * v if nesterov else v)
    return np.nan_to_num(x, nan=np.inf)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, False), (0.5, True), (0.9, True)])
@pytest.mark.parametrize("spectrum", SADDLES)
def test_below_its_learning_rate_no_path_leaves_the_trap(spectrum, momentum, nesterov):
    options = {"rho": 0.3, "momentum": momentum, "nesterov": nesterov}
    options["lr"] = 0.98 * sam(spectrum, lr=1.0, **options)[1].largest_lr
    assert sam(spectrum, **options)[1].attracts
    beside = 1e-3 * np.random.default_rng(0).normal(size=(200, len(spectrum)))
    assert np.abs(after(spectrum, beside, 2000, **options)).max() < 1.0


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_in_one_dimension_it_is_the_largest_learning_rate(momentum):
    options = {"rho": 0.3, "lr": 1.1 * (1 - momentum) / 2, "momentum": momentum}
    beside = np.linspace(-1e-3, 1e-3, 200)[:, None]
    assert (np.abs(after([-2.0], beside, 5000, **options)) > 1.0).any()
    assert sam([-2.0], **options)[1].attracts is None


def test_without_a_norm_at_which_all_directions_shrink_nothing_is_held():
    options = {"rho": 0.3, "lr": 0.7}
    assert sam([1.0, -0.5], **options)[1].attracts is False
    assert np.abs(after([1.0, -0.5], [[1e-3, 1e-3]], 1000, **options)).max() > 1.0


def test_the_flow_is_held_by_every_point_without_flat_directions():
    for spectrum in [*SADDLES, [2.0, 1.0]]:
        assert sam(spectrum, rho=1e-3, lr=5.0)[1].attracts_flow


def test_without_rho_it_is_gradient_descent():
    _, found = sam([1.0, -0.5], rho=0.0, lr=0.1)
    assert (found.attracts_flow, found.attracts, found.largest_lr) == (False, False, 0.0)
    np.testing.assert_allclose(found.multipliers, [1.05, 0.9])


def test_a_minimum_holds_sam_at_the_learning_rates_of_gradient_descent():
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.5, True), (0.9, True)):
        largest = 2 * (1 + momentum) / (1 + 2 * momentum * nesterov) / 2.0
        options = {"rho": 0.1, "momentum": momentum, "nesterov": nesterov}
        assert sam([2.0, 1.0], lr=largest, **options)[1].largest_lr == pytest.approx(largest)
        for lr, holds in ((0.99 * largest, True), (1.01 * largest, False)):
            assert sam([2.0, 1.0], lr=lr, **options)[1].attracts is holds
            assert (np.abs(after([2.0, 1.0], [[1e-3, 1e-3]], 3000, lr=lr, **options)).max() < 100) == holds


def test_a_direction_shrinks_where_the_gradient_is_below_the_trapping_one():
    spectrum, rho = [1.0, -1.0, -3.0], 0.2
    assert trapping_gradient(spectrum, rho) == pytest.approx(rho)
    for size, grows in ((0.99 * rho, False), (1.01 * rho, True)):
        assert (after(spectrum, [[0.0, size, 0.0]], 1, rho=rho, lr=1e-3)[0, 1] > size) == grows
    assert trapping_gradient([1.0, 2.0], rho) == np.inf


def test_the_path_rests_in_a_cycle_of_two_steps_at_the_resting_gradient():
    """x² - y²: |x| = ηλρ/(2-ηλ) with λ = 2, the other direction at rest."""
    x, y = after([2.0, -2.0], [[-3.0, -0.01]], 2000, rho=0.5, lr=0.01)[0]
    assert abs(x) == pytest.approx(0.0050505, rel=1e-5)
    assert abs(y) < 1e-6
    assert resting_gradient([2.0, -2.0], rho=0.5, lr=0.01) == pytest.approx(2 * abs(x), rel=1e-6)


def test_in_the_resting_cycle_the_multipliers_are_those_of_a_step():
    spectrum, options = [2.0, -0.5], {"rho": 0.5, "lr": 0.1}
    _, found = sam(spectrum, **options)
    beside = np.array([found.at_gradient / 2.0, 1e-7])
    stepped = after(spectrum, [beside], 1, **options)[0] / beside
    np.testing.assert_allclose(stepped, found.multipliers.real[::-1], rtol=1e-5)
    assert stepped[0] == pytest.approx(-1.0)
