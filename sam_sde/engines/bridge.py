"""Steps that may cross a face as Brownian bridges of the distance to it: which cross, when, and where."""

from typing import NamedTuple

import torch

from sam_sde.engines.candidates import Candidates, times
from sam_sde.engines.nearness import distance_variance
from sam_sde.engines.problem import EscapeProblem
from sam_sde.random import Purpose
from sam_sde.regions.crossing import bridge_probability, bridge_reach, crossing_fraction
from sam_sde.regions.distance import (
    is_flat,
    no_gradient,
    segment_crossing,
    signed_distance,
    step_normals,
    unit_normals,
)

# A distance that was not found is not 0 where a step begins, for that is inside.
SMALLEST = 1e-9


class Bridges(NamedTuple):
    """The levels at both ends of each candidate, the normal (rows, dim) = ∇φ at its start, and v·dt = |gᵀ∇φ|²·dt.

    Where the region's level is no distance, a distance stands in its place; and where there is no variance, the
    fraction of the straight line, on which such a step crosses.

    farthest: up to where distances are looked for.
    """

    level0: torch.Tensor
    level1: torch.Tensor
    normal: torch.Tensor
    variance: torch.Tensor
    farthest: torch.Tensor

    def only(self, chosen: torch.Tensor) -> "Bridges":
        return Bridges(*(column[chosen] for column in self))


def bridges(problem: EscapeProblem, candidates: Candidates, first_step: int) -> Bridges:
    """Raises ArgumentError where a step leaves from where the level is flat: its distance cannot be found."""
    region, t = problem.state_region, times(problem, candidates.w0, first_step + candidates.step)
    if problem.region.slope is not None:
        normal = region.normal(candidates.w0, candidates.face).to(candidates.w0)
        variance = distance_variance(problem, t, candidates.w0, normal).double()
        return Bridges(candidates.level0, candidates.level1, normal, variance, torch.zeros_like(variance))
    if not problem.by_distance:
        return _straight(problem, candidates)
    return _by_distance(problem, candidates, t)


def _straight(problem: EscapeProblem, candidates: Candidates) -> Bridges:
    """Steps without noise in the weights; only those cross that end outside."""
    w0, w1, face = candidates.w0, candidates.w1, candidates.face
    zero = torch.zeros_like(candidates.level0)
    fraction = torch.where(
        candidates.level1 >= 0, segment_crossing(problem.state_region, w0, w1, face), torch.full_like(zero, 2.0)
    )
    return Bridges(-fraction, 1.0 - fraction, torch.zeros_like(w0), zero, zero)


def _by_distance(problem: EscapeProblem, candidates: Candidates, t: torch.Tensor) -> Bridges:
    region, w0, w1, face = problem.state_region, candidates.w0, candidates.w1, candidates.face
    normal0, normal1 = step_normals(region, w0, w1, face), unit_normals(region, w1, face)
    require_normals(problem, candidates, normal0)
    normal = torch.where(is_flat(normal0)[:, None], normal1, normal0)
    variance = distance_variance(problem, t, w0, normal).double()
    advance = ((w1 - w0) * normal).sum(-1).double()
    farthest = 2.0 * bridge_reach(variance) + advance.abs()
    ends = (torch.cat(pair) for pair in ((w0, w1), (face, face), (normal0, normal1), (farthest, farthest)))
    distance0, distance1 = signed_distance(region, *ends).chunk(2)
    # Where a ray meets no boundary, the plane that the other one met.
    level0 = -torch.where(distance0.isfinite(), distance0, distance1 + advance)
    level1 = -torch.where(distance1.isfinite(), distance1, distance0 - advance)
    smallest = SMALLEST * farthest
    level0 = torch.minimum(level0, -smallest)
    level1 = torch.where(candidates.level1 >= 0, level1.clamp(min=0.0), torch.minimum(level1, -smallest))
    straight = (variance == 0) | ~level0.isfinite() | ~level1.isfinite()
    if not straight.any():
        return Bridges(level0, level1, normal, variance, farthest)
    lines = _straight(problem, candidates)
    choose = lambda one, other: torch.where(straight, one, other)  # noqa: E731
    return Bridges(
        choose(lines.level0, level0), choose(lines.level1, level1), normal, choose(lines.variance, variance), farthest
    )


def require_normals(problem: EscapeProblem, candidates: Candidates, normal: torch.Tensor) -> None:
    """Raises ArgumentError where a step leaves from a place without a normal."""
    lost = is_flat(normal) & (candidates.level1 >= 0)
    if lost.any():
        weights = problem.dynamics.weights(candidates.w0[lost][0])
        raise no_gradient(problem.region, weights, problem.crossing)


def crossed(problem: EscapeProblem, candidates: Candidates, found: Bridges, paths, first_step: int) -> torch.Tensor:
    """Whether each bridge crosses; its uniform is keyed by path, step and face."""
    probability = bridge_probability(found.level0, found.level1, found.variance)
    step, path = first_step + candidates.step, paths[candidates.row]
    return problem.stream.uniforms(Purpose.CROSSING, path, step, candidates.face) < probability


def fractions(problem: EscapeProblem, candidates: Candidates, found: Bridges, paths, first_step: int) -> torch.Tensor:
    """When each bridge crosses, as a fraction of the step."""
    step, path = first_step + candidates.step, paths[candidates.row]
    return crossing_fraction(
        found.level0,
        found.level1,
        found.variance,
        problem.stream.normals(Purpose.CROSSING_TIME, path, step, 2 * candidates.face),
        problem.stream.uniforms(Purpose.CROSSING_TIME, path, step, 2 * candidates.face + 1),
    )


def exit_points(problem: EscapeProblem, candidates: Candidates, found: Bridges, fraction, paths, first_step: int):
    """The bridge at the time of crossing, given that its level is then 0.

    The bridge at fraction u has mean w₀ + u(w₁-w₀) and covariance u(1-u)dt·ggᵀ; conditioning on the level moves it
    along ggᵀ∇φ/v. Steps along the normal then put it on a curved boundary: two of Newton's, or one distance.
    """
    dynamics, w0, step = problem.dynamics, candidates.w0, first_step + candidates.step
    t, path = times(problem, w0, step), paths[candidates.row]
    channel = torch.arange(dynamics.channels, device=path.device)
    z = problem.stream.normals(Purpose.EXIT_POINT, path[:, None], step[:, None], channel).to(w0)
    u = fraction.to(w0)[:, None]
    straight = w0 + u * (candidates.w1 - w0)
    point = straight + (u * (1.0 - u) * problem.dt).sqrt() * dynamics.g_prod(t, w0, z)
    along = dynamics.g_transpose_prod(t, w0, found.normal)
    variance = along.square().sum(-1, keepdim=True)
    conditioned = dynamics.g_prod(t, w0, along) / variance
    level, _ = _gap(problem, candidates, found, point)
    point = point - torch.where(variance > 0, level * conditioned, 0.0)
    for _ in range(1 if problem.region.slope is None else 2):
        level, normal = _gap(problem, candidates, found, point)
        point = point - level * normal / normal.square().sum(-1, keepdim=True)
    if problem.region.slope is None:
        foot = w0 - found.level0.to(w0)[:, None] * found.normal
        point = torch.where((found.variance > 0)[:, None], _finite(point, foot), straight)
    return _finite(point, straight)


def _gap(problem: EscapeProblem, candidates: Candidates, found: Bridges, point: torch.Tensor):
    """The level (rows, 1) that is to become 0, and its gradient."""
    region, face = problem.state_region, candidates.face
    if problem.region.slope is not None:
        return region.levels(point).gather(-1, face[:, None]).to(point), region.normal(point, face).to(point)
    normal = unit_normals(region, point, face)
    normal = torch.where(is_flat(normal)[:, None], found.normal, normal)  # on the boundary itself φ³ is flat
    return -signed_distance(region, point, face, normal, found.farthest).to(point)[:, None], normal


def _finite(point: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.where(point.isfinite().all(-1, keepdim=True), point, other)
