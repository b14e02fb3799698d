"""The published formulas, and the windows in which they hold."""

import itertools

import numpy as np
import pytest

from sam_sde.theory.displacement import LinearArm, corollary_1, heavy_ball_displacement, theorem_2
from sam_sde.theory.displacement.formulas import TOLERANCE, formula_of
from sam_sde.theory.displacement.gap import comparable, gap_formula

BATCH = 8


def arm(eigenvalue, *, rho=0.0, total=False, ascent="full", lr=1e-3, momentum=0.0, velocity=False, equilibrium=False):
    """An optimizer with noise |λ| along one direction."""
    values = np.array([eigenvalue])
    stretch = 1 + rho * values
    gain = {"full": 1.0, "same": stretch**2, "independent": 1 + (rho * values) ** 2}[ascent] * np.ones(1)
    curvature = values * (stretch**2 if total else stretch)
    moving = {"momentum": momentum, "nesterov": False, "velocity": velocity, "equilibrium": equilibrium}
    noise = {"variance": gain * np.abs(values) / BATCH, "constant": 0.0 * values}
    other = {"lr": lr, "drift_order": 1, "weight_decay": 0.0}
    return LinearArm(values, rho, curvature, values * stretch, gain, **noise, **moving, **other)


def steps_to(t, lr):
    counts = np.unique(np.rint(np.geomspace(1, t / lr, 60)))
    return counts, lr * counts


ZERO = np.zeros(1)


def test_inside_of_its_window_a_formula_is_right_to_the_tolerance():
    """Over eigenvalues, momenta, steps and radii; the window holds three quarters of the times where it is right."""
    inside = right = 0
    grid = itertools.product([-2.0, -0.3, 1.0], [0.0, 0.5, 0.9], [1e-5, 1e-3, 1e-2], [0.0, 0.05, 0.3], [False, True])
    for eigenvalue, momentum, lr, rho, other in grid:
        for ascent, of_algorithm in itertools.product(["full", "same"], [False, True]):
            options = {"lr": lr, "momentum": momentum, "velocity": momentum > 0 and not other, "ascent": ascent}
            one = arm(eigenvalue, rho=rho, total=other and ascent == "full", equilibrium=False, **options)
            counts, times = steps_to(2.0, lr)
            found = formula_of(one, times, ZERO, 0.0, of_algorithm=of_algorithm)
            exact = one.of_algorithm(counts, ZERO, 0.0) if of_algorithm else one.of_sde(times, ZERO, 0.0)
            off = np.abs(found.values / exact - 1)
            assert (off[found.valid] <= TOLERANCE).all(), (eigenvalue, momentum, lr, rho, other, ascent)
            inside, right = inside + found.valid.sum(), right + (off <= TOLERANCE).sum()
    assert inside > 0.6 * right


@pytest.mark.parametrize("equilibrium", [False, True])
def test_the_window_of_theorem_3_begins_after_many_relaxation_times(equilibrium):
    one = arm(-1.0, lr=1e-5, momentum=0.9, velocity=True, equilibrium=equilibrium)
    _, times = steps_to(0.5, 1e-5)
    found = formula_of(one, times, ZERO, 0.0)
    off = found.values / one.of_sde(times, ZERO, 0.0) - 1
    assert off[0] > 5
    first = times[found.valid[:, 0]].min() / (1e-5 / 0.1)
    assert 30 < first < 60


def test_a_start_beside_the_point_is_outside_until_noise_has_taken_over():
    one, times = arm(1.0), steps_to(20.0, 1e-3)[1]
    found = formula_of(one, times, np.array([0.1]), 0.0).valid[:, 0]
    off = np.abs(formula_of(one, times, ZERO, 0.0).values / one.of_sde(times, np.array([0.1]), 0.0) - 1)[:, 0]
    assert not found[0]
    assert found[-1]
    assert (off[found] <= TOLERANCE).all()


@pytest.mark.parametrize("rho", [0.0, 0.4])
@pytest.mark.parametrize("eigenvalue", [-1.5, 2.0])
def test_theorem_2_is_exact_for_its_own_drift_and_for_no_other(eigenvalue, rho):
    t = np.array([0.01, 0.3, 2.0])
    formula = [theorem_2(eigenvalue, lr=1e-3, batch_size=BATCH, t=each, rho=rho) for each in t]
    total, algorithm = (arm(eigenvalue, rho=rho, total=total).of_sde(t, ZERO, 0.0)[:, 0] for total in (True, False))
    np.testing.assert_allclose(formula, total, rtol=1e-9)
    if rho:
        assert np.abs(formula / algorithm - 1)[-1] > 0.3
        # Of the same batch from the first step on.
        same = arm(eigenvalue, rho=rho, ascent="same").of_sde(t, ZERO, 0.0)[0, 0]
        assert formula[0] / same == pytest.approx((1 + rho * eigenvalue) ** -2, rel=0.05)


def test_with_rho_it_never_shows_the_transition_of_theorem_1():
    """At ρ > 1/|λ| the algorithm's saddle attracts, and Theorem 2's still repels."""
    t = np.array([30.0])
    assert arm(-1.0, rho=1.5).of_sde(t, ZERO, 0.0)[0, 0] < 1e-3
    assert theorem_2(-1.0, lr=1e-3, batch_size=BATCH, t=30.0, rho=1.5) > 1.0


@pytest.mark.parametrize("eigenvalue", [-1.5, 2.0])
def test_corollary_1_is_the_gap_of_theorem_2_and_twice_that_of_the_algorithm(eigenvalue):
    options, t = {"lr": 1e-3, "batch_size": BATCH}, 1e-3
    formula = corollary_1(eigenvalue, t=t, rho=1e-3, **options)
    gap = theorem_2(eigenvalue, t=t, **options) - theorem_2(eigenvalue, t=t, rho=1e-3, **options)
    assert formula == pytest.approx(gap, rel=0.01)
    times = np.array([t])
    algorithm = arm(eigenvalue).of_sde(times, ZERO, 0.0) - arm(eigenvalue, rho=1e-3).of_sde(times, ZERO, 0.0)
    assert formula / algorithm[0, 0] == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("of_algorithm", [False, True])
@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("ascent", ["full", "same"])
@pytest.mark.parametrize("rho", [1e-6, 0.01, 0.3])
def test_inside_of_its_window_corollary_1_is_right_to_the_tolerance(rho, ascent, total, of_algorithm):
    for eigenvalue in (-2.0, 0.5):
        sgd, usam = arm(eigenvalue, lr=1e-6), arm(eigenvalue, rho=rho, total=total, ascent=ascent, lr=1e-6)
        counts, times = steps_to(1.0, 1e-6)
        values, valid = gap_formula(sgd, usam, times, of_algorithm=of_algorithm)
        assert comparable(sgd, usam)
        np.testing.assert_allclose(
            values[:, 0], [corollary_1(eigenvalue, lr=1e-6, batch_size=BATCH, t=t, rho=rho) for t in times]
        )
        moved = [
            each.of_algorithm(counts, ZERO, 0.0) if of_algorithm else each.of_sde(times, ZERO, 0.0)
            for each in (sgd, usam)
        ]
        gap = moved[0] - moved[1]
        off = np.abs(values / np.where(gap == 0, np.inf, gap) - 1)
        # The smallest gaps are differences of nearly equal numbers.
        told = times * rho > 1e-5
        assert (off[told][valid[told] == 1] <= TOLERANCE).all()
        assert valid.any() == (total and ascent == "full" and rho < 0.1 and not of_algorithm)


def test_other_optimizers_are_not_compared_by_corollary_1():
    sgd = arm(-1.0)
    assert not comparable(sgd, arm(-1.0))
    assert not comparable(arm(-1.0, rho=0.1), arm(-1.0, rho=0.1))
    assert not comparable(sgd, arm(-1.0, rho=0.1, lr=2e-3))
    assert not comparable(sgd, arm(-1.0, rho=0.1, momentum=0.5))


@pytest.mark.parametrize(
    ("function", "changes", "message"),
    [
        (theorem_2, {"rho": -1}, "rho: expected a number that is 0 or more"),
        (theorem_2, {"t": 0}, "t: expected a number above 0"),
        (corollary_1, {"batch_size": 0, "rho": 0.1}, "batch_size: expected a whole number"),
        (heavy_ball_displacement, {"momentum": 1.0}, "momentum: expected a number from 0 to below 1"),
    ],
)
def test_bad_arguments_are_refused(function, changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        function(-1.0, **{"lr": 0.1, "batch_size": 1, "t": 1.0, **changes})
