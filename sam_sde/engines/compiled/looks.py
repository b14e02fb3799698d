"""Which states of a chunk may be out of a region on a loss over data, by a compiled value of that loss.

It differs from the region's own in rounding. So it says where that is surely inside, and the region looks at the rest.
"""

from collections.abc import Callable, Iterator

import torch

from sam_sde.engines.compiled.errors import CannotCompileError, first_line
from sam_sde.engines.compiled.minibatch_steps import SAMPLES_AT_ONCE, blocks_of
from sam_sde.engines.compiled.quads import FEWEST_PATHS
from sam_sde.engines.compiled.slices import numbers_of_samples, slices, states_at_once
from sam_sde.engines.integration import Integration
from sam_sde.engines.problem import EscapeProblem
from sam_sde.regions import LossAbove, LossBelow, Region
from sam_sde.surfaces import FiniteSum

# By how many units in the last place the two values may differ: of the samples' losses, of the level, and of 1, for a
# loss may be small beside the numbers that it comes from.
UNITS = 1000


def is_on_loss(region: Region | None) -> bool:
    """Whether it looks at a loss over data, and in no way of its own."""
    return (
        isinstance(region, LossAbove | LossBelow)
        and type(region).levels is LossAbove.levels
        and isinstance(region.looked_at, FiniteSum)
    )


def looks_for(problem: Integration, start: torch.Tensor, compile_sum: Callable) -> tuple["Looks | None", str]:
    """Looks for states like `start` (paths, state_dim), or None; and what an engine's `way` says of it, "" mostly.

    compile_sum: from a `SumOfLevel` to the function, compiled.
    """
    if problem.crossing != "none" or not is_on_loss(getattr(problem, "region", None)):
        return None, ""
    try:
        return Looks(problem, start, compile_sum), ""
    except Exception as error:  # whatever torch cannot compile, the region can do by itself
        return None, f": its looks at the loss are not compiled, {first_line(error)}"


class SumOfLevel:
    """The level φ = ±(ℓ - level), and beside it the numbers that rounding is relative to, summed over samples.

    Raises
        CannotCompileError: the loss has a way of its own to its value.
    """

    def __init__(self, problem: EscapeProblem):
        region = problem.region
        self.surface: FiniteSum = region.looked_at
        if type(self.surface).value is not FiniteSum.value:
            raise CannotCompileError("the surface has a value of its own")
        self._weights, self._sign = problem.dynamics.weights, region.sign
        self.without_samples = (-region.sign * region.level, 1 + abs(region.level))

    def __call__(self, anchor, moved, total: torch.Tensor, weights: torch.Tensor, *samples: torch.Tensor):
        """total (states, 2) and what samples of the weights ±1/n add to it, at anchor + moved (states, state_dim)."""
        data = samples if self.surface.samples.is_tuple else samples[0]
        parts = weights * self.surface.losses_of(self._weights(anchor + moved), data)
        return total + torch.stack([parts.sum(1), parts.abs().sum(1)], dim=1).to(total)

    def blocks(self, like: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        """Their weights and samples, all blocks of one size."""
        for weights, *samples in blocks_of(self.surface, like):
            yield self._sign * weights, *samples

    def inputs(self, start: torch.Tensor, n_states: int) -> tuple[torch.Tensor, ...]:
        """Arguments as they may be, others for another number of states."""
        spread = torch.linspace(-1.0, 1.0, n_states, dtype=start.dtype, device=start.device)[:, None]
        anchor = start[:1] + 0.01 * spread
        moved = (0.001 * spread).expand_as(anchor).contiguous()
        return anchor, moved, spread.repeat(1, 2), *next(self.blocks(start[:0]))


class Looks:
    """Looks at states; several threads may use it at a time.

    Raises
        CannotCompileError, CannotRecordError: see `SumOfLevel`, or the compiled value is not that of the region.
        Exception: whatever torch cannot trace or compile.
    """

    def __init__(self, problem: EscapeProblem, start: torch.Tensor, compile_sum: Callable):
        level = SumOfLevel(problem)
        n = min(SAMPLES_AT_ONCE, level.surface.n_samples)
        self._at_once = states_at_once(start.shape[1] + numbers_of_samples(level.surface, n), start.is_cuda)
        self._every, self._rounding = problem.region.every, UNITS * torch.finfo(start.dtype).eps
        self._sum, self._blocks = compile_sum(level), list(level.blocks(start[:0]))
        self._without_samples = start.new_tensor(level.without_samples)
        self._require_value_of_region(problem.state_region, start[torch.arange(FEWEST_PATHS) % len(start)])

    def __call__(self, anchor: torch.Tensor, states: torch.Tensor, first_step: int) -> torch.Tensor:
        """False (steps + 1, paths) for states, counted from anchor, that the region need not look at."""
        level = states.new_full(states.shape[:2], -torch.inf)
        margin = torch.zeros_like(level)
        for i in range(1, len(states)):  # the first state was looked at as the last one before
            if (first_step + i) % self._every == 0:
                for rows in slices(states.shape[1], self._at_once):
                    level[i, rows], margin[i, rows] = self._level(anchor[rows], states[i, rows])
        # A level that is not a number deserves a look, and after a state that is surely out no other does.
        out = level >= margin
        return ~(level < -margin) & (out.cumsum(0) == out)

    def _level(self, anchor: torch.Tensor, moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """That of states, and by how much the region's own may differ (states,)."""
        total = self._without_samples.repeat(len(anchor), 1)
        for block in self._blocks:
            total = self._sum(anchor, moved, total, *block)
        return total[:, 0], self._rounding * total[:, 1]

    def _require_value_of_region(self, region: Region, states: torch.Tensor) -> None:
        """Where paths start, half of the margin must be enough: none is where rounding spoils a loss."""
        level, margin = self._level(states, torch.zeros_like(states))
        if not ((level - region.levels(states)[:, 0]).abs() <= margin / 2).all():
            raise CannotCompileError("more than their last digits differ from the region's")
