"""Steps of a chunk that may cross a face."""

from typing import NamedTuple

import torch

from sam_sde.engines.integration import Chunk
from sam_sde.engines.nearness import near_by_distance, rounding_of_levels
from sam_sde.engines.problem import EscapeProblem


class Candidates(NamedTuple):
    """Indices of step, row and face; the states at both ends; the levels there in float64."""

    step: torch.Tensor
    row: torch.Tensor
    face: torch.Tensor
    w0: torch.Tensor
    w1: torch.Tensor
    level0: torch.Tensor
    level1: torch.Tensor

    def only(self, chosen: torch.Tensor) -> "Candidates":
        return Candidates(*(column[chosen] for column in self))


def times(problem: EscapeProblem, w: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Times (paths, 1) in the dtype of the states w, for products with them to keep it."""
    return (step.double() * problem.dt).to(w)[:, None]


def candidates_of(
    problem: EscapeProblem, chunk: Chunk, states: torch.Tensor, first_step: int, n_valid: torch.Tensor
) -> tuple[Candidates, torch.Tensor]:
    """All steps whose crossing cannot be excluded, and how many steps of each path have a level (paths,).

    states: those of the chunk, rounded. n_valid (paths,): how many of the steps count.
    """
    n_steps, n_paths, dim = len(states) - 1, states.shape[1], states.shape[2]
    level = _looked_at(problem, chunk, states, first_step)
    n_valid = torch.minimum(n_valid, _steps_with_level(level))
    if problem.by_distance:
        step = torch.arange(first_step, first_step + n_steps + 1, device=states.device).repeat_interleave(n_paths)
        flat = states.reshape(-1, dim)
        near = near_by_distance(problem, times(problem, flat, step), flat).reshape(level.shape)
    else:
        near = level >= -problem.reach - rounding_of_levels(problem, states[0])
    step, row, face = (near[:-1] | near[1:]).nonzero(as_tuple=True)
    level0, level1 = (_levels(problem, chunk, states, level, at, row, face) for at in (step, step + 1))
    # A path is surely out from the first step that ends outside: later ones need no look.
    surely_out = n_valid.clone().scatter_reduce_(0, row, torch.where(level1 >= 0, step + 1, n_steps), "amin")
    wanted = step < surely_out[row]
    step, row, face = step[wanted], row[wanted], face[wanted]
    found = Candidates(
        step,
        row,
        face,
        states[step, row],
        states[step + 1, row],
        level0[wanted],
        level1[wanted],
    )
    return found, n_valid


def _looked_at(problem: EscapeProblem, chunk: Chunk, states: torch.Tensor, first_step: int) -> torch.Tensor:
    """The levels (steps + 1, paths, faces); -∞, as inside, after steps that the region is not looked at.

    So it is for states that are known to be inside.
    """
    region, (n_states, n_paths, dim) = problem.state_region, states.shape
    if chunk.near is not None:
        level = states.new_full((n_states, n_paths, region.faces), -torch.inf)
        if chunk.near.any():
            level[chunk.near] = region.levels(states[chunk.near]).to(states)
        return level
    if region.every == 1:
        return region.levels(states.reshape(-1, dim)).to(states).reshape(n_states, n_paths, -1)
    first = -first_step % region.every or region.every  # the first state was looked at as the last one before
    looked = states[first :: region.every]
    level = states.new_full((n_states, n_paths, region.faces), -torch.inf)
    if len(looked):
        level[first :: region.every] = (
            region.levels(looked.reshape(-1, dim)).to(states).reshape(len(looked), n_paths, -1)
        )
    return level


def _levels(problem: EscapeProblem, chunk: Chunk, states, level, step, row, face) -> torch.Tensor:
    """The levels in float64, and where they are distances to first order in what rounding took from the states."""
    region, rounded = problem.state_region, level[step, row, face].double()
    if states.dtype == torch.float64 or region.slope is None or not len(row):
        return rounded
    w = states[step, row]
    return rounded + (region.normal(w, face) * (chunk.exact(step, row) - w)).sum(-1)


def _steps_with_level(level: torch.Tensor) -> torch.Tensor:
    """The number of steps (paths,) before one ends where a level is not a number."""
    lost = level[1:].isnan().any(-1)
    first = lost.int().argmax(0)
    return torch.where(lost.any(0), first, len(lost))
