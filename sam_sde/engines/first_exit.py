"""The first exit of each path within a chunk of steps: which step, when inside it, and where."""

from typing import NamedTuple

import torch

from sam_sde.engines.integration import Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.layout import row_sum
from sam_sde.random import Purpose
from sam_sde.regions.crossing import (
    bridge_probability,
    crossing_fraction,
    shift_distance,
)


class Exits(NamedTuple):
    """One row for each path that left: its row in the chunk, the step's index, its fraction, the exit point."""

    row: torch.Tensor
    step: torch.Tensor
    fraction: torch.Tensor
    point: torch.Tensor


class _Candidates(NamedTuple):
    """Steps that may cross a face: indices, the states at both ends, levels in float64."""

    step: torch.Tensor
    row: torch.Tensor
    face: torch.Tensor
    w0: torch.Tensor
    w1: torch.Tensor
    level0: torch.Tensor
    level1: torch.Tensor

    def only(self, chosen: torch.Tensor) -> "_Candidates":
        return _Candidates(*(column[chosen] for column in self))


def first_exits(
    problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, first_step: int, n_valid: torch.Tensor
) -> Exits:
    """The first exits in a chunk of states (steps + 1, paths, dim).

    n_valid (paths,): number of steps of each path that count; 0 for a path that is finished, fewer than all for one
    whose state becomes NaN or infinite.
    """
    states = chunk.states
    if not states.shape[1]:
        return _none(states)
    candidates = _candidates(problem, chunk, states, n_valid)
    if not len(candidates.step):
        return _none(states)
    if problem.crossing == "bridge":
        crossed = _bridge_crossings(problem, candidates, paths, first_step)
    elif problem.crossing == "shift":
        crossed = _shift_crossings(problem, candidates, first_step)
    else:
        crossed = candidates.level1 >= 0
    crossed = candidates.only(crossed)
    if not len(crossed.step):
        return _none(states)
    first = torch.full_like(n_valid, len(states)).scatter_reduce_(0, crossed.row, crossed.step, "amin")
    crossed = crossed.only(crossed.step == first[crossed.row])
    if problem.crossing == "bridge":
        return _bridge_exits(problem, crossed, paths, first_step)
    # Two faces crossed in one step end in the same state, so any one of the rows will do.
    row, position = _first_of_each(crossed.row)
    return Exits(row, crossed.step[position], torch.ones_like(row, dtype=torch.float64), crossed.w1[position])


def _none(states: torch.Tensor) -> Exits:
    """No exits; losses and levels are never asked about no states at all, which torch's vmap refuses."""
    index = torch.empty(0, dtype=torch.int64, device=states.device)
    return Exits(index, index, index.double(), states[0, :0])


def _candidates(problem: EscapeProblem, chunk: Chunk, states: torch.Tensor, n_valid: torch.Tensor) -> _Candidates:
    """All steps whose crossing cannot be excluded by the levels and the largest variance of the noise.

    states: those of the chunk, rounded.
    """
    n_steps, dim = len(states) - 1, states.shape[2]
    level = problem.state_region.levels(states.reshape(-1, dim)).reshape(n_steps + 1, states.shape[1], -1)
    near = level >= -problem.reach - rounding_of_levels(problem, states[0])
    step, row, face = (near[:-1] | near[1:]).nonzero(as_tuple=True)
    level0, level1 = (_level(problem, chunk, states, level, at, row, face) for at in (step, step + 1))
    # A path is surely out from the first step that ends outside: later ones need no look.
    surely_out = n_valid.clone().scatter_reduce_(0, row, torch.where(level1 >= 0, step + 1, n_steps), "amin")
    wanted = step < surely_out[row]
    step, row, face = step[wanted], row[wanted], face[wanted]
    return _Candidates(
        step,
        row,
        face,
        states[step, row],
        states[step + 1, row],
        level0[wanted],
        level1[wanted],
    )


def rounding_of_levels(problem: EscapeProblem, w: torch.Tensor) -> torch.Tensor | float:
    """By how much levels at w and near it may be wrong since states are rounded, (paths, 1); 0 where not known."""
    slope = problem.state_region.slope
    return 0.0 if slope is None else (slope * torch.finfo(w.dtype).eps) * row_sum(w.abs())


def _level(problem: EscapeProblem, chunk: Chunk, states, level, step, row, face) -> torch.Tensor:
    """The levels in float64, and where they are distances to first order in what rounding took from the states."""
    region, rounded = problem.state_region, level[step, row, face].double()
    if states.dtype == torch.float64 or region.slope is None or not len(row):
        return rounded
    w = states[step, row]
    return rounded + (region.normal(w, face) * (chunk.exact(step, row) - w)).sum(-1)


def _variance(problem: EscapeProblem, w: torch.Tensor, step: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """v·dt = |gᵀ∇φ|²·dt in float64, at states w of the steps `step`."""
    normal = problem.state_region.normal(w, face)
    along = problem.dynamics.g_transpose_prod(_times(problem, w, step), w, normal)
    return along.double().square().sum(-1) * problem.dt


def _times(problem: EscapeProblem, w: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Times (paths, 1) in the dtype of the states w, for products with them to keep it."""
    return (step.double() * problem.dt).to(w)[:, None]


def _bridge_crossings(problem, candidates: _Candidates, paths: torch.Tensor, first_step: int) -> torch.Tensor:
    step = first_step + candidates.step
    variance = _variance(problem, candidates.w0, step, candidates.face)
    probability = bridge_probability(candidates.level0, candidates.level1, variance)
    uniform = problem.stream.uniforms(Purpose.CROSSING, paths[candidates.row], step, candidates.face)
    return uniform < probability


def _shift_crossings(problem, candidates: _Candidates, first_step: int) -> torch.Tensor:
    variance = _variance(problem, candidates.w1, first_step + candidates.step + 1, candidates.face)
    return candidates.level1 >= -shift_distance(variance)


def _bridge_exits(problem, crossed: _Candidates, paths: torch.Tensor, first_step: int) -> Exits:
    """Draws the time of each crossing, keeps the earliest face of each path, and draws the exit point."""
    step, path = first_step + crossed.step, paths[crossed.row]
    fraction = crossing_fraction(
        crossed.level0,
        crossed.level1,
        _variance(problem, crossed.w0, step, crossed.face),
        problem.stream.normals(Purpose.CROSSING_TIME, path, step, 2 * crossed.face),
        problem.stream.uniforms(Purpose.CROSSING_TIME, path, step, 2 * crossed.face + 1),
    )
    earliest = torch.full((len(paths),), 2.0, dtype=torch.float64, device=paths.device)
    earliest.scatter_reduce_(0, crossed.row, fraction, "amin")
    is_earliest = fraction == earliest[crossed.row]
    crossed, fraction = crossed.only(is_earliest), fraction[is_earliest]
    row, position = _first_of_each(crossed.row)
    crossed, fraction = crossed.only(position), fraction[position]
    point = _exit_point(problem, crossed, fraction, paths[row], first_step + crossed.step)
    return Exits(row, crossed.step, fraction, point)


def _exit_point(problem, crossed: _Candidates, fraction, path, step) -> torch.Tensor:
    """The bridge at the time of crossing, given that its level is then 0.

    The bridge at fraction u has mean w₀ + u(w₁-w₀) and covariance u(1-u)dt·ggᵀ; conditioning on the level moves it
    along ggᵀ∇φ/v. Newton steps along the normal then put it on a curved boundary.
    """
    dynamics, region, t = problem.dynamics, problem.state_region, _times(problem, crossed.w0, step)
    channel = torch.arange(dynamics.channels, device=path.device)
    z = problem.stream.normals(Purpose.EXIT_POINT, path[:, None], step[:, None], channel).to(crossed.w0)
    u = fraction.to(crossed.w0)[:, None]
    spread = (u * (1.0 - u) * problem.dt).sqrt()
    point = crossed.w0 + u * (crossed.w1 - crossed.w0) + spread * dynamics.g_prod(t, crossed.w0, z)
    along = dynamics.g_transpose_prod(t, crossed.w0, region.normal(crossed.w0, crossed.face))
    variance = along.square().sum(-1, keepdim=True)
    conditioned = dynamics.g_prod(t, crossed.w0, along) / variance
    level = region.levels(point).gather(-1, crossed.face[:, None])
    point = point - torch.where(variance > 0, level * conditioned, 0.0)
    for _ in range(2):
        level = region.levels(point).gather(-1, crossed.face[:, None])
        normal = region.normal(point, crossed.face)
        point = point - level * normal / normal.square().sum(-1, keepdim=True)
    return point


def _first_of_each(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The different rows, and where each stands first."""
    different, inverse = torch.unique(row, return_inverse=True)
    position = torch.full_like(different, len(row))
    return different, position.scatter_reduce_(0, inverse, torch.arange(len(row), device=row.device), "amin")
