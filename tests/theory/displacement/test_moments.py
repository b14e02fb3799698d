"""Theory of whole optimizers: how far the linear equations reach, and the points about which they are."""

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import quadratic
from sam_sde.theory.displacement import expand, theory_of

TIMES = np.geomspace(0.01, 10.0, 30)


def well(strength=1.0):
    """-w²/2 + strength w⁴/4 beside a quadratic direction."""
    return ss.LossSurface(lambda w: -(w[0] ** 2) / 2 + strength * w[0] ** 4 / 4 + w[1] ** 2, dim=2)


def theory(surface, noise, at=(0.0, 0.0), std=0.0, **options):
    sgd = ss.SGD(surface, noise, lr=0.01, batch_size=100, **options)
    return theory_of(sgd, expand(surface, at), times=TIMES, mean=np.zeros(2), variance=std**2)


def test_on_a_quadratic_it_reaches_as_far_as_one_likes():
    surface = quadratic([-1.0, 2.0], rotation=20.0)
    found = theory(surface, ss.HessianNoise(surface))
    assert found.notes == []
    assert np.isfinite(found.exact).all()
    assert found.exact[-1, 0] > 1e3


def test_it_ends_where_the_drift_bends_by_a_twentieth_within_twice_the_displacement():
    """The drift -x + x³ differs by x² from the linear one."""
    found = theory(well(), ss.IsotropicNoise(1.0))
    free = theory(well(0.0), ss.IsotropicNoise(1.0)).exact
    known = np.isfinite(found.exact[:, 0])
    assert 5 < known.sum() < len(TIMES)
    np.testing.assert_array_equal(found.exact[known], free[known])
    # As a share of the largest curvature along the same direction, here 2 of the other one at most.
    assert (4 * free[:, 0])[known].max() < 0.2
    assert not np.isfinite(found.formula[~known]).any()
    assert not np.isfinite(found.discrete[~known]).any()
    assert "from t = " in found.notes[0]


def test_a_small_bend_is_told_of_with_its_size():
    found = theory(well(1e-4), ss.IsotropicNoise(0.01))
    assert np.isfinite(found.exact).all()
    assert "differ by up to" in found.notes[0]


def test_noise_that_depends_on_the_weights_ends_it_too():
    """|H| changes by 3x² + …; a drift that is linear does not help."""
    surface = quadratic([-1.0, 2.0])
    other = well()
    found = theory(surface, ss.HessianNoise(other))
    assert 0 < np.isfinite(found.exact[:, 0]).sum() < len(TIMES)


def test_noise_that_vanishes_at_the_point_has_no_linear_equation():
    surface = quadratic([1.0, -1.0])
    noise = ss.HessianNoise(ss.LossSurface(lambda w: (w**4).sum(), dim=2))
    found = theory(surface, noise, std=0.1)
    assert not np.isfinite(found.exact).any()
    assert "drift or noise differ there altogether from" in found.notes[0]


def test_what_has_no_sde_or_no_formula_says_so():
    surface = quadratic([-1.0, 2.0])
    found = theory(surface, ss.IsotropicNoise(1.0), momentum=0.5, nesterov=True)
    assert not np.isfinite(found.exact).any()
    assert np.isfinite(found.discrete).any()
    assert [note.split(" is empty")[0] for note in found.notes] == ["exact", "formula"]


@pytest.mark.parametrize("options", [{"sde": "exact"}, {"drift_order": 2}])
def test_a_formula_is_no_more_valid_for_a_better_sde_than_for_the_algorithm(options):
    """At ηλ = 0.2 it is right for the usual SDE alone, and a tenth off at the minimum for others."""
    surface = quadratic([2.0])
    make = {"lr": 0.1, "batch_size": 4}
    at, times = expand(surface, [0.0]), np.array([0.1, 1.0, 5.0])
    usual, better = (
        theory_of(ss.SGD(surface, ss.IsotropicNoise(1.0), **make, **other), at, times=times, mean=np.zeros(1))
        for other in ({}, options)
    )
    assert (usual.formula_valid == 1).all()
    assert (better.formula_valid == 0).all()
    # The exact one has the noise of the algorithm too, that of second order its drift alone.
    expected = 1 / 0.9 if "sde" in options else 1 / 1.1
    assert better.exact[-1, 0] / better.formula[-1, 0] == pytest.approx(expected, rel=1e-4)


def test_times_between_two_steps_have_no_discrete_displacement():
    surface = quadratic([-1.0, 2.0])
    sgd = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.01)
    found = theory_of(sgd, expand(surface, [0, 0]), times=np.array([0.01, 0.015, 0.02]), mean=np.zeros(2))
    np.testing.assert_array_equal(np.isfinite(found.discrete[:, 0]), [True, False, True])
    assert np.isfinite(found.exact).all()


def test_a_rounded_critical_point_is_polished():
    surface = ss.surfaces.himmelblau()
    at = expand(surface, [0.0867, 2.884])
    np.testing.assert_allclose(at.location, [0.0866775, 2.8842547], atol=1e-7)
    np.testing.assert_allclose(at.eigenvalues, [-31.707, 75.508], atol=1e-3)
    np.testing.assert_allclose(at.along(at.location + 0.1 * at.eigenvectors[:, 1]), [0, 0.1], atol=1e-12)


def test_of_many_directions_the_outermost_are_taken_unless_others_are_asked_for():
    surface = quadratic([5.0, -3.0, 1.0, 2.0, -4.0, 0.5])
    np.testing.assert_allclose(expand(surface, [0.0] * 6).eigenvalues, [-4, -3, 2, 5])
    np.testing.assert_allclose(expand(surface, [0.0] * 6, [-1, 2]).eigenvalues, [5, 0.5])


@pytest.mark.parametrize(
    ("at", "directions", "message"),
    [
        ([1.0, 1.0], None, r"at: expected a critical point of the loss, and the gradient at \[1.0, 1.0\]"),
        ([0.0], None, "at: expected 2 numbers"),
        ([0.0, 0.0], [2], "directions: expected a whole number from -2 to 1"),
        ([0.0, 0.0], [0, -2], "directions: expected different numbers"),
        ([0.0, 0.0], [], "directions: expected different numbers"),
    ],
)
def test_bad_points_and_directions_are_refused(at, directions, message):
    with pytest.raises(ss.ArgumentError, match=f"^{message}"):
        expand(quadratic([-1.0, 2.0]), at, directions)
