"""Distances along the gradient are those of closed forms, whatever the level's scale and shape."""

import math

import pytest
import torch

from sam_sde.errors import ArgumentError
from sam_sde.regions import Ball, LevelSet, Region
from sam_sde.regions.distance import (
    is_flat,
    require_gradient,
    segment_crossing,
    signed_distance,
    step_normals,
    unit_normals,
)

norm = torch.linalg.vector_norm
SHAPES = {
    "distance": lambda x: x,
    "large": lambda x: 1e30 * x,
    "small": lambda x: 1e-30 * x,
    "cube": lambda x: x**3,
    "exponential": lambda x: torch.expm1(3 * x),
    "bounded": lambda x: torch.atan(2 * x),
    "root": lambda x: x.sign() * x.abs().sqrt(),
}


def points(dtype=torch.float64) -> torch.Tensor:
    return 1.2 * torch.randn(200, 3, generator=torch.manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SHAPES)
def test_the_distance_to_a_sphere(name, dtype):
    region = LevelSet(lambda w: SHAPES[name](norm(w) - 1.5))
    w, face = points(dtype), torch.zeros(200, dtype=torch.int64)
    normal = unit_normals(region, w, face)
    torch.testing.assert_close(normal, w / w.norm(dim=1, keepdim=True), atol=1e-6, rtol=1e-5)
    farthest = torch.full((200,), 1.0)
    expected = (1.5 - w.norm(dim=1)).double()
    found = signed_distance(region, w, face, normal, farthest)
    near = expected.abs() < 0.999
    assert near.sum() > 100
    torch.testing.assert_close(found[near], expected[near], atol=1e-4, rtol=1e-4)
    far = expected.abs() > 1.001
    assert torch.equal(found[far], expected[far].sign() * math.inf)


def test_a_segment_leaves_where_it_meets_the_sphere():
    """The root of |w0 + u (w1 - w0)| = r, for a level with a gradient and one without."""
    w1 = points()
    w1 = w1[w1.norm(dim=1) > 1.5]
    w0, face = 0.1 * w1.flip(0), torch.zeros(len(w1), dtype=torch.int64)
    move = w1 - w0
    a, b, c = (move**2).sum(1), (w0 * move).sum(1), (w0**2).sum(1) - 1.5**2
    expected = (-b + (b * b - a * c).sqrt()) / a
    for level in (lambda w: norm(w) - 1.5, lambda w: torch.where(norm(w) < 1.5, -1.0, 1.0)):
        torch.testing.assert_close(segment_crossing(LevelSet(level), w0, w1, face), expected, atol=1e-6, rtol=0.0)


def test_there_is_no_normal_where_the_gradient_is_zero_or_no_number():
    face = torch.zeros(2, dtype=torch.int64)
    w, after = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [3.0, 5.0]])
    for level in (lambda w: w @ w - 1.0, lambda w: (w @ w).sqrt() - 1.0, lambda w: (w @ w).log()):
        normal = unit_normals(LevelSet(level), w, face)
        assert is_flat(normal).tolist() == [True, False]
        torch.testing.assert_close(normal[1], torch.tensor([0.6, 0.8]))
        torch.testing.assert_close(step_normals(LevelSet(level), w, after, face)[0], torch.tensor([1.0, 0.0]))


def test_what_has_no_gradient_at_its_boundary_is_refused_and_nothing_else():
    start = torch.full((1, 3), 0.1, dtype=torch.float64)
    for shape in SHAPES.values():
        require_gradient(LevelSet(lambda w, shape=shape: shape(norm(w) - 1.5)), start, "bridge")
    require_gradient(LevelSet(lambda w: -1.0 - 0.0 * w.sum()), start, "bridge")  # no boundary
    with pytest.raises(ArgumentError, match=r"region: .*no gradient near its boundary.* try crossing: none"):
        require_gradient(LevelSet(lambda w: torch.where(norm(w) < 1.5, -1.0, 1.0)), start, "shift")
    with pytest.raises(ArgumentError, match=r"region: .*rises to 0 near .* falls again"):
        require_gradient(LevelSet(lambda w: -((norm(w) - 1.5) ** 2)), start, "bridge")


def test_the_normal_of_a_region_of_ones_own_is_the_gradient_of_the_face_that_is_asked_for():
    class Own(Region):
        faces = 2

        def levels(self, w):
            return torch.stack([w[:, 0] ** 2 - 4.0, 3.0 * w[:, 1] - w[:, 0]], dim=-1)

    w, face = points()[:6], torch.tensor([0, 1, 0, 1, 1, 0])
    expected = torch.where(
        face[:, None] == 0,
        torch.stack([2 * w[:, 0], 0 * w[:, 0], 0 * w[:, 0]], dim=-1),
        torch.tensor([-1.0, 3.0, 0.0], dtype=torch.float64),
    )
    torch.testing.assert_close(Own().normal(w, face), expected)
    torch.testing.assert_close(
        Ball([0, 0, 0], 1.0).normal(w, face * 0), Region.normal(Ball([0, 0, 0], 1.0), w, face * 0)
    )
