"""How far regions extend along rays, against closed forms and against each other."""

import math

import pytest
import torch

from sam_sde.regions import Ball, Box, LevelSet, LossAbove, LossBelow, Region, Slab, UnstableDistance
from sam_sde.surfaces import quadratic

CIRCLE = torch.linspace(0, 2 * math.pi, 65, dtype=torch.float64)[:-1]
DIRECTIONS = torch.stack([CIRCLE.cos(), CIRCLE.sin()], dim=1)
INFINITE = torch.full((64,), math.inf, dtype=torch.float64)


def along_rays(region: Region, inside, farthest) -> torch.Tensor:
    """What a search finds, where a region has a closed form of its own."""
    return Region._distances(region, torch.tensor(inside, dtype=torch.float64), DIRECTIONS, farthest)


@pytest.mark.parametrize(
    ("region", "inside"),
    [
        (Ball([1, 2], 0.5), [1.3, 1.9]),
        (Ball([0, 0], 1.0), [1 - 1e-9, 0.0]),
        (Slab([1, 2], [3, 4], 0.5), [1.0, 2.3]),
        (Box([-1, -2], [3, 0.5]), [2.9, -1.5]),
    ],
    ids=["ball", "ball, beside its boundary", "slab", "box"],
)
def test_closed_forms_end_on_the_boundary_and_are_what_a_search_finds(region, inside):
    found = region.extent(inside, DIRECTIONS, 50.0)
    assert found.shape == (64,)
    met = torch.isfinite(found)
    ends = torch.tensor(inside, dtype=torch.float64) + found[met, None] * DIRECTIONS[met]
    assert region.levels(ends).amax(-1).abs().max() < 1e-12
    torch.testing.assert_close(found, along_rays(region, inside, 50.0), rtol=1e-9, atol=1e-11)


def test_from_its_centre_a_ball_extends_by_its_radius():
    assert torch.equal(Ball([1, 2], 0.5).extent([1, 2], DIRECTIONS, 9.0), torch.full_like(CIRCLE, 0.5))


def test_a_slab_is_infinite_along_itself():
    found = Slab([0, 0], [0, 1], 0.5).extent([7.0, 0.2], torch.eye(2), 1e9)
    torch.testing.assert_close(found, torch.tensor([math.inf, 0.3], dtype=torch.float64))


def test_a_search_finds_ellipses_and_hyperbolas_of_the_loss():
    """ℓ = (w₀² ± 4 w₁²)/2 reaches 2 where |s| = 2/√(cos² ± 4 sin²), and never where that is negative."""
    c, s = DIRECTIONS.square().unbind(-1)
    ellipse = LossBelow(quadratic([1.0, 4.0]), 2.0).extent([0.0, 0.0], DIRECTIONS, 100.0)
    torch.testing.assert_close(ellipse, 2 / (c + 4 * s).sqrt(), rtol=1e-9, atol=0)
    form = c - 4 * s
    saddle = quadratic([1.0, -4.0])
    for region, sign in ((LossBelow(saddle, 2.0), 1.0), (LossAbove(saddle, -2.0), -1.0)):
        expected = torch.where(sign * form > 0, 2 / (sign * form).clamp(min=0).sqrt(), math.inf)
        found = region.extent([0.0, 0.0], DIRECTIONS, 100.0)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_a_strip_around_the_unstable_direction_is_infinite_across():
    found = UnstableDistance(quadratic([1.0, -1.0]), [0, 0], 0.7).extent([5.0, 0.2], torch.eye(2), 1e3)
    torch.testing.assert_close(found, torch.tensor([math.inf, 0.5], dtype=torch.float64), rtol=1e-9, atol=0)


@pytest.mark.parametrize("distance", [1e-12, 3e-7, 2e-3, 0.7, 99.9])
def test_a_search_finds_near_and_far_boundaries(distance):
    half_plane = LevelSet(lambda w: w[0] - distance)
    found = half_plane.extent([0.0, 0.0], torch.eye(2), 100.0)
    torch.testing.assert_close(found[0].item(), distance, rtol=1e-9, atol=1e-13)
    assert found[1] == math.inf


def test_what_is_beyond_the_farthest_is_infinite():
    for region in (Ball([0, 0], 2.0), Box([-2, -2], [2, 2]), LevelSet(lambda w: w.square().sum() - 4.0)):
        assert torch.equal(region.extent([0.0, 0.0], DIRECTIONS, 1.9), INFINITE)


def test_bad_arguments_are_refused():
    ball = Ball([0, 0], 1.0)
    with pytest.raises(ValueError, match=r"inside: expected a point inside the region Ball.*, got \[2"):
        ball.extent([2.0, 0.0], DIRECTIONS, 9.0)
    with pytest.raises(ValueError, match="inside: expected 2 numbers"):
        ball.extent([0.0], DIRECTIONS, 9.0)
    with pytest.raises(ValueError, match="farthest: expected a number above 0"):
        ball.extent([0.0, 0.0], DIRECTIONS, 0.0)
