"""Loops between the core and the first level: from a return to the core to the next one.

A walker is within or above. It is above from the end of a step at which its score is that of the first level, until the
end of one at which it is that of the core again: a loop is the time within, up to an entrance, and the time above. Both
are those of undisturbed walks, so that the time of returns from higher levels is in them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from sam_sde.rare.chain import STEPS, Chain, HeldError, Look


class Loops(NamedTuple):
    """What many walkers did, times in steps.

    entrances (entrances, state_dim): the states at the first level. exited (entrances,): those of walkers that left
    from below that level, and so came to all levels in one step, at `points` (entrances, dim). within, above: the mean
    time of each part of a loop, the second up to the core or the exit. start: the mean time from the start of a run to
    the first entrance, or to the exit where a walker left before that; start_left: the fraction that did. failed: of
    the walkers.
    """

    entrances: torch.Tensor
    exited: torch.Tensor
    points: torch.Tensor
    within: float
    above: float
    start: float
    start_left: float
    failed: float


@dataclass
class _Walkers:
    """Those that are walking: `above`, and when that began; loops counted.

    since: the step of the last change, -1 before the first return. entered: whether ever; counted: entrances.
    counts_above: whether the time above, under way, belongs to a loop that counts.
    """

    place: torch.Tensor
    state: torch.Tensor
    above: torch.Tensor
    since: torch.Tensor
    entered: torch.Tensor
    counted: torch.Tensor
    counts_above: torch.Tensor

    def only(self, chosen: torch.Tensor) -> "_Walkers":
        return _Walkers(*(column[chosen] for column in vars(self).values()))


@dataclass
class _Sums:
    """Times summed, and how many."""

    within: float = 0.0
    above: float = 0.0
    start: float = 0.0
    n_within: int = 0
    n_above: int = 0
    n_start: int = 0
    n_left: int = 0
    n_failed: int = 0
    entrances: list[torch.Tensor] = field(default_factory=list)
    exited: list[torch.Tensor] = field(default_factory=list)
    points: list[torch.Tensor] = field(default_factory=list)

    def enter(self, states: torch.Tensor, points: torch.Tensor, exited: bool) -> None:
        self.entrances.append(states)
        self.points.append(points)
        self.exited.append(torch.full((len(states),), exited, device=states.device))


def loops(chain: Chain, paths: torch.Tensor, core: float, level: float, burn_in: int, n_loops: int) -> Loops:
    """Walks from the run's start until each walker has made n_loops whose beginning is after `burn_in` steps.

    Raises
        HeldError: walkers that do not come back.
    """
    sums, step = _Sums(), 0
    state = chain.run.states_at_start(paths)
    none = torch.zeros(len(paths), dtype=torch.bool, device=paths.device)
    above = chain.score_of(state) >= level
    minus = torch.full_like(paths, -1)
    walkers = _Walkers(paths, state, above, minus, none.clone(), torch.zeros_like(paths), none.clone())
    while len(walkers.place):
        if step >= burn_in + 2 * n_loops * chain.longest:
            raise HeldError(
                f"{len(walkers.place)} of {len(paths)} walkers have not made {n_loops} loops between the core and the "
                f"first level in {step} steps; try another core or score, or a larger dt"
            )
        chunk, scores = chain.look(walkers.state, walkers.place, step)
        everything = torch.full_like(walkers.place, STEPS)
        look = chain.exits(chunk, scores, walkers.place, step, everything)
        done = _settle(chain, walkers, look, sums, core, level, step, burn_in, n_loops)
        walkers.state = chunk.end
        walkers = walkers.only(~done)
        step += STEPS
    mean = lambda total, n: total / n if n else 0.0  # noqa: E731
    return Loops(
        torch.cat(sums.entrances),
        torch.cat(sums.exited),
        torch.cat(sums.points),
        mean(sums.within, sums.n_within),
        mean(sums.above, sums.n_above),
        mean(sums.start, sums.n_start),
        mean(sums.n_left, len(paths)),
        mean(sums.n_failed, len(paths)),
    )


def _settle(
    chain: Chain, walkers: _Walkers, look: Look, sums: _Sums, core, level, step: int, burn_in: int, n_loops: int
):
    """Adds what happened in some steps to the sums; returns which walkers are done (walkers,)."""
    n_steps = len(look.scores) - 1
    number = torch.arange(1, n_steps + 1, device=walkers.place.device)[:, None]
    exited = look.left >= 0
    n_lived = torch.where(exited, look.left, look.n_valid)  # steps after whose end a walker is still inside
    lived = number <= n_lived
    up, back = (look.scores[1:] >= level) & lived, (look.scores[1:] <= core) & lived
    above = _last_said(up, back, walkers.above)
    before = torch.cat([walkers.above[None], above[:-1]])
    entrance, returned = up & ~before, back & before
    now = step + number.expand_as(up)
    # The step of the last change before the end of each step, and at the end of all.
    changes = torch.cat([walkers.since[None], torch.where(entrance | returned, now, -1)]).cummax(0).values
    since = changes[:-1]

    begun = since >= burn_in  # the loop began with a return to the core
    order = walkers.counted + (entrance & begun).cumsum(0)
    counts = entrance & begun & (order <= n_loops)
    counted_above = _last_said(counts, entrance & ~counts, walkers.counts_above)
    counted_before = torch.cat([walkers.counts_above[None], counted_above[:-1]])
    ends_counted = returned & counted_before

    sums.within += float((now - since)[counts].sum())
    sums.n_within += int(counts.sum())
    sums.above += float((now - since)[ends_counted].sum())
    sums.n_above += int(ends_counted.sum())
    row, walker = counts.nonzero(as_tuple=True)
    states = look.chunk.exact(row + 1, walker)
    sums.enter(states, chain.run.problem.dynamics.weights(states), False)

    last_counted, last_since, last_above = counted_above[-1], changes[-1], above[-1]
    exit_time = step + look.left + look.fraction
    left_above = exited & last_above & last_counted
    sums.above += float((exit_time - last_since)[left_above].sum())
    sums.n_above += int(left_above.sum())

    left_within = exited & ~last_above & (last_since >= burn_in) & (order[-1] < n_loops)
    sums.within += float((exit_time - last_since)[left_within].sum())
    sums.n_within += int(left_within.sum())
    sums.n_above += int(left_within.sum())  # no time at all
    sums.enter(walkers.state[left_within], look.point[left_within], True)

    first = entrance & ~walkers.entered
    first = first & (first.cumsum(0) == 1)
    entered = walkers.entered | entrance.any(0)
    left_first = exited & ~entered
    sums.start += float(now[first].sum()) + float(exit_time[left_first].sum())
    sums.n_start += int(first.sum()) + int(left_first.sum())
    sums.n_left += int(left_first.sum())

    failed = ~exited & (look.n_valid < n_steps)
    sums.n_failed += int(failed.sum())
    walkers.above, walkers.since, walkers.entered = last_above, last_since, entered
    walkers.counted, walkers.counts_above = order[-1], last_counted
    finished = (order[-1] >= n_loops) & ~(last_above & last_counted)
    return exited | failed | finished


def _last_said(yes: torch.Tensor, no: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Of each step (steps, walkers), which of the two was true last up to it, or what held `before` (walkers,)."""
    said = torch.cat([before[None], yes])
    where = torch.arange(len(said), device=yes.device)[:, None].expand_as(said)
    spoken = torch.cat([torch.ones_like(before)[None], yes | no])
    last = torch.where(spoken, where, 0).cummax(0).values
    return said.gather(0, last)[1:]
