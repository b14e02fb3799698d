"""Where the core ends and where the levels are: found by a pilot, and frozen for all that is measured after it.

The core is where the score is below its median where paths stay, and the first level where it is
above for a tenth of the time. From there on each level is the largest score of the luckiest third of the walkers that
set out from the one before (Cérou and Guyader, "Adaptive multilevel splitting for rare event analysis", Stochastic
Analysis and Applications 2007).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sam_sde.errors import ArgumentError
from sam_sde.rare.chain import Chain, Ends, walk
from sam_sde.rare.loops import loops
from sam_sde.rare.numbers import Numbers
from sam_sde.rare.resampling import resampled
from sam_sde.rare.settling import settle

PILOT_WALKERS = 1000
LOOPS_EACH = 8

FIRST_LEVEL = 0.9  # quantile of the score where paths stay; the core ends at the median
LUCKY = 0.3  # of the walkers from a level come to the next one
ENOUGH_EXITS = 0.25  # of the walkers from the last level leave
MOST_LEVELS = 120
# Of a level over the one before, in parts of that over the core: with less no level more is of use where walkers leave,
# as by a jump over the boundary, and none will leave where that is far less.
SMALL_RISE, SMALLEST_RISE = 1e-2, 1e-6

BURN_IN = 8  # times as long as paths take to settle
SELDOM = 1e-3  # of the time paths are on the other side of a core or first level that is given
SOME_STEPS, LONGEST_OF_SETTLED = 2**14, 256  # after which walkers are held somewhere


@dataclass(frozen=True)
class Plan:
    """core: the score below which a walker is back. levels: scores, increasing; after the last one comes the exit.

    settled: steps in which paths settle, but for a coordinate that is slow. path_steps: that the pilot took.
    """

    core: float
    levels: tuple[float, ...]
    settled: int
    slow: bool
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
    settled = settle(chain, numbers.paths(0, PILOT_WALKERS))
    scores, chain.longest = settled.scores, longest_walk(settled.steps)
    middle, first = (torch.quantile(scores, q).item() for q in (0.5, FIRST_LEVEL))
    if not middle < first:
        raise ArgumentError("score", f"expected one that varies, got {middle:g} nearly everywhere where paths stay")
    if core is not None:
        _require_between("core", core, scores)
        first = first if core < first else torch.quantile(scores[scores > core], FIRST_LEVEL).item()
    core = middle if core is None else core
    if levels is None:
        levels = _climb(chain, numbers, core, first, settled.steps, told)
    elif not core < levels[0]:
        raise ArgumentError(
            "levels", f"expected a first one above {core:g}, below which paths are half of the time, got {levels[0]:g}"
        )
    else:
        _require_between("levels", levels[0], scores)
    return Plan(core, tuple(levels), settled.steps, settled.slow, chain.path_steps)


def _require_between(name: str, score: float, scores: torch.Tensor) -> None:
    """Raises ArgumentError where paths that have settled are hardly ever to one side of a score."""
    low, high = (torch.quantile(scores, q).item() for q in (SELDOM, 1 - SELDOM))
    if not low < score < high:
        raise ArgumentError(
            name,
            f"expected a score that paths cross where they stay, which is mostly {low:g} to {high:g}, got {score:g}",
        )


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
