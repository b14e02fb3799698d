"""The algorithm without noise, where it ends, and the ρ from which on it is trapped."""

import numpy as np
import pandas as pd
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import beale, himmelblau, quadratic, scalar_factorization
from sam_sde.theory.stability import critical_points, critical_rho, ends_of, shares, stalls
from sam_sde.theory.stability.descent import descend

NONE = ss.NoNoise()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_path_is_that_of_torch_sgd(momentum):
    dynamics = ss.SGD(beale(), NONE, lr=1e-3, momentum=momentum)
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1e-3, momentum=momentum)
    for _ in range(30):
        optimizer.zero_grad()
        dynamics.surface.loss(w).backward()
        optimizer.step()
    found = descend(dynamics, torch.tensor([[1.0, 2.0]], dtype=torch.float64), 30)
    np.testing.assert_allclose(found[0], w.detach(), rtol=1e-12)


def test_the_critical_radius_of_the_quadratic_saddle():
    """x² - y² from (-3, -0.01), η = 0.01, 500 steps: 0.0948."""
    sam = ss.SAM(quadratic([2.0, -2.0]), NONE, lr=0.01, rho=7.0)
    assert critical_rho(sam, [-3, -0.01], [0, 0], t_max=5.0) == pytest.approx(0.0948, abs=2e-4)


@pytest.mark.slow
def test_the_critical_radius_of_the_beale_function():
    """From (1, 2): 0.303, here at ten times the learning rate of the paper."""
    sam = ss.SAM(beale(), NONE, lr=1.25e-4, rho=0.5)
    found = critical_rho(sam, [1, 2], [0, 1], t_max=0.3, low=0.28, high=0.33, tolerance=2e-3)
    assert found == pytest.approx(0.303, abs=2e-3)


def test_on_the_unstable_axis_it_is_the_distance():
    sam = ss.SAM(quadratic([1.0, -1.0]), NONE, lr=0.05, rho=1.0)
    assert critical_rho(sam, [0, 0.3], [0, 0], t_max=8.0, tolerance=1e-3) == pytest.approx(0.3, abs=2e-3)


@pytest.mark.parametrize("t_max", [0.5, 1.0])
def test_a_start_that_has_not_come_nearer_than_half_of_rho_is_not_trapped_yet(t_max):
    """On the unstable axis y = ρ + (y₀ - ρ)(1+η)^k, which is ρ/2 at ρ = y₀/(1 - (1+η)^{-k}/2)."""
    sam = ss.SAM(quadratic([1.0, -1.0]), NONE, lr=0.05, rho=1.0)
    expected = 0.3 / (1 - 0.5 * 1.05 ** -(t_max / 0.05))
    assert critical_rho(sam, [0, 0.3], [0, 0], t_max=t_max, tolerance=1e-4) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"high": 0.01}, "high: expected a radius that traps, and none up to 0.01 does"),
        ({"high": 1e-4}, "high: expected a radius that traps, and none up to 0.0001 does"),  # no wider than `tolerance`
        ({"start": [0, 0]}, "start: expected another point than the saddle itself"),
        ({"at": [0.2, 0]}, r"at: \[0.2, 0.0\] is no critical point"),
        ({"low": 0.5, "high": 1.0}, "low: expected a radius that does not trap, got 0.5"),
        ({"low": 0.5, "high": 0.4}, "high: expected more than low"),
        ({"t_max": 0.0}, "t_max: expected a number above 0"),
    ],
)
def test_radii_that_enclose_no_critical_one_are_refused(options, message):
    sam = ss.SAM(quadratic([2.0, -2.0]), NONE, lr=0.01, rho=1.0)
    with pytest.raises(ss.ArgumentError, match=message):
        critical_rho(sam, **{"start": [-3, -0.01], "at": [0, 0], "t_max": 3.0, **options})


def test_an_optimizer_without_a_radius_is_refused():
    with pytest.raises(ss.ArgumentError, match="dynamics: expected one with a radius"):
        critical_rho(ss.SGD(quadratic([1.0, -1.0]), NONE, lr=0.1), [1, 1], [0, 0], t_max=1.0)


def test_on_the_saddle_paths_end_where_the_closed_forms_say():
    """½(x² - y²): gradient descent is held on y = 0 alone, SAM for |y| < ρ on the unstable axis, USAM everywhere."""
    surface = quadratic([1.0, -1.0])
    points = critical_points(surface)
    starts = np.array([[0.0, y] for y in (-0.31, -0.29, 0.1, 0.29, 0.31)] + [[1.0, 0.0]])
    found = {}
    for name, dynamics in {
        "SGD": ss.SGD(surface, NONE, lr=0.05),
        "SAM": ss.SAM(surface, NONE, lr=0.05, rho=0.3),
        "USAM": ss.USAM(surface, NONE, lr=0.05, rho=2.0),
    }.items():
        ends = ends_of(dynamics, starts, t_max=12.0, points=points)
        found[name] = (ends["kind"] == "saddle").tolist()
        assert set(ends["point"][ends["kind"] == "saddle"]) == {0}
    assert found["SGD"] == [False] * 5 + [True]
    assert found["SAM"] == [False, True, True, True, False, True]
    assert found["USAM"] == [True] * 6


def test_on_himmelblau_all_of_gradient_descent_ends_at_the_nearest_minimum_of_four():
    surface = himmelblau()
    points = critical_points(surface)
    starts = np.array([point.location + 0.1 for point in points[:4]])
    ends = ends_of(ss.SGD(surface, NONE, lr=0.005), starts, t_max=3.0, points=points)
    assert ends["kind"].tolist() == ["minimum"] * 4
    assert ends["point"].tolist() == [0, 1, 2, 3]


def test_a_minimum_of_a_valley_has_a_kind_and_no_number():
    surface = scalar_factorization()
    points = critical_points(surface)
    ends = ends_of(ss.SGD(surface, NONE, lr=0.1), np.array([[1.5, 0.3], [1e3, -1e3]]), t_max=20.0, points=points)
    assert ends["kind"].tolist() == ["minimum", "lost"]
    assert ends["point"].isna().all()


def test_a_path_that_is_far_away_is_lost_and_one_that_is_not_yet_is_moving():
    surface = quadratic([1.0, -1.0])
    dynamics, points = ss.SGD(surface, NONE, lr=0.1), critical_points(surface)
    for t_max, kind in ((10.0, "moving"), (25.0, "lost")):
        assert ends_of(dynamics, np.array([[1.0, 1.0]]), t_max=t_max, points=points)["kind"].tolist() == [kind]
    assert descend(dynamics, torch.ones(1, 2, dtype=torch.float64), 250).isnan().all()


def test_a_path_that_stays_at_a_stall_ends_there():
    surface = quadratic([1.0, -1.0])
    points, sam = critical_points(surface), ss.SAM(surface, NONE, lr=0.01, rho=0.5)
    found = stalls(sam, points, [[-1, -1], [1, 1]], starts=4)
    starts = np.array([stall.location for stall in found])
    ends = ends_of(sam, starts, t_max=0.5, points=points, stalls=found)
    assert ends["kind"].tolist() == ["stall", "stall"]
    assert ends["point"].tolist() == [0, 1]
    beside = ends_of(sam, starts * 1.04, t_max=0.01, points=points, stalls=found)
    assert beside["kind"].tolist() == ["moving", "moving"]


def test_shares_count_every_start_once():
    ends = pd.DataFrame({"kind": ["lost", "saddle", "minimum", "minimum"], "point": [np.nan, 2, 1, np.nan]})
    found = shares(ends)
    assert found["kind"].tolist() == ["minimum", "minimum", "saddle", "lost"]
    assert found["n_starts"].tolist() == [1, 1, 1, 1]
    assert found["fraction"].sum() == 1
