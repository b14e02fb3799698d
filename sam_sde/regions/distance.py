"""Distances to the boundary of a region whose level is no distance, measured along the level's gradient.

Of a level only its sign and the direction of its gradient count here, so that φ, 100 φ and φ³ give the same. They are
found by looking at the level along rays. Shapes: w, directions (rows, dim); face, distances (rows,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.layout import row_sum

if TYPE_CHECKING:
    from sam_sde.regions.region import Region

# A ray is looked at where each distance is twice the last one; where it leaves between two, at halves and then a chord.
DOUBLINGS = 3
HALVINGS = 12

# Any processor's vectors divide so many rows.
ROWS = 32

# A critical point inside, such as the start, has no direction; so far along the step it has one.
BESIDE = 1e-3

# Before a run the boundary is looked for from 1e-3 of the size of the start to 1e3 times that.
DOUBLINGS_AT_START = 20
NEWTON_STEPS = 40
TOUCHES = 1e-9  # of the level at the start
BEYOND = tuple(10.0**-k for k in range(2, 8))  # of the way to there


def level_of(region: Region, w: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """φ(w) of one face, chosen for each row, in the dtype of w."""
    return region.levels(_in_wholes(w)).to(w)[: len(w)].gather(-1, face[:, None])[:, 0]


def unit_normals(region: Region, w: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """∇φ/‖∇φ‖; zeros where the gradient is zero or not finite."""
    return unit(region.normal(_in_wholes(w), _in_wholes(face)).to(w)[: len(w)])


def unit(normal: torch.Tensor) -> torch.Tensor:
    """Gradients as `unit_normals` has them."""
    largest = normal.abs().amax(-1, keepdim=True)
    normal = torch.where((largest > 0) & largest.isfinite(), normal / largest, 0.0)  # its square may overflow
    return torch.where(normal.isfinite().all(-1, keepdim=True) & (largest > 0), normal / _length(normal), 0.0)


def _in_wholes(rows: torch.Tensor) -> torch.Tensor:
    """With the first row repeated to a whole number of the vectors that a processor computes with.

    Torch rounds the powers of the rows that fill none in another way, and how many rows there are should not matter.
    """
    return torch.cat([rows, rows[:1].expand(-len(rows) % ROWS, *rows.shape[1:])])


def step_normals(region: Region, w0: torch.Tensor, w1: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """`unit_normals` at w0, or beside it on the way to w1 where w0 is a critical point of the level."""
    normal = unit_normals(region, w0, face)
    flat = is_flat(normal)
    if flat.any():
        beside = w0[flat] + BESIDE * (w1[flat] - w0[flat])
        normal[flat] = unit_normals(region, beside, face[flat])
    return normal


def is_flat(normal: torch.Tensor) -> torch.Tensor:
    """Where a unit normal is none (rows,)."""
    return (normal == 0).all(-1)


def signed_distance(
    region: Region,
    w: torch.Tensor,
    face: torch.Tensor,
    normal: torch.Tensor,
    farthest: torch.Tensor,
    doublings: int = DOUBLINGS,
) -> torch.Tensor:
    """How far w is from the boundary, outwards along `normal` where w is inside, and as a negative number backwards.

    Float64; infinite, with the sign of the side, where there is no boundary up to `farthest` (rows,) or no normal. It
    is right to 1e-4 of `farthest` where the level is not smooth, and far better where it is.
    """
    side = torch.where(level_of(region, w, face) < 0, 1.0, -1.0).to(w)
    direction = side[:, None] * normal

    def level(distance: torch.Tensor) -> torch.Tensor:
        """Negative on the side of w."""
        at = w + distance.to(w)[:, None] * direction
        return (side * level_of(region, at, face)).double()

    farthest = farthest.double()
    low, high = torch.zeros_like(farthest), torch.full_like(farthest, torch.inf)
    for doubling in range(doublings + 1):
        distance = farthest * 2.0 ** (doubling - doublings)
        inside = ~(level(distance) >= 0)
        searching = high.isinf()
        low = torch.where(searching & inside, distance, low)
        high = torch.where(searching & ~inside, distance, high)
    found = high.isfinite() & ~is_flat(normal)
    distance = _root(level, torch.where(found, low, 0.0), torch.where(found, high, 0.0))
    return side.double() * torch.where(found, distance, torch.inf)


def segment_crossing(region: Region, w0: torch.Tensor, w1: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """The fraction of the way from w0, inside, to w1, outside, at which the straight line leaves; float64."""

    def level(fraction: torch.Tensor) -> torch.Tensor:
        return level_of(region, w0 + fraction.to(w0)[:, None] * (w1 - w0), face).double()

    start = torch.zeros(len(w0), dtype=torch.float64, device=w0.device)
    return _root(level, start, torch.ones_like(start), halvings=2 * HALVINGS)


def _root(
    level: Callable[[torch.Tensor], torch.Tensor], low: torch.Tensor, high: torch.Tensor, halvings: int = HALVINGS
) -> torch.Tensor:
    """Where a level changes its sign, from below 0 at `low` to 0 or more at `high`."""
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        inside = ~(level(middle) >= 0)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    below, above = level(low), level(high)
    part = below / (below - above)
    return low + (high - low) * torch.where((part >= 0) & (part <= 1), part, 0.5)


def _length(vectors: torch.Tensor) -> torch.Tensor:
    return row_sum(vectors.square()).sqrt()


def require_gradient(region: Region, w: torch.Tensor, crossing: str) -> None:
    """Raises ArgumentError where the level is seen to have no gradient at its boundary, or to touch 0 and turn back.

    w (1, dim): inside. Along a few axes all points of the boundary that are found must be flat to count, for a path may
    never come to others.
    """
    for face in range(region.faces):
        _require_slope(region, w, face, crossing)
        _require_change_of_sign(region, w, face, crossing)


def _require_slope(region: Region, w: torch.Tensor, face: int, crossing: str) -> None:
    axes = torch.eye(min(2, w.shape[1]), w.shape[1], dtype=w.dtype, device=w.device)
    directions = torch.cat([axes, -axes])
    start, index = w.expand_as(directions), _index(directions, face)
    size = 1e3 * w.abs().max().double().clamp(min=1.0).expand(len(directions))
    distance = signed_distance(region, start, index, directions, size, DOUBLINGS_AT_START)
    found = distance.isfinite()
    if not found.any():
        return
    inside = start[found] + ((1 - BESIDE) * distance[found]).to(w)[:, None] * directions[found]
    if is_flat(unit_normals(region, inside, index[found])).all():
        raise no_gradient(region, inside[0], crossing)


def _require_change_of_sign(region: Region, w: torch.Tensor, face: int, crossing: str) -> None:
    """Newton's method comes to the boundary even where the level only touches it."""
    index, at = _index(w, face), w
    first = level = level_of(region, w, index)
    normal = step_normals(region, w, w + w.abs().max().clamp(min=1.0), index)
    for _ in range(NEWTON_STEPS):
        gradient = region.normal(at, index).to(w)
        step = -level[:, None] * gradient / row_sum(gradient.square())
        if not level < TOUCHES * first or not step.isfinite().all():
            break
        at, normal = at + step, step / _length(step)
        level = level_of(region, at, index)
    if not TOUCHES * first <= level <= 0:
        return
    way = _length(at - w)
    beyond = torch.cat([at + part * way * normal for part in BEYOND])
    if (level_of(region, beyond, _index(beyond, face)) < 0).all():
        raise ArgumentError(
            "region",
            f"{region}: its level rises to 0 near {shown(at[0, :8].tolist())} and falls again, so that it is negative "
            f"on both sides, which crossing {crossing!r} cannot tell apart; try a level that is positive outside",
        )


def no_gradient(region: Region, w: torch.Tensor, crossing: str) -> ArgumentError:
    """The error of a level that is flat at w (dim,), close to its boundary."""
    return ArgumentError(
        "region",
        f"{region}: its level has no gradient near its boundary, at {shown(w[:8].tolist())}, and crossing {crossing!r} "
        "takes the direction of the boundary from it; try crossing: none, or a level that rises across the boundary "
        "over at least the length of a step",
    )


def _index(w: torch.Tensor, face: int) -> torch.Tensor:
    return torch.full((len(w),), face, dtype=torch.int64, device=w.device)
