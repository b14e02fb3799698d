"""Level functions are negative inside and their normals are their gradients."""

import pytest
import torch

from sam_sde.regions import Ball, Box, LevelSet, LossAbove, LossBelow, Slab, UnstableDistance
from sam_sde.surfaces import beale, quadratic

SADDLE = quadratic([2.0, -1.0, -0.5], rotation=30.0)
REGIONS = {
    "ball": (Ball([0, 1, 0], 2.0), 2.0),
    "slab": (Slab([0, 0, 0], [3, 0, 4], 1.0), 1.0),
    "box": (Box([-1, -2, -3], [1, 2, 3]), 1.0),
    "loss below": (LossBelow(SADDLE, 1.0), None),
    "loss above": (LossAbove(SADDLE, -1.0), None),
    "unstable": (UnstableDistance(SADDLE, [0, 0, 0], 0.7), 0.7),
    "level set": (LevelSet(lambda w: (w**4).sum() - 1.0), None),
}


@pytest.fixture
def w():
    return torch.randn(50, 3, generator=torch.manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", REGIONS)
def test_normals_are_the_gradients_of_the_levels(name, w):
    region, _ = REGIONS[name]
    step = 1e-6
    for face in range(region.faces):
        normal = region.normal(w, torch.full((len(w),), face))
        for i, axis in enumerate(torch.eye(3, dtype=torch.float64)):
            slope = (region.levels(w + step * axis) - region.levels(w - step * axis))[:, face] / (2 * step)
            torch.testing.assert_close(normal[:, i], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["ball", "slab", "box", "unstable"])
def test_a_region_given_by_distances_has_normals_of_length_one_everywhere(name, w):
    region, _ = REGIONS[name]
    w = torch.cat([w, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)])
    for face in range(region.faces):
        length = region.normal(w, torch.full((len(w),), face)).norm(dim=-1)
        torch.testing.assert_close(length, torch.ones_like(length))
    assert region.slope == 1.0


@pytest.mark.parametrize("name", REGIONS)
def test_a_start_outside_is_an_error_that_says_where(name):
    region, _ = REGIONS[name]
    inside, outside = torch.zeros(4, 3), torch.full((4, 3), 9.0) * torch.tensor([1.0, 2.0, 3.0])
    if name == "loss above":
        outside = outside.flip(-1) * torch.tensor([0.0, 1.0, 1.0])
    if name == "loss below":
        outside = outside * torch.tensor([1.0, 0.0, 0.0])
    region.check_start(inside)
    with pytest.raises(ValueError, match="start: 4 of 4 paths start outside the region"):
        region.check_start(outside)


def test_the_unstable_distance_is_along_the_eigenvectors_of_negative_eigenvalues():
    region = UnstableDistance(beale(), [0.0, 1.0], 0.5)
    w = torch.tensor([[0.3, 0.7], [0.3, 1.3]], dtype=torch.float64)
    torch.testing.assert_close(
        region.levels(w)[:, 0] + 0.5, torch.tensor([0.3 * 2**0.5, 0.0], dtype=torch.float64), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ball([0, 0], 0), "radius: expected a number above 0"),
        (lambda: Ball([], 1), "centre"),
        (lambda: Slab([0, 0], [0, 0], 1), "direction: expected a vector that is not zero"),
        (lambda: Slab([0, 0], [1], 1), "direction: expected 2 numbers"),
        (lambda: Box([0, 1], [1, 1]), "low"),
        (lambda: UnstableDistance(quadratic([1.0, 2.0]), [0, 0], 1), "no unstable direction"),
        (lambda: UnstableDistance(beale(), [1, 1], 1), "no critical point"),
        (lambda: LevelSet("x"), "level: expected a function"),
        (lambda: LossBelow(beale(), float("nan")), "level"),
    ],
)
def test_impossible_regions_say_why(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("region", [Ball([0, 0], 1), Box([-1, -1], [1, 1]), UnstableDistance(beale(), [0, 1], 1)])
def test_a_region_of_another_dimension_is_refused(region):
    with pytest.raises(ValueError, match="made for 2 coordinates, but a state has 3"):
        region.check_start(torch.zeros(1, 3))
