"""The steps of a run as a Markov chain whose states have a score, and walks of many walkers in it.

A walker is where a step ended. Levels of the score count there alone; the only thing that a step decides besides is
whether the walker has left the region within it, as the crossing of the run has it, and that a walker keeps. So every
set of levels and every score gives the same chain, the one that is simulated directly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from sam_sde.checks import shown
from sam_sde.engines import Chunk, exits_in, last_finite_step
from sam_sde.errors import ArgumentError, InputError
from sam_sde.escape import EscapeRun
from sam_sde.escape.blocks import prepared
from sam_sde.regions import Region

# Between two looks at the walkers, whatever the engine: what the pilot finds follows from when it looks.
STEPS = 32

# Paths that have not settled after so many steps are not waited for.
LONGEST_WALK = 2**21


class HeldError(InputError):
    """Walkers that neither return to the core nor come to the next level."""


class Look(NamedTuple):
    """Some steps of walkers, and what happened in them.

    scores (steps + 1, walkers): at the ends of steps, NaN where there is none. n_valid (walkers,): how many steps count
    of each, up to the one in which it stopped. left (walkers,): in which step each left the region, or -1; fraction:
    when within it; point (walkers, dim): where.
    """

    chunk: Chunk
    scores: torch.Tensor
    n_valid: torch.Tensor
    left: torch.Tensor
    fraction: torch.Tensor
    point: torch.Tensor


@dataclass
class Chain:
    """run: the steps, and the region to leave. score: a region whose level is the score, and grows on the way out.

    longest: a walk that has not ended after so many steps is held between the core and the level that it was to reach.
    path_steps: those that were taken.
    """

    run: EscapeRun
    score: Region
    longest: int = LONGEST_WALK
    path_steps: int = 0

    def score_of(self, states: torch.Tensor) -> torch.Tensor:
        """The largest level of the score's faces (…,) at states (…, state_dim)."""
        weights = self.run.problem.dynamics.weights(states)
        if not weights.numel():  # which torch's vmap refuses
            return weights.new_zeros(states.shape[:-1])
        levels = self.score.levels(weights.reshape(-1, weights.shape[-1]).to(self.run.dtype))
        return levels.amax(-1).reshape(states.shape[:-1])

    def look(self, states: torch.Tensor, paths: torch.Tensor, first_step: int) -> tuple[Chunk, torch.Tensor]:
        """The next steps from `states` (walkers, state_dim) with the scores of their ends."""
        chunk = prepared(self.run).advance(self.run.problem, states, paths, first_step, STEPS)
        self.path_steps += len(paths) * STEPS
        scores = self.score_of(chunk.states)
        if scores.isnan().any() and self.score is not self.run.problem.region:
            self._require_score(chunk.states, scores)
        return chunk, scores

    def _require_score(self, states: torch.Tensor, scores: torch.Tensor) -> None:
        lost = scores.isnan() & states.isfinite().all(-1)
        if lost.any():
            w = self.run.problem.dynamics.weights(states[lost][0])
            raise ArgumentError("score", f"expected a number everywhere, got NaN at {shown(w[:8].tolist())}")

    def exits(self, chunk: Chunk, scores, paths: torch.Tensor, first_step: int, n_steps: torch.Tensor) -> Look:
        """Looks for exits within the first n_steps (walkers,) of a chunk."""
        n_finite = torch.minimum(last_finite_step(chunk, chunk.end), _last_number(scores))
        found = exits_in(self.run.problem, chunk, paths, first_step, torch.minimum(n_finite, n_steps))
        left = torch.full_like(n_finite, -1).index_copy(0, found.row, found.step)
        fraction = torch.zeros(len(left), dtype=torch.float64, device=left.device)
        fraction = fraction.index_copy(0, found.row, found.fraction)
        point = chunk.exact(0, slice(None))
        point = point.index_copy(0, found.row, found.point.to(point))
        return Look(chunk, scores, found.n_valid, left, fraction, self.run.problem.dynamics.weights(point))


def _last_number(scores: torch.Tensor) -> torch.Tensor:
    """The index (walkers,) of the last score before one that is not a number."""
    return first_index(scores.isnan()[1:])


def first_index(happened: torch.Tensor) -> torch.Tensor:
    """The first row of (rows, walkers) in which it happened to each, or the number of rows."""
    return torch.where(happened.any(0), happened.int().argmax(0), len(happened))


class Ends(NamedTuple):
    """How walks ended, one row a walker.

    reached: the level, or the exit. exited: left the region; at `point` (walkers, dim). failed: its state or score is
    no number any more. states (walkers, state_dim): at the end of the last step. top: the largest score on the way.
    steps: in steps, with the fraction in which it left.
    """

    reached: torch.Tensor
    exited: torch.Tensor
    failed: torch.Tensor
    states: torch.Tensor
    point: torch.Tensor
    top: torch.Tensor
    steps: torch.Tensor


def walk(chain: Chain, states: torch.Tensor, paths: torch.Tensor, core: float, level: float) -> Ends:
    """Walks from `states` (walkers, state_dim) until each has the score `level`, has left, or is back in the core.

    paths: the walkers' numbers, of which each may walk once. A walker that has the score of the level does not walk.

    Raises
        HeldError: walkers do not come to an end.
    """
    n, device = len(states), states.device
    flags = [torch.zeros(n, dtype=torch.bool, device=device) for _ in range(3)]
    ends = Ends(
        *flags,
        states.clone(),
        chain.run.problem.dynamics.weights(states).clone(),
        chain.score_of(states).double(),
        torch.zeros(n, dtype=torch.float64, device=device),
    )
    ends.reached[:] = ends.top >= level
    place = (~ends.reached).nonzero()[:, 0]
    w, step = states[place], 0
    while len(place):
        if step >= chain.longest:
            raise HeldError(
                f"{len(place)} of {n} walkers were still between core and exit after {step} steps: another trap than "
                "the core holds them; try a score that grows on the way out of that too, or a region without it"
            )
        chunk, scores = chain.look(w, paths[place], step)
        up, back = scores[1:] >= level, scores[1:] <= core
        stop = first_index(up | back)
        look = chain.exits(chunk, scores, paths[place], step, (stop + 1).clamp(max=STEPS))
        ended = _settle(ends, look, place, stop, up, step)
        w, place = chunk.end[~ended], place[~ended]
        step += STEPS
    return ends


def _settle(ends: Ends, look: Look, place: torch.Tensor, stop: torch.Tensor, up: torch.Tensor, step: int):
    """Writes down which walkers ended in these steps; returns that (walkers,)."""
    n_steps = len(up)
    exited = look.left >= 0
    stopped = (stop < n_steps) & ~exited & (look.n_valid > stop)
    failed = ~exited & ~stopped & (look.n_valid < torch.minimum(stop + 1, torch.full_like(stop, n_steps)))
    ended = exited | stopped | failed
    row = stop.clamp(max=n_steps - 1)
    walker = torch.arange(len(stop), device=stop.device)
    last = torch.where(exited, look.left + 1, torch.where(stopped, stop + 1, look.n_valid))
    seen = torch.arange(n_steps + 1, device=stop.device)[:, None] <= last
    top = torch.where(seen, look.scores.nan_to_num(-torch.inf), -torch.inf).amax(0).double()
    ends.reached[place] = exited | (stopped & up[row, walker])
    ends.exited[place] = exited
    ends.failed[place] = failed
    ends.states[place] = look.chunk.exact(last, walker)
    ends.point[place] = look.point
    ends.top[place] = torch.maximum(ends.top[place], top)
    ends.steps[place] = torch.where(exited, step + look.left + look.fraction, (step + last).double())
    return ended
