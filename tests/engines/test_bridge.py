"""Exits from regions whose level is no distance: they are those of the distance, path by path."""

import functools
import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic

FLAT = ss.LossSurface(lambda w: 0.0 * w.sum(), 2)
BROWNIAN = ss.SGD(FLAT, ss.ConstantNoise([[1.0, 0.4], [0.4, 0.7]]), lr=1.0)
BALL, BOX = ss.Ball([0, 0], 1.0), ss.Box([-1, -1], [1, 1])

norm = torch.linalg.vector_norm


class Scaled(ss.Region):
    """A region of one's own, without a slope and a normal."""

    dim = 2

    def levels(self, w):
        return 100.0 * (w.norm(dim=-1, keepdim=True) - 1.0)


class OtherNormal(Scaled):
    """Its normal is not of the gradient's length, in double precision, and so are the levels."""

    def levels(self, w):
        return super().levels(w).double()

    def normal(self, w, face):
        return 3.0 * w.double()


class Cubes(ss.Region):
    """A box whose faces have no gradient at the boundary."""

    faces = 4

    def levels(self, w):
        return torch.cat([-1.0 - w, w - 1.0], dim=-1) ** 3


OF_BALL = {
    "a distance": lambda w: norm(w) - 1.0,
    "scaled by 100": lambda w: 100.0 * (norm(w) - 1.0),
    "scaled by 1e-3": lambda w: 1e-3 * (norm(w) - 1.0),
    "scaled by 1e-30": lambda w: 1e-30 * (norm(w) - 1.0),
    "scaled by 1e30": lambda w: 1e30 * (norm(w) - 1.0),
    "squared": lambda w: w @ w - 1.0,
    "flat at the centre": lambda w: (w @ w) ** 2 - 1.0,
    "infinite at the centre": lambda w: (w @ w).log(),
    "steep at the centre": lambda w: (w @ w).sqrt() - 1.0,
    "bounded": lambda w: torch.tanh(3.0 * (norm(w) - 1.0)),
    "flat at the boundary": lambda w: (norm(w) - 1.0) ** 3,
    "steep at the boundary": lambda w: (norm(w) - 1.0).sign() * (norm(w) - 1.0).abs().sqrt(),
    "a constant in double precision": lambda w: w @ w - torch.tensor(1.0, dtype=torch.float64),
}
REGIONS = {
    **{name: (ss.LevelSet(level), BALL) for name, level in OF_BALL.items()},
    "scaled, of one's own": (Scaled(), BALL),
    "with a normal of one's own": (OtherNormal(), BALL),
    "several faces": (Cubes(), BOX),
    "a loss above": (ss.LossAbove(ss.LossSurface(lambda w: -((w @ w) ** 2), 2), -1.0), BALL),
    "a loss below": (ss.LossBelow(ss.LossSurface(lambda w: (w @ w).exp(), 2), math.e), BALL),
}


def escape(region, dynamics=BROWNIAN, **options):
    options = {"start": [0.2, 0.1], "t_max": 20.0, "dt": 0.02, "n_paths": 200, "device": "cpu", **options}
    return ss.escape_times(dynamics, region=region, engine="torchsde", **options)


@functools.cache
def escape_by_distance(of_box, crossing, dt):
    return escape(BOX if of_box else BALL, crossing=crossing, dt=dt)


@pytest.mark.parametrize("crossing", ["bridge", "shift", "none"])
@pytest.mark.parametrize("name", REGIONS)
def test_only_the_sign_of_a_level_counts(name, crossing):
    region, distances = REGIONS[name]
    for dt in (0.03, 0.1):
        found, expected = escape(region, crossing=crossing, dt=dt), escape_by_distance(distances is BOX, crossing, dt)
        assert (expected.outcome == ss.Outcome.ESCAPED).all()
        np.testing.assert_array_equal(found.outcome, expected.outcome)
        np.testing.assert_allclose(found.times, expected.times, rtol=1e-3)
        np.testing.assert_allclose(found.exit_points, expected.exit_points, atol=1e-3)
        assert abs(found.times.mean() / expected.times.mean() - 1) < 1e-4


@pytest.mark.parametrize("dt", [0.02, 0.1])
def test_the_mean_time_is_the_closed_form_for_a_level_of_ones_own(dt):
    """(r² - |x|²)/2 for Brownian motion in the plane."""
    dynamics = ss.SGD(FLAT, ss.IsotropicNoise(1.0), lr=1.0)
    for region in (
        Scaled(),
        ss.LevelSet(OF_BALL["flat at the boundary"]),
        ss.LevelSet(OF_BALL["infinite at the centre"]),
    ):
        times = escape(region, dynamics, dt=dt, n_paths=4000).times
        assert abs(times.mean() - 0.475) < 4 * times.std() / math.sqrt(4000) + 0.005 * 0.475


@pytest.mark.parametrize("crossing", ["bridge", "shift"])
def test_corners_cost_little(crossing):
    """A maximum of levels has one face, so that a bridge sees the nearest one only."""
    box = ss.Box([-1, -1], [1, 1])
    for level in (lambda w: 5.0 * (w.abs().max() - 1.0), lambda w: torch.maximum(*(w * w).unbind(0)) - 1.0):
        of_level, of_box = (
            escape(region, crossing=crossing, n_paths=4000).times for region in (ss.LevelSet(level), box)
        )
        error = math.hypot(of_level.std(), of_box.std()) / math.sqrt(4000)
        assert abs(of_level.mean() - of_box.mean()) < 4 * error
        assert abs(np.median(of_level) / np.median(of_box) - 1) < 0.1


def test_a_union_is_left_at_its_own_boundary_only():
    """A minimum of levels; the slabs -1 < x < 0.5 and -0.5 < x < 1 end inside each other."""
    union = ss.LevelSet(lambda w: 7.0 * torch.minimum((w[0] + 0.25).abs() - 0.75, (w[0] - 0.25).abs() - 0.75))
    found, expected = escape(union, n_paths=4000).times, escape(ss.Slab([0, 0], [1, 0], 1.0), n_paths=4000).times
    assert abs(found.mean() - expected.mean()) < 4 * math.hypot(found.std(), expected.std()) / math.sqrt(4000)


def test_where_there_is_no_gradient_outside_the_boundary_is_taken_for_a_plane():
    barrier = ss.LevelSet(lambda w: torch.where(norm(w) < 1.0, norm(w) - 1.0, torch.inf))
    found, expected = escape(barrier), escape(BALL)
    np.testing.assert_array_equal(np.ceil(found.times / 0.02), np.ceil(expected.times / 0.02))
    assert abs(found.times.mean() / expected.times.mean() - 1) < 1e-3
    np.testing.assert_allclose(np.linalg.norm(found.exit_points, axis=1), 1.0, atol=1e-4)  # found by halving alone


FLAT_LEVELS = {
    "an indicator": lambda dim: ss.LevelSet(lambda w: torch.where(norm(w) < 1.0, -1.0, 1.0)),
    "whole numbers": lambda dim: ss.LevelSet(lambda w: torch.where(norm(w) < 1.0, -1, 1)),
    "steeper than a step": lambda dim: ss.LevelSet(lambda w: torch.tanh(1000.0 * (norm(w) - 1.0))),
    "a plateau": lambda dim: ss.LevelSet(lambda w: (norm(w) - 1.0).clamp(min=-0.01)),
    "a loss with a plateau": lambda dim: ss.LossBelow(
        ss.LossSurface(lambda w: (1000.0 * (w @ w - 1.0)).sigmoid(), dim), 0.5
    ),
}


@pytest.mark.parametrize("crossing", ["bridge", "shift"])
@pytest.mark.parametrize("name", FLAT_LEVELS)
def test_a_level_without_gradient_where_a_step_leaves_is_refused(name, crossing):
    with pytest.raises(ss.ArgumentError, match=r"no gradient near its boundary.*try crossing: none") as error:
        escape(FLAT_LEVELS[name](2), crossing=crossing)
    assert error.value.name == "region"
    found, expected = (escape(region, crossing="none") for region in (FLAT_LEVELS[name](2), BALL))
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.exit_points, expected.exit_points)


def test_a_level_that_only_touches_zero_is_refused_before_the_run():
    least = ss.LossAbove(quadratic([1.0, 1.0]), 0.0)
    for region in (least, ss.LevelSet(lambda w: -((norm(w) - 1.0) ** 2)), ss.LevelSet(lambda w: -((w @ w - 1.0) ** 4))):
        for crossing in ("bridge", "shift"):
            with pytest.raises(ss.ArgumentError, match=r"region: .*rises to 0 near .* and falls again"):
                escape(region, crossing=crossing)
    escape(ss.LossAbove(quadratic([1.0, 1.0]), 1e-4), n_paths=5, t_max=0.1)


@pytest.mark.parametrize("crossing", ["bridge", "shift", "none"])
def test_where_a_level_is_not_a_number_a_path_has_failed(crossing):
    root = ss.LevelSet(lambda w: -(1.0 - norm(w)).sqrt())
    result = escape(root, crossing=crossing)
    outside = escape(BALL, crossing="none")
    failed = result.outcome == ss.Outcome.FAILED
    assert failed.any()
    assert (result.outcome != ss.Outcome.CENSORED).all()
    np.testing.assert_allclose(result.times[failed], outside.times[failed], rtol=1e-9)
    assert (np.linalg.norm(result.exit_points[failed], axis=1) < 1.0).all()
    assert np.isfinite(result.times).all()
    assert np.isfinite(result.exit_points).all()


@pytest.mark.parametrize("noise", [ss.NoNoise(), ss.IsotropicNoise(2.0)])
@pytest.mark.parametrize("name", [*OF_BALL, *FLAT_LEVELS])
def test_without_noise_in_the_weights_the_straight_line_of_a_step_tells_even_of_a_flat_level(name, noise):
    """In one dimension, where the distance to the centre is linear along a step."""
    region = FLAT_LEVELS[name](1) if name in FLAT_LEVELS else ss.LevelSet(OF_BALL[name])
    momentum = 0.9 if noise.largest_variance() else 0.0
    dynamics = ss.SGD(quadratic([-1.0]), noise, lr=0.05, batch_size=4, momentum=momentum)
    options = {"start": [0.2], "dt": 0.05, "n_paths": 100, "t_max": 60.0, "dtype": "float64"}
    found, expected = (escape(each, dynamics, **options) for each in (region, ss.Ball([0], 1.0)))
    assert (expected.outcome == ss.Outcome.ESCAPED).all()
    np.testing.assert_allclose(found.times, expected.times, atol=1e-5 * 0.05)
    np.testing.assert_allclose(np.abs(found.exit_points), 1.0, atol=1e-5)


def test_a_critical_point_at_the_start_has_no_normal_and_needs_none():
    """The first steps are long beside the region: many paths leave in them, from where the gradient is zero."""
    found, expected = (
        escape(region, start=[0, 0], dt=0.5) for region in (ss.LevelSet(OF_BALL["flat at the centre"]), BALL)
    )
    assert (found.outcome == ss.Outcome.ESCAPED).all()
    assert np.mean(expected.times < 0.5) > 0.3
    np.testing.assert_allclose(np.linalg.norm(found.exit_points, axis=1), 1.0, atol=1e-5)
    assert abs(found.times.mean() / expected.times.mean() - 1) < 0.1


def test_an_exit_point_may_fall_on_the_boundary_itself_where_a_cube_is_flat():
    """Noise that is the same in all directions moves the point along the normal, right to the boundary."""
    cube, dynamics = ss.LevelSet(OF_BALL["flat at the boundary"]), ss.SGD(FLAT, ss.IsotropicNoise(1.0), lr=1.0)
    found, expected = (escape(region, dynamics, dt=0.1, n_paths=4000) for region in (cube, BALL))
    np.testing.assert_allclose(found.exit_points, expected.exit_points, atol=1e-3)
