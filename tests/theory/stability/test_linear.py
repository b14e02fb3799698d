"""Closed forms of first-order stability, on quadratics with random spectra, against the maps themselves."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sam_sde as ss
from sam_sde.surfaces import beale, quadratic
from sam_sde.theory.stability import admitted, critical_points, rho_threshold, stability
from sam_sde.theory.stability.arms import linearized

EIGENVALUE = st.floats(0.1, 5.0) | st.floats(-5.0, -0.1)
SPECTRA = st.lists(EIGENVALUE, min_size=1, max_size=4)
MOMENTA = st.sampled_from([0.0, 0.5, 0.9])
FEW = settings(max_examples=10, deadline=None)


def of(kind, spectrum, **options):
    surface = quadratic(spectrum)
    return stability(kind(surface, ss.NoNoise(), **options), critical_points(surface)[0])


def blocks(curvature, lr, momentum, nesterov):
    """The map of (w, v) along one eigenvector, as torch.optim.SGD steps."""
    if nesterov:
        return np.array([[1 - lr * curvature * (1 + momentum), -lr * momentum**2], [curvature, momentum]])
    return np.array([[1 - lr * curvature, -lr * momentum], [curvature, momentum]])


@FEW
@given(SPECTRA, st.floats(0.01, 2.0), st.floats(0.01, 1.0), MOMENTA, st.booleans())
def test_flow_and_multipliers_are_the_eigenvalues_of_the_two_by_two_blocks(spectrum, rho, lr, momentum, nesterov):
    nesterov = nesterov and momentum > 0
    options = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
    for found, mu in (
        (of(ss.SGD, spectrum, **options), np.array(spectrum)),
        (of(ss.USAM, spectrum, rho=rho, **options), np.array([x * (1 + rho * x) for x in spectrum])),
    ):
        order = np.argsort(spectrum)
        mu = mu[order]
        np.testing.assert_allclose(found.curvatures, mu, atol=1e-9)
        maps = [np.abs(np.linalg.eigvals(blocks(m, lr, momentum, nesterov))).max() for m in mu]
        flows = [np.linalg.eigvals(np.array([[0, -1], [m / lr, -(1 - momentum) / lr]])).real.max() for m in mu]
        np.testing.assert_allclose(np.abs(found.multipliers), maps if momentum else np.abs(1 - lr * mu), atol=1e-6)
        np.testing.assert_allclose(found.flow.real, flows if momentum else -mu, atol=1e-5)


@FEW
@given(SPECTRA, st.floats(0.01, 2.0), MOMENTA, st.booleans())
def test_the_point_attracts_the_algorithm_just_below_its_largest_learning_rate(spectrum, rho, momentum, nesterov):
    options = {"rho": rho, "momentum": momentum, "nesterov": nesterov and momentum > 0}
    largest = of(ss.USAM, spectrum, lr=0.1, **options).largest_lr
    if rho_threshold(spectrum) >= rho:
        assert largest == 0
        assert not of(ss.USAM, spectrum, lr=0.001, **options).attracts
    else:
        assert of(ss.USAM, spectrum, lr=0.999 * largest, **options).attracts
        assert not of(ss.USAM, spectrum, lr=1.001 * largest, **options).attracts


@FEW
@given(SPECTRA)
def test_the_flow_of_usam_is_attracted_above_its_threshold_alone(spectrum):
    threshold = rho_threshold(spectrum)
    assert threshold == max([0, *(-1 / x for x in spectrum if x < 0)])
    assert of(ss.USAM, spectrum, rho=1.001 * threshold + 1e-6, lr=0.1).attracts_flow
    if threshold:
        assert not of(ss.USAM, spectrum, rho=0.999 * threshold, lr=0.1).attracts_flow


@FEW
@given(SPECTRA, st.floats(0.1, 5.0), st.floats(0.01, 1.0), MOMENTA)
def test_what_attracts_usam_is_admitted_and_what_repels_it_is_not(spectrum, rho, lr, momentum):
    found = of(ss.USAM, spectrum, rho=rho, lr=lr, momentum=momentum)
    assume((np.abs(np.abs(found.multipliers) - 1) > 1e-9).all())
    assert admitted(spectrum, lr=lr, rho=rho, momentum=momentum).all() == found.attracts


def test_a_saddle_is_admitted_beyond_minus_one_over_rho():
    assert admitted([-3.0, -0.5, 0.0, 1.0, 4.0], lr=1.0, rho=0.5).tolist() == [True, False, True, True, False]
    assert admitted([4.0], lr=0.1, rho=0.5, momentum=0.9).all()
    with pytest.raises(ss.ArgumentError, match="momentum: expected a number from 0 to below 1"):
        admitted([1.0], lr=0.1, rho=0.5, momentum=1.0)


def test_of_the_overdamped_limit_the_flow_is_faster_by_the_damping():
    found = of(ss.SGD, [2.0, -1.0], lr=0.01, momentum=0.9, momentum_model="overdamped")
    np.testing.assert_allclose(sorted(found.flow.real), [-20, 10])
    assert abs(of(ss.SGD, [2.0, -1.0], lr=1e-6, momentum=0.9).flow.real.max() - 10) < 1e-3


def test_the_flow_of_the_exact_sde_is_the_logarithm_of_a_step():
    """e^{sη} is the multiplier; beyond 1/η there is no such flow, and the algorithm still has its multiplier."""
    found = of(ss.USAM, [-1.0, 2.0], lr=0.1, rho=0.1, sde="exact")
    np.testing.assert_allclose(np.exp(0.1 * found.flow), found.multipliers)
    assert found.attracts_flow is False
    beyond = of(ss.SGD, [1.0, 2.0], lr=0.6, sde="exact")
    assert np.isnan(beyond.flow).any()
    assert beyond.attracts_flow is None
    assert beyond.attracts


def test_where_a_direction_is_flat_it_is_not_known_who_attracts():
    flat = of(ss.SGD, [0.0, 1.0], lr=0.1)
    assert (flat.attracts_flow, flat.attracts) == (None, None)
    assert of(ss.SGD, [0.0, -1.0], lr=0.1).attracts is False
    held = of(ss.SAM, [0.0, 1.0], lr=0.1, rho=0.1)
    assert (held.attracts_flow, held.attracts) == (None, None)
    assert np.isnan(rho_threshold([0.0, 1.0]))
    assert rho_threshold([0.0, -2.0]) == 0.5


def test_what_has_other_limits_is_refused():
    surface = quadratic([1.0, -1.0])
    (point,) = critical_points(surface)
    with pytest.raises(ss.ArgumentError, match="weight_decay: expected 0"):
        stability(ss.SGD(surface, ss.NoNoise(), lr=0.1, weight_decay=0.1), point)
    with pytest.raises(ss.ArgumentError, match="dynamics: expected an optimizer on a surface"):
        stability("SGD", point)


def test_of_a_perturbation_of_ones_own_the_derivative_is_taken():
    """p = ρ g/√(1+g²), whose derivative at g = 0 is that of USAM."""
    surface = quadratic([1.0, -2.0])
    (point,) = critical_points(surface)
    own = ss.PerturbedSGD(surface, ss.NoNoise(), lr=0.1, perturbation=lambda g: 0.7 * g / (1 + g.square().sum()).sqrt())
    np.testing.assert_allclose(stability(own, point).curvatures, np.sort([1.7, -2 * (1 - 1.4)]), atol=1e-12)


def test_the_closed_form_of_usam_is_the_derivative_of_what_it_descends():
    surface = beale()
    usam = ss.USAM(surface, ss.NoNoise(), lr=0.1, rho=0.02, ascent="independent")
    for point in critical_points(surface):
        derivative = linearized(usam, point.location).curvatures
        np.testing.assert_allclose(np.sort(stability(usam, point).curvatures), derivative, rtol=1e-9)


def test_of_a_switch_the_last_optimizer_decides():
    surface = quadratic([1.0, -2.0])
    (point,) = critical_points(surface)
    sgd, usam = ss.SGD(surface, ss.NoNoise(), lr=0.1), ss.USAM(surface, ss.NoNoise(), lr=0.1, rho=0.7)
    assert stability(ss.Switch(sgd, usam, at=1.0), point).attracts
    assert not stability(ss.Switch(usam, sgd, at=1.0), point).attracts
