"""Where the core ends and where the levels are: found by a pilot, and frozen for all that is measured after it.

Paths settle where they stay: the core is where the score is below its median there, and the first level where it is
above for a tenth of the time. From there on each level is the largest score of the luckiest third of the walkers that
set out from the one before (Cérou and Guyader, "Adaptive multilevel splitting for rare event analysis", Stochastic
Analysis and Applications 2007).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import ks_2samp

from sam_sde.errors import ArgumentError
from sam_sde.rare.chain import LONGEST_WALK, STEPS, Chain, Ends, HeldError, walk
from sam_sde.rare.loops import loops
from sam_sde.rare.numbers import Numbers
from sam_sde.rare.resampling import resampled

PILOT_WALKERS = 1000
LOOPS_EACH = 8

FIRST_LEVEL = 0.9  # quantile of the score where paths stay; the core ends at the median
LUCKY = 0.3  # of the walkers from a level come to the next one
ENOUGH_EXITS = 0.25  # of the walkers from the last level leave
MOST_LEVELS = 120
# Of a level over the one before, in parts of that over the core: with less no level more is of use where walkers leave,
# as by a jump over the boundary, and none will leave where that is far less.
SMALL_RISE, SMALLEST_RISE = 1e-2, 1e-6

# Paths that leave while they settle: splitting has nothing to gain.
MANY_LEAVE = 0.5
SAME = 0.01  # p-value above which two samples of the score are taken for those of one law
BURN_IN = 8  # times as long as paths take to settle
SOME_STEPS, LONGEST_OF_SETTLED = 2**14, 256  # after which walkers are held somewhere


class NotRareError(ArgumentError):
    """Paths leave before they settle anywhere."""


@dataclass(frozen=True)
class Plan:
    """core: the score below which a walker is back. levels: scores, increasing; after the last one comes the exit.

    settled: steps in which paths settle. path_steps: that the pilot took.
    """

    core: float
    levels: tuple[float, ...]
    settled: int
    path_steps: int

    @property
    def longest_walk(self) -> int:
        """In steps; see `Chain`."""
        return longest_walk(self.settled)


def longest_walk(settled: int) -> int:
    return SOME_STEPS + LONGEST_OF_SETTLED * settled


def plan_levels(
    chain: Chain,
    numbers: Numbers,
    core: float | None = None,
    levels: Sequence[float] | None = None,
    told: Callable[[int], None] = lambda levels: None,
) -> Plan:
    """The core and the levels; those that are given stand.

    told: called with the number of levels found.

    Raises
        NotRareError: most paths leave before they settle.
        ArgumentError: a score that is constant, or does not grow towards the exit.
        HeldError: paths do not settle, or are held elsewhere than in the core.
    """
    scores, settled = _settled_scores(chain, numbers.paths(0, PILOT_WALKERS))
    chain.longest = longest_walk(settled)
    middle, first = (torch.quantile(scores, q).item() for q in (0.5, FIRST_LEVEL))
    if not middle < first:
        raise ArgumentError("score", f"expected one that varies, got {middle:g} nearly everywhere where paths stay")
    core = middle if core is None else core
    if levels is not None:
        return Plan(core, tuple(levels), settled, chain.path_steps)
    if not core < first:
        first = torch.quantile(scores[scores > core], FIRST_LEVEL).item() if (scores > core).any() else core
    if not core < first:
        raise ArgumentError("core", f"expected a score that paths exceed, below {scores.max():g}, got {core:g}")
    found = _climb(chain, numbers, core, first, settled, told)
    return Plan(core, tuple(found), settled, chain.path_steps)


def _settled_scores(chain: Chain, paths: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Scores of paths that have settled, and the number of steps that this took.

    They have where the scores at some time and at half of it are taken for those of one law.
    """
    states, step, half = chain.run.states_at_start(paths), 0, STEPS
    before, seen, n_paths = chain.score_of(states), [], len(paths)
    while True:
        chunk, scores = chain.look(states, paths, step)
        look = chain.exits(chunk, scores, paths, step, torch.full_like(paths, STEPS))
        inside = (look.left < 0) & (look.n_valid == STEPS)
        states, paths, last = chunk.end[inside], paths[inside], scores[-1, inside]
        step += STEPS
        if len(paths) <= (1 - MANY_LEAVE) * n_paths:
            raise NotRareError(
                "region",
                f"{n_paths - len(paths)} of {n_paths} paths left it, or failed, in {step} steps, before they settled "
                "anywhere inside: escapes are not rare, nothing is gained by splitting; try escape_times",
            )
        seen.append(last)
        if step == 2 * half:
            if ks_2samp(before.cpu().double().numpy(), last.cpu().double().numpy()).pvalue > SAME:
                return torch.cat(seen).double(), half
            before, seen, half = last, [], step
        elif step == half:
            before, seen = last, []
        if step >= LONGEST_WALK:
            raise HeldError(f"paths have not settled in {step} steps; try a start where they stay, or a larger dt")


def _climb(chain: Chain, numbers: Numbers, core: float, level: float, settled: int, told) -> list[float]:
    found, n = [level], PILOT_WALKERS
    first = loops(chain, numbers.paths(1, n // LOOPS_EACH), core, level, BURN_IN * settled, LOOPS_EACH)
    at = first.entrances[~first.exited]
    while True:
        told(len(found))
        if not len(at):
            raise ArgumentError("score", f"no walker of the pilot came to the level {level:g}; try another score")
        stage = 2 * len(found)
        chosen = resampled(len(at), n, numbers, stage)
        ends = walk(chain, at[chosen], numbers.paths(stage, n), core, torch.inf)
        leaving = ends.exited.double().mean().item()
        next_level = _next_level(ends, level)
        rise = (next_level - level) / (level - core)
        if leaving >= ENOUGH_EXITS or (leaving > 0 and rise < SMALL_RISE):
            return found
        if len(found) == MOST_LEVELS or not rise > SMALLEST_RISE:
            raise ArgumentError(
                "score",
                f"it does not grow towards the exit: after {len(found)} levels, at {level:g}, "
                f"{100 * leaving:.2g} % of the walkers left the region before they returned; try another score, or the "
                "region's own",
            )
        ends = walk(chain, at[chosen], numbers.paths(stage + 1, n), core, next_level)
        at = ends.states[ends.reached & ~ends.exited]
        level = next_level
        found.append(level)


def _next_level(ends: Ends, level: float) -> float:
    """The score that the lucky ones reach; where they all leave, the largest of the others."""
    inside = ends.top[~ends.exited]
    if not len(inside):
        return level
    reached = torch.quantile(torch.where(ends.exited, inside.max(), ends.top), 1 - LUCKY).item()
    higher = inside[inside > level]
    return reached if reached > level or not len(higher) else higher.min().item()
