"""One step of a problem, as a function of tensors that any compiler can have."""

import math
from collections.abc import Callable

import torch

from sam_sde.dynamics import times
from sam_sde.engines.discrete.engine import gaussian_step
from sam_sde.engines.integration import Integration
from sam_sde.engines.methods import increments
from sam_sde.engines.nearness import near_by_distance, rounding_of_levels
from sam_sde.regions.crossing import NEGLIGIBLE_EXPONENT, shift_distance


def step_of(problem: Integration) -> Callable:
    """(anchor, moved (paths, dim), z (paths, channels), number of the step (), nearest (paths,)) to the next two last.

    The state is anchor + moved; the next one has the same anchor, so that far from zero small steps are not lost.
    `nearest` becomes 0 or more where a step may have crossed.
    """

    def move(t: torch.Tensor, anchor: torch.Tensor, moved: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        drift, noise = increments(problem.method, problem.dynamics, t, anchor + moved, z, problem.dt)
        return moved + drift + noise

    return _step(problem, move)


def algorithm_step_of(problem: Integration) -> Callable:
    """The same of the optimizer's own step, which is taken in float64."""

    def move(t: torch.Tensor, anchor: torch.Tensor, moved: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        state = anchor.double() + moved.double()
        time = times(t, state)
        ahead = problem.dynamics.choose(t, lambda active: gaussian_step(active, time, state, z[:, : active.channels]))
        return (ahead - anchor.double()).to(moved)

    return _step(problem, move)


def _step(problem: Integration, move: Callable) -> Callable:
    """By what `move` makes of (time, anchor, moved, z): the next `moved`."""
    nearness = _nearness(problem)

    def take(anchor: torch.Tensor, moved: torch.Tensor, z: torch.Tensor, step: torch.Tensor, nearest: torch.Tensor):
        t, before = step.double() * problem.dt, anchor + moved
        moved = move(t, anchor, moved, z)
        return moved, torch.maximum(nearest, nearness(t, before, anchor + moved, anchor))

    return take


def _nearness(problem: Integration) -> Callable:
    """Of a step from `before` to `after` (paths, dim), a number (paths,): 0 or more for every one that crosses.

    Its last argument are states near both, that are the same in several steps: those by which the rounding is judged.
    """
    dynamics, region = problem.dynamics, problem.state_region
    if region is None:
        return lambda t, before, after, near: torch.full_like(before[:, 0], -1.0)

    def levels(w: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        return region.levels(w) + rounding_of_levels(problem, near)

    reach = problem.reach
    if math.isfinite(reach):
        return lambda t, before, after, near: (
            torch.maximum(levels(before, near), levels(after, near)).amax(-1).to(before) + reach
        )
    if problem.by_distance:
        return lambda t, before, after, near: _signs(
            near_by_distance(problem, t, before)
            | near_by_distance(problem, t + problem.dt, after)
            | region.levels(after).isnan()
        ).to(before)

    def variance(t: torch.Tensor, w: torch.Tensor, face: int) -> torch.Tensor:
        normal = region.normal(w, torch.full_like(w[:, 0], face, dtype=torch.int64))
        # 1e-4 more, so that rounding in float32 excludes nothing.
        return 1.0001 * problem.dt * dynamics.g_transpose_prod(times(t, w), w, normal).square().sum(-1)

    def nearness(t: torch.Tensor, before: torch.Tensor, after: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        level0, level1 = levels(before, near), levels(after, near)
        possible = (level1 >= 0).any(-1)
        for face in range(region.faces):
            if problem.crossing == "bridge":
                exponent = 2.0 * level0[:, face] * level1[:, face]
                possible = possible | (exponent < NEGLIGIBLE_EXPONENT * variance(t, before, face))
            else:
                possible = possible | (level1[:, face] >= -shift_distance(variance(t + problem.dt, after, face)))
        return _signs(possible[:, None]).to(before)

    return nearness


def _signs(possible: torch.Tensor) -> torch.Tensor:
    """1 for each row of (paths, faces) in which anything is possible, else -1."""
    return torch.where(possible.any(-1), 1.0, -1.0)
