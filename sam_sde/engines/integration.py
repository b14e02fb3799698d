"""What every engine takes and gives back: an integration to do, and the states of its steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.random import Stream
from sam_sde.regions import Region

MAX_STEPS = 2**33  # the counter of the random numbers holds a quarter of them

NOISE_TYPES = ("additive", "diagonal", "general")

STEPS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Integration:
    """What an engine needs to take steps; nothing of how many paths or steps, or where they start.

    dt: step of the integration in time (the dynamics' lr makes it one step of the optimizer).
    method: of integration; which are known is the engine's matter.

    Raises
        ValueError: a value out of its range.
    """

    dynamics: Dynamics
    stream: Stream
    dt: float
    method: str = "euler"

    # There is nothing to leave, no crossing to look for, and no end that is known.
    crossing: ClassVar[str] = "none"
    state_region: ClassVar[Region | None] = None
    n_steps: ClassVar[int] = 0

    def __post_init__(self):
        checks.positive("dt", self.dt)
        checks.one_of("noise_type", self.dynamics.noise_type, NOISE_TYPES)


class Chunk(NamedTuple):
    """The states of some steps, with more digits than single precision has.

    Far from zero a step may be smaller than a unit in the last place of a weight in single precision. So drift, noise
    and levels are evaluated at rounded states, and the steps are summed apart from them.

    moved (steps + 1, paths, state_dim): the states, counted from `anchor` (paths, state_dim) where there is one.
    dtype: that in which drift and noise were evaluated.
    suspects (paths,): False for paths that surely did not cross; None where that is not known, or without a region.
    near (steps + 1, paths): False for states that no look for exits needs the level of: surely inside, or not looked
        at. None where that is not known. For crossing "none" only, where a state by itself is out or not.

    The next chunk may be written over all of it.
    """

    moved: torch.Tensor
    dtype: torch.dtype
    anchor: torch.Tensor | None = None
    suspects: torch.Tensor | None = None
    near: torch.Tensor | None = None

    @property
    def states(self) -> torch.Tensor:
        """The states (steps + 1, paths, state_dim), rounded to `dtype`."""
        return (self.moved if self.anchor is None else self.anchor + self.moved).to(self.dtype)

    def exact(self, step: torch.Tensor | int, row: torch.Tensor | slice) -> torch.Tensor:
        """Some of the states in float64, with all their digits."""
        moved = self.moved[step, row].double()
        return moved if self.anchor is None else self.anchor[row].double() + moved

    @property
    def end(self) -> torch.Tensor:
        """Where the next chunk begins (paths, state_dim), in float64."""
        return self.exact(-1, slice(None))

    def of_rows(self, row: torch.Tensor | slice) -> "Chunk":
        """That of some of the paths."""
        anchor, suspects = (None if each is None else each[row] for each in (self.anchor, self.suspects))
        near = None if self.near is None else self.near[:, row]
        return Chunk(self.moved[:, row], self.dtype, anchor, suspects, near)


# (integration, w (paths, state_dim), numbers of the paths, first step, steps) to the chunk of these steps. What it was
# prepared with says in which dtype drift and noise are evaluated; w may be in float64 in any case. Where an engine has
# several ways to take steps it says in an attribute `way` which it took, and after a colon why no faster one.
Advance = Callable[[Integration, torch.Tensor, torch.Tensor, int, int], Chunk]


def integrate(
    advance: Advance,
    integration: Integration,
    state: torch.Tensor,
    paths: torch.Tensor,
    first_step: int,
    n_steps: int,
) -> torch.Tensor:
    """The states (paths, state_dim) after n_steps from `state` at `first_step`, in memory that is that of few steps.

    paths (paths,): the numbers of the paths. The result is in the dtype of `state`.

    Raises
        ValueError: a number of steps below 0, or more than the random numbers can count.
    """
    checks.whole("first_step", first_step, low=0)
    end = first_step + checks.whole("n_steps", n_steps, low=0)
    if end > MAX_STEPS:
        raise ArgumentError("n_steps", f"expected at most {MAX_STEPS} steps with those before, got {end}")
    reached = state
    for step in range(first_step, end, STEPS_AT_ONCE):
        reached = advance(integration, reached, paths, step, min(STEPS_AT_ONCE, end - step)).end
    return reached.to(state.dtype, copy=True)
