"""Which states are so near the boundary that a step which begins or ends there may cross it."""

import torch

from sam_sde.dynamics import times
from sam_sde.engines.problem import EscapeProblem
from sam_sde.layout import row_sum
from sam_sde.regions.crossing import bridge_reach, shift_distance
from sam_sde.regions.distance import unit

# Normal and noise vary along a step, and a bridge has those of its start.
MARGIN = 1.5


def rounding_of_levels(problem: EscapeProblem, w: torch.Tensor) -> torch.Tensor | float:
    """By how much levels at w and near it may be wrong since states are rounded, (paths, 1); 0 where not known."""
    slope = problem.state_region.slope
    return 0.0 if slope is None else (slope * torch.finfo(w.dtype).eps) * row_sum(w.abs())


def distance_variance(problem: EscapeProblem, t, w: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """v·dt = |gᵀn|²·dt (paths,), at states w and the times t, a number or (paths, 1)."""
    return problem.dynamics.g_transpose_prod(times(t, w), w, normal).square().sum(-1) * problem.dt


def near_by_distance(problem: EscapeProblem, t, w: torch.Tensor) -> torch.Tensor:
    """Of each face (paths, faces), whether w is within the distance that counts for the crossing, or is outside.

    For "shift" that is the shift itself. The level has a gradient, but is no distance: whether the boundary is near is
    seen by going there.
    """
    region = problem.state_region
    columns = [region.levels(w)[:, face] >= 0 for face in range(region.faces)]
    for face in range(region.faces):
        normal = unit(region.normal(w, torch.full_like(w[:, 0], face, dtype=torch.int64)).to(w))
        variance = distance_variance(problem, t, w, normal)
        distance = shift_distance(variance) if problem.crossing == "shift" else MARGIN * bridge_reach(variance)
        moved = w + distance.to(w)[:, None] * normal
        columns[face] = columns[face] | (region.levels(moved)[:, face] >= 0)
    return torch.stack(columns, dim=-1)
