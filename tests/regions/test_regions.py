"""Level functions are negative inside and their normals are their gradients."""

import itertools
import re

import pytest
import torch

from sam_sde.regions import Ball, Box, LevelSet, LossAbove, LossBelow, Region, Slab, UnstableDistance
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


def own(levels, **attributes) -> Region:
    """A region of one's own with these levels."""
    return type("Own", (Region,), {"levels": lambda self, w: levels(w), **attributes})()


def counting():
    calls = itertools.count()
    return lambda w: w.norm(dim=-1, keepdim=True) - 2.0 - next(calls)


def writing(w):
    w /= 4.0
    return w.norm(dim=-1, keepdim=True) - 2.0


def writing_to_its_own():
    kept = torch.ones(1)

    def levels(w):
        kept.mul_(2.0)
        return w.norm(dim=-1, keepdim=True) - kept

    return levels


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (own(lambda w: w.norm(dim=-1) - 2.0), "region: expected levels of the shape (paths, faces) = (4, 1), got (4,)"),
        (own(lambda w: w - 2.0), "region: expected levels of the shape (paths, faces) = (4, 1), got (4, 3)"),
        (own(lambda w: [[-1.0]] * 4), "region: expected a tensor of levels, got list"),
        (
            own(lambda w: w[:, :1] > 2.0),
            "region: expected levels that are real numbers, negative inside, got torch.bool",
        ),
        (own(lambda w: w.nothing), "region: the levels of Own failed at the start, "),
        (own(writing), "region: the levels of Own write into the weights; try without in-place operations"),
        (own(writing_to_its_own()), "region: the levels of Own differ from call to call, -2 and then -4 at the first"),
        (own(counting()), "region: the levels of Own differ from call to call, -2 and then -3 at the first"),
        (own(lambda w: torch.rand(4, 1) - 2.0), "region: the levels of Own differ from call to call, "),
        (
            own(lambda w: 100.0 * (w[:, :1] - 2.0), slope=1.0),
            "region: Own says that its slope is 1, but at the start the gradient of its level has the length 100",
        ),
        (LevelSet(lambda w: w.sum() > 1.0), "level: expected a real number that is negative inside, got torch.bool"),
        (LevelSet(lambda w: -1.0), "level: expected a scalar for one vector, got float; compute it by torch from w"),
        (LevelSet(lambda w: w - 1.0), "level: expected a scalar for one vector, got the shape (3,)"),
        (LevelSet(lambda w: w.div_(4.0).norm() - 2.0), "region: the levels of LevelSet write into the weights"),
        (LevelSet(lambda w: w.norm() + torch.nan), "start: 4 of 4 paths start outside the region"),
    ],
)
def test_levels_that_cannot_be_used_say_why_at_the_start(region, message):
    w = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        region.check_start(w)
    assert not w.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_of_another_dtype_or_scale_are_fine(dtype):
    w = torch.full((4, 3), 0.1, dtype=dtype)
    two = torch.tensor(2.0, dtype=torch.float64)
    for region in (
        own(lambda w: w.norm(dim=-1, keepdim=True) - two[None, None]),
        own(lambda w: 1e-30 * (w.norm(dim=-1, keepdim=True) - 2.0)),
        own(lambda w: 100.0 * (w.norm(dim=-1, keepdim=True) - 2.0), slope=100.0),
        LevelSet(lambda w: w.norm() - two),
        LevelSet(lambda w: torch.where(w.norm() < 2.0, -1, 1)),
    ):
        region.check_start(w)
        assert region.normal(w, torch.zeros(4, dtype=torch.int64)).dtype == dtype
