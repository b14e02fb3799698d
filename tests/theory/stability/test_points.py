"""Critical points that are found are those that are known, and classified as they are."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import beale, double_well, himmelblau, muller_brown, quadratic, scalar_factorization
from sam_sde.theory.stability import critical_points, rho_threshold


def bare(surface):
    """The same loss, without its list."""
    return ss.LossSurface(surface.loss, surface.dim, name=surface.name)


@pytest.mark.parametrize(
    ("surface", "bounds", "starts"),
    [
        (beale(), [[-4, -4], [4, 4]], 32),
        (himmelblau(), [[-5, -5], [5, 5]], 40),
        pytest.param(muller_brown(), [[-1.2, -0.2], [0.9, 1.7]], 40, marks=pytest.mark.slow),
        (double_well(dim=3), [[-2, -1, -1], [2, 1, 1]], 12),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_without_the_list_all_points_of_it_are_found(surface, bounds, starts):
    found = {tuple(p.location.round(8) + 0.0): p.kind for p in critical_points(bare(surface), bounds, starts=starts)}
    known = {tuple(np.round(p.location, 8) + 0.0): p.kind for p in surface.critical_points}
    assert found == known
    both = critical_points(surface, bounds, starts=4)
    assert [p.kind for p in both] == [p.kind for p in surface.critical_points]


def test_eigenvalues_index_and_loss_are_those_of_the_papers():
    def at(surface, *location):
        (point,) = (p for p in critical_points(surface) if np.allclose(p.location, location, atol=1e-4))
        return point

    saddle = at(beale(), 0, 1)
    assert (saddle.kind, saddle.index, saddle.loss) == ("saddle", 1, pytest.approx(14.203125))
    np.testing.assert_allclose(saddle.eigenvalues, [-27.75, 27.75])
    assert rho_threshold(saddle.eigenvalues) == pytest.approx(0.0360, abs=5e-5)
    np.testing.assert_allclose(at(himmelblau(), 0.08668, 2.88425).eigenvalues, [-31.707, 75.508], atol=1e-3)
    assert at(himmelblau(), -0.27084, -0.92304).index == 2
    for (x, y), loss, values in (
        ((-0.82200, 0.62431), -40.665, (-750.9, 490.2)),
        ((0.21249, 0.29299), -72.249, (-735.2, 510.9)),
    ):
        point = at(muller_brown(), x, y)
        assert point.loss == pytest.approx(loss, abs=1e-3)
        np.testing.assert_allclose(point.eigenvalues, values, atol=0.1)
    np.testing.assert_allclose(at(scalar_factorization(), 0, 0).eigenvalues, [-1, 1])


def test_of_a_valley_one_point_stands_for_all():
    """½ (w_0 w_1 - 1)²: the minima are a curve, with one flat direction."""
    valley, saddle = critical_points(bare(scalar_factorization()), [[-2, -2], [2, 2]], starts=12)
    assert (valley.kind, saddle.kind) == ("minimum", "saddle")
    assert np.prod(valley.location) == pytest.approx(1)
    assert len(critical_points(scalar_factorization(), [[-2, -2], [2, 2]], starts=12)) == 3


def test_along_flat_directions_the_loss_beside_the_point_decides():
    kinds = {}
    for power in (3, 4):
        surface = ss.LossSurface(lambda w, power=power: w[0] ** power + w[1] ** 2, dim=2)
        (point,) = critical_points(surface, [[-1, -1], [1, 1]], starts=1)
        kinds[power] = point.kind
    assert kinds == {3: "saddle", 4: "minimum"}


def test_what_is_known_is_polished():
    (point,) = critical_points(
        ss.LossSurface(
            lambda w: (w[0] - 1 / 3) ** 2,
            dim=1,
            critical_points=[ss.surfaces.CriticalPoint((0.3333333333,), "minimum")],
        )
    )
    assert point.location[0] == pytest.approx(1 / 3, abs=1e-15)


@pytest.mark.parametrize(
    ("bounds", "options", "message"),
    [
        (None, {}, "bounds: missing; the surface custom lists no critical point"),
        (
            [[0, 0], [1, 1]],
            {"starts": 5},
            r"bounds: no critical point found from 5 starts; .* smallest, 1\.\d*, at \(.*\); try",
        ),
        ([[0, 0], [1, 0]], {}, "bounds: expected low < high in each coordinate"),
        ([[0], [1]], {}, "bounds: expected 2 numbers"),
        ([0, 1, 2], {}, "bounds: expected two corners"),
        ([[0, 0], [1, 1]], {"starts": 0}, "starts: expected a whole number"),
    ],
)
def test_bad_arguments_are_refused(bounds, options, message):
    surface = ss.LossSurface(lambda w: torch.exp(w[0]) + w[1] ** 2, dim=2)
    with pytest.raises(ss.ArgumentError, match=message):
        critical_points(surface, bounds, **options)


def test_a_zero_outside_of_the_bounds_is_none_of_them():
    with pytest.raises(ss.ArgumentError, match="no critical point found from 3 starts"):
        critical_points(bare(quadratic([1.0, -1.0])), [[1, 1], [2, 2]], starts=3)


def test_where_a_search_ends_inside_and_newtons_method_leads_out_there_is_none():
    """ℓ' = (w - 10)(w² + 0.1) is smallest near 0, where the search stops; the zero is at 10."""
    surface = ss.LossSurface(lambda w: w[0] ** 4 / 4 - 10 * w[0] ** 3 / 3 + w[0] ** 2 / 20 - w[0], dim=1)
    with pytest.raises(ss.ArgumentError, match="no critical point found from 8 starts"):
        critical_points(surface, [[-1], [1]], starts=8)
    assert critical_points(surface, [[-1], [11]], starts=8)[0].location[0] == pytest.approx(10)
