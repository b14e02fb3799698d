"""Takes one block of paths to their ends: chunks of steps, exits within a chunk, removal of finished paths."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sam_sde.engines.first_exit import Exits, first_exits
from sam_sde.engines.half_steps import exits_in_halves
from sam_sde.engines.integration import Advance, Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.statistics import Outcome


@dataclass
class BlockResult:
    """How each path of a block ended: outcome (an `Outcome`), time, and the weights then (paths, dim).

    A failed path has the time at which its state was no longer finite, or the level there not a number, and the state
    before that. After Ctrl-C the paths still inside are censored at the time they had reached, `interrupted_at`.
    path_steps: steps summed over paths, as integrated. engine: the one that did the work, and the `way` it took, if it
    has several; note: why it is not the one that was asked for.
    """

    outcome: torch.Tensor
    time: torch.Tensor
    point: torch.Tensor
    interrupted_at: float | None = None
    path_steps: int = 0
    engine: str = ""
    note: str | None = None
    way: str = ""

    @property
    def escaped(self) -> int:
        return int((self.outcome == Outcome.ESCAPED).sum())

    def cpu(self) -> "BlockResult":
        return replace(self, outcome=self.outcome.cpu(), time=self.time.cpu(), point=self.point.cpu())


@dataclass
class _Alive:
    """The paths being integrated: place in the block, number of the path, state; `finished` ones are dead weight."""

    place: torch.Tensor
    paths: torch.Tensor
    w: torch.Tensor
    finished: torch.Tensor

    def compacted(self, below: float) -> "_Alive":
        alive = ~self.finished
        if int(alive.sum()) >= below * len(alive):
            return self
        return _Alive(self.place[alive], self.paths[alive], self.w[alive], self.finished[alive])


def run_block(
    problem: EscapeProblem,
    advance: Advance,
    start: torch.Tensor,
    paths: torch.Tensor,
    *,
    chunk: int,
    dtype: torch.dtype | None = None,
    compact_below: float = 0.8,
    report: Callable[[int, int], None] | None = None,
    record: Callable[[int, torch.Tensor, torch.Tensor], None] | None = None,
) -> BlockResult:
    """Integrates the paths with numbers `paths` (paths,) from `start` (paths, state_dim) until each has ended.

    dtype: that in which drift and noise are evaluated, and points are given; default that of the start.
    chunk: steps between two looks for exits; the memory is that of chunk + 1 states.
    compact_below: finished paths are removed once fewer than this fraction of the carried ones is alive.
    report: called after each chunk with (steps done, paths of the block that escaped).
    record: called with (first step, paths, weights (steps + 1, paths, dim)) of each chunk.
    """
    result = BlockResult(
        outcome=torch.full((len(paths),), Outcome.CENSORED, dtype=torch.int8, device=start.device),
        time=torch.full((len(paths),), problem.t_max, dtype=torch.float64, device=start.device),
        point=start.to(dtype or start.dtype, copy=True),
    )
    alive = _Alive(
        torch.arange(len(paths), device=start.device),
        paths,
        start,
        torch.zeros(len(paths), dtype=torch.bool, device=start.device),
    )
    step = 0
    try:
        while step < problem.n_steps and not bool(alive.finished.all()):
            n_steps = min(chunk, problem.n_steps - step)
            steps = advance(problem, alive.w, alive.paths, step, n_steps)
            if record is not None:
                record(step, alive.paths, problem.dynamics.weights(steps.states))
            alive.w = steps.end
            _settle(problem, result, alive, steps, step)
            result.path_steps += len(alive.place) * n_steps
            alive = alive.compacted(compact_below)
            step += n_steps
            if report is not None:
                report(step, result.escaped)
    except KeyboardInterrupt:
        result.interrupted_at = step * problem.dt
    _settle_inside(result, alive)
    result.point = problem.dynamics.weights(result.point).clone()
    return result


def _settle_inside(result: BlockResult, alive: _Alive) -> None:
    """Writes down the paths that never left."""
    inside = ~alive.finished
    place = alive.place[inside]
    result.outcome[place] = Outcome.CENSORED
    result.point[place] = alive.w[inside].to(result.point)
    if result.interrupted_at is not None:
        result.time[place] = result.interrupted_at


def _settle(problem: EscapeProblem, result: BlockResult, alive: _Alive, chunk: Chunk, step: int) -> None:
    """Writes down the paths that left or failed in this chunk, at whose end they are, and marks them as finished."""
    last_finite = last_finite_step(chunk, alive.w)
    exits = exits_in(problem, chunk, alive.paths, step, torch.where(alive.finished, 0, last_finite))
    last_finite = torch.where(alive.finished, last_finite, exits.n_valid)
    failed = (last_finite < len(chunk.moved) - 1) & ~alive.finished
    failed[exits.row] = False
    place = alive.place[failed]
    result.outcome[place] = Outcome.FAILED
    result.time[place] = ((step + last_finite[failed] + 1).double() * problem.dt).clamp(max=problem.t_max)
    result.point[place] = chunk.exact(last_finite[failed], failed.nonzero()[:, 0]).to(result.point)

    time = (step + exits.step + exits.fraction) * problem.dt
    in_time = time <= problem.t_max
    place = alive.place[exits.row]
    result.outcome[place] = torch.where(in_time, Outcome.ESCAPED, Outcome.CENSORED).to(torch.int8)
    result.time[place] = time.clamp(max=problem.t_max)
    result.point[place] = exits.point
    alive.finished = alive.finished | failed
    alive.finished[exits.row] = True


def exits_in(problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, step: int, n_valid: torch.Tensor) -> Exits:
    """The first exits, looked for among the suspects only."""
    look = first_exits if problem.halves is None else exits_in_halves
    if chunk.suspects is None:
        return look(problem, chunk, paths, step, n_valid)
    row = (chunk.suspects & (n_valid > 0)).nonzero()[:, 0]
    exits = look(problem, chunk.of_rows(row), paths[row], step, n_valid[row])
    return exits._replace(row=row[exits.row], n_valid=n_valid.index_copy(0, row, exits.n_valid))


def last_finite_step(chunk: Chunk, end: torch.Tensor) -> torch.Tensor:
    """Index (paths,) of the last state that is finite; a state that is not stays so, thus the last one tells."""
    last = torch.full((len(end),), len(chunk.moved) - 1, device=end.device)
    bad = ~torch.isfinite(end.sum(-1).to(chunk.dtype))  # or too large to add, which the next line sees
    if bad.any():
        last[bad] = torch.isfinite(chunk.of_rows(bad).states).all(-1).sum(0) - 1
    return last
