"""One repeat of splitting: loops between core and first level, then walkers from level to level up to the exit.

With p the probability that a walker from the first level leaves before it is back in the core, p̂ is the product of the
fractions that came from each level to the next. It is unbiased whatever score and levels are, since the levels were
there before and each walker that came to one stands for as many of the next stage as any other.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from sam_sde.rare.chain import Chain, walk
from sam_sde.rare.loops import Loops, loops
from sam_sde.rare.numbers import Numbers
from sam_sde.rare.pilot import BURN_IN, LOOPS_EACH, Plan
from sam_sde.rare.resampling import resampled


@dataclass(frozen=True, eq=False)
class Repeat:
    """What one repeat found; times in steps.

    within, above: the mean time of a loop below the first level and from there to the core or the exit. start,
    start_left: the mean time from the start of a run to the first level or the exit, and the fraction that left before
    the first level.
    fractions (stages,): of the walkers of each stage that came to the next level, at the last one to the exit; 0 from
    the stage on in which none did. ancestors (stages,): how many of the first walkers have descendants among these.
    path_steps (stages + 1,): as integrated, those of the loops first. failed: the largest fraction of the walkers of a
    stage whose state became NaN or infinite.
    exit_points (exits, dim): the weights where walkers left.
    """

    within: float
    above: float
    start: float
    start_left: float
    fractions: np.ndarray
    ancestors: np.ndarray
    path_steps: np.ndarray
    failed: float
    exit_points: np.ndarray

    interrupted_at: ClassVar[None] = None

    @property
    def probability(self) -> float:
        """p̂, the product of the fractions."""
        return float(np.prod(self.fractions))

    @property
    def loop(self) -> float:
        """The mean time of a loop; one in which a walker leaves has no time within after it."""
        return self.above + (1.0 - self.probability) * self.within


def split(chain: Chain, plan: Plan, numbers: Numbers, n_walkers: int, told=lambda stage, exits: None) -> Repeat:
    """told: called with the stages done, and the walkers that have left.

    Raises
        HeldError: walkers that neither return nor leave.
    """
    first, *higher = plan.levels
    n_loops = math.ceil(n_walkers / LOOPS_EACH)
    begin = loops(chain, numbers.paths(0, n_loops), plan.core, first, BURN_IN * plan.settled, LOOPS_EACH)
    of_loops = chain.path_steps
    told(1, 0)
    stages = _Stages(chain, plan.core, numbers, n_walkers)
    stages.begin(begin)
    for stage, level in enumerate([*higher, math.inf], start=1):
        stages.climb(stage, level)
        told(stage + 1, int(stages.exited.sum()))
    return Repeat(
        within=begin.within,
        above=begin.above,
        start=begin.start,
        start_left=begin.start_left,
        fractions=np.array(stages.fractions),
        ancestors=np.array(stages.ancestors),
        path_steps=np.diff([0, of_loops, *stages.path_steps]),
        failed=max(begin.failed, *stages.failed),
        exit_points=stages.point[stages.exited].to(chain.run.dtype).cpu().numpy(),
    )


class _Stages:
    """The walkers that came to the last level: states, and the number of the first walker each descends from.

    exited: those that have left the region already, in the step that brought them there or in one before; they stand
    for themselves up to the last stage, at `point`.
    """

    def __init__(self, chain: Chain, core: float, numbers: Numbers, n_walkers: int):
        self._chain, self._core, self._numbers, self._n_walkers = chain, core, numbers, n_walkers
        self.fractions, self.ancestors, self.path_steps, self.failed = [], [], [], []

    def begin(self, loops: Loops) -> None:
        self.states, self.exited, self.point = loops.entrances, loops.exited, loops.points
        self.ancestor = torch.arange(len(self.states), device=self.states.device)

    def climb(self, stage: int, level: float) -> None:
        """Walkers from the last level to this one, or the exit."""
        if not len(self.states):  # none came so far
            self._note(0.0, 0, 0.0)
            return
        n = self._n_walkers
        chosen = resampled(len(self.states), n, self._numbers, stage)
        walking = (~self.exited[chosen]).nonzero()[:, 0]
        paths = self._numbers.paths(stage, n)[walking]
        ends = walk(self._chain, self.states[chosen[walking]], paths, self._core, level)
        exited = self.exited[chosen]
        reached = exited.index_copy(0, walking, ends.reached)
        exited = exited.index_copy(0, walking, ends.exited)
        states = self.states[chosen].index_copy(0, walking, ends.states)
        point = self.point[chosen].index_copy(0, walking, ends.point)
        self.ancestor = self.ancestor[chosen][reached]
        self.states, self.exited, self.point = states[reached], exited[reached], point[reached]
        self._note(
            reached.double().mean().item(),
            len(self.ancestor.unique()),
            ends.failed.sum().item() / n,
        )

    def _note(self, fraction: float, ancestors: int, failed: float) -> None:
        self.fractions.append(fraction)
        self.ancestors.append(ancestors)
        self.path_steps.append(self._chain.path_steps)
        self.failed.append(failed)
