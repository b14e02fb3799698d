"""Stalls: where the perturbed gradient alone vanishes."""

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import beale, quadratic
from sam_sde.theory.stability import critical_points, stalls

BOX = [[-2, -2], [2, 2]]


def test_the_edge_of_the_trap_is_a_stall_at_the_distance_rho_on_the_unstable_axis():
    """w + ρ u = 0 at (0, ±ρ): there the flow of x² - y² grows along the axis at the rate 2."""
    surface = quadratic([2.0, -2.0])
    sam = ss.SAM(surface, ss.NoNoise(), lr=0.01, rho=0.5, ascent="independent")
    found = stalls(sam, critical_points(surface), BOX, starts=8)
    assert {tuple(stall.location.round(9) + 0.0) for stall in found} == {(0.0, 0.5), (0.0, -0.5)}
    for stall in found:
        assert stall.gradient_norm == pytest.approx(1.0)
        assert stall.stability.attracts_flow is False
        np.testing.assert_allclose(stall.perturbed, [0, 0], atol=1e-9)
        assert stall.stability.flow.real.max() == pytest.approx(2.0)


def test_usam_stalls_where_it_looks_at_a_critical_point_from_afar():
    """ℓ = x⁴/4 - x²/2 with p = ρ(x³ - x): x + p = 0, ±1 have roots that are no critical points."""
    surface = ss.LossSurface(lambda w: w[0] ** 4 / 4 - w[0] ** 2 / 2, dim=1)
    points = critical_points(surface, [[-2], [2]], starts=8)
    rho = 2.0
    found = stalls(ss.USAM(surface, ss.NoNoise(), lr=0.01, rho=rho), points, [[-2], [2]], starts=24)
    roots = np.concatenate([np.roots([rho, 0, 1 - rho, -c]) for c in (-1.0, 0.0, 1.0)])
    expected = [x.real for x in roots if abs(x.imag) < 1e-9 and min(abs(x.real - c) for c in (-1, 0, 1)) > 1e-6]
    np.testing.assert_allclose(np.sort([stall.location[0] for stall in found]), np.sort(expected), atol=1e-9)
    for stall in found:
        slope = (1 + rho * (3 * stall.location[0] ** 2 - 1)) * (3 * stall.perturbed[0] ** 2 - 1)
        assert stall.stability.curvatures[0] == pytest.approx(slope)
        assert stall.stability.attracts_flow == (slope > 0)
    assert any(stall.stability.attracts_flow for stall in found) == any(
        (1 + rho * (3 * x**2 - 1)) * (3 * (x + rho * (x**3 - x)) ** 2 - 1) > 0 for x in expected
    )


def test_at_a_stall_nothing_moves_and_at_its_neighbours_something_does():
    surface = beale()
    sam = ss.SAM(surface, ss.NoNoise(), lr=0.01, rho=0.3)
    for stall in stalls(sam, critical_points(surface)[1:2], [[-1, 0], [1, 2]], starts=1):
        x, y = stall.perturbed
        terms = np.array([1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3])
        gradient = 2 * terms @ np.array([[y - 1, x], [y**2 - 1, 2 * x * y], [y**3 - 1, 3 * x * y**2]])
        np.testing.assert_allclose(gradient, 0, atol=1e-7)
        assert np.linalg.norm(stall.perturbed - stall.location) == pytest.approx(0.3)


def test_sgd_has_none():
    surface = quadratic([2.0, -2.0])
    assert stalls(ss.SGD(surface, ss.NoNoise(), lr=0.01), critical_points(surface), BOX) == []
    assert stalls(ss.SAM(surface, ss.NoNoise(), lr=0.01, rho=0.0), critical_points(surface), BOX) == []


@pytest.mark.parametrize("offset", [0.0, -5.0])
def test_along_a_valley_one_stall_stands_for_all_whatever_the_loss_is_counted_from(offset):
    """(x² - 1)²/4 in the plane: w^p is on the ridge x = 0 from x = ±ρ."""
    surface = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + offset, dim=2)
    sam = ss.SAM(surface, ss.NoNoise(), lr=0.01, rho=0.3)
    (stall,) = stalls(sam, critical_points(surface, BOX, starts=8), BOX, starts=8)
    assert abs(stall.location[0]) == pytest.approx(0.3)
