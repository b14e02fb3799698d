"""The first exit of each path within a chunk of steps: which step, when inside it, and where."""

from typing import NamedTuple

import torch

from sam_sde.engines.bridge import Bridges, bridges, crossed, exit_points, fractions, require_normals
from sam_sde.engines.candidates import Candidates, candidates_of, times
from sam_sde.engines.integration import Chunk
from sam_sde.engines.nearness import distance_variance, near_by_distance
from sam_sde.engines.problem import EscapeProblem
from sam_sde.regions.crossing import shift_distance
from sam_sde.regions.distance import step_normals


class Exits(NamedTuple):
    """One row for each path that left: its row in the chunk, the step's index, its fraction, the exit point.

    n_valid (paths,): how many steps count of each path of the chunk, where the next one ends without a level.
    """

    row: torch.Tensor
    step: torch.Tensor
    fraction: torch.Tensor
    point: torch.Tensor
    n_valid: torch.Tensor


def first_exits(
    problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, first_step: int, n_valid: torch.Tensor
) -> Exits:
    """The first exits in a chunk of states (steps + 1, paths, dim).

    n_valid (paths,): number of steps of each path that count; 0 for a path that is finished, fewer than all for one
    whose state becomes NaN or infinite.

    Raises
        ArgumentError: the crossing needs a gradient of the level where it has none.
    """
    states = chunk.states
    if not states.shape[1]:
        return no_exits(states, n_valid)
    candidates, n_valid = candidates_of(problem, chunk, states, first_step, n_valid)
    if not len(candidates.step):
        return no_exits(states, n_valid)
    if problem.crossing == "bridge":
        found = bridges(problem, candidates, first_step)
        return bridge_exits(problem, candidates, found, paths, first_step, states, n_valid)
    if problem.crossing == "shift":
        candidates = candidates.only(_shift_crossings(problem, candidates, first_step))
    else:
        candidates = candidates.only(candidates.level1 >= 0)
    if not len(candidates.step):
        return no_exits(states, n_valid)
    candidates = candidates.only(_first_steps(candidates, n_valid))
    # Two faces crossed in one step end in the same state, so any one of the rows will do.
    row, position = _first_of_each(candidates.row)
    fraction = torch.ones_like(row, dtype=torch.float64)
    return Exits(row, candidates.step[position], fraction, candidates.w1[position], n_valid)


def no_exits(states: torch.Tensor, n_valid: torch.Tensor) -> Exits:
    """No exits; losses and levels are never asked about no states at all, which torch's vmap refuses."""
    index = torch.empty(0, dtype=torch.int64, device=states.device)
    return Exits(index, index, index.double(), states[0, :0], n_valid)


def _first_steps(candidates: Candidates, n_valid: torch.Tensor) -> torch.Tensor:
    """Of steps that cross, those that are the first of their path."""
    never = torch.iinfo(candidates.step.dtype).max
    first = torch.full_like(n_valid, never).scatter_reduce_(0, candidates.row, candidates.step, "amin")
    return candidates.step == first[candidates.row]


def _shift_crossings(problem: EscapeProblem, candidates: Candidates, first_step: int) -> torch.Tensor:
    w1, face = candidates.w1, candidates.face
    t = times(problem, w1, first_step + candidates.step + 1)
    if problem.by_distance:
        require_normals(problem, candidates, step_normals(problem.state_region, candidates.w0, w1, face))
        return near_by_distance(problem, t, w1).gather(-1, face[:, None])[:, 0]
    if problem.region.slope is None:  # without noise nothing is shifted
        return candidates.level1 >= 0
    variance = distance_variance(problem, t, w1, problem.state_region.normal(w1, face).to(w1)).double()
    return candidates.level1 >= -shift_distance(variance)


def bridge_exits(
    problem: EscapeProblem, candidates: Candidates, found: Bridges, paths, first_step: int, states, n_valid
) -> Exits:
    """Draws the time of each crossing, keeps the earliest face of each path, and draws the exit point."""
    crosses = crossed(problem, candidates, found, paths, first_step)
    candidates, found = candidates.only(crosses), found.only(crosses)
    if not len(candidates.step):
        return no_exits(states, n_valid)
    first = _first_steps(candidates, n_valid)
    candidates, found = candidates.only(first), found.only(first)
    fraction = fractions(problem, candidates, found, paths, first_step)
    earliest = torch.full((len(paths),), 2.0, dtype=torch.float64, device=paths.device)
    earliest.scatter_reduce_(0, candidates.row, fraction, "amin")
    is_earliest = fraction == earliest[candidates.row]
    candidates, found, fraction = candidates.only(is_earliest), found.only(is_earliest), fraction[is_earliest]
    row, position = _first_of_each(candidates.row)
    candidates, found, fraction = candidates.only(position), found.only(position), fraction[position]
    point = exit_points(problem, candidates, found, fraction, paths, first_step)
    return Exits(row, candidates.step, fraction, point, n_valid)


def _first_of_each(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The different rows, and where each stands first."""
    different, inverse = torch.unique(row, return_inverse=True)
    position = torch.full_like(different, len(row))
    return different, position.scatter_reduce_(0, inverse, torch.arange(len(row), device=row.device), "amin")
