"""What an engine is asked to integrate, checked before anything runs."""

import math
from dataclasses import dataclass, field

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.random import Stream
from sam_sde.regions import OnWeights, Region
from sam_sde.regions.crossing import CROSSINGS, shift_distance

MAX_STEPS = 2**33  # the counter of the random numbers holds a quarter of them

NOISE_TYPES = ("additive", "diagonal", "general")


@dataclass(frozen=True)
class EscapeProblem:
    """One arm's escape: dynamics, region, step and random numbers; nothing of how many paths, or where they start.

    t_max: time at which a path still inside is censored; rounded up to whole steps of dt.
    dt: step of the integration in time (the dynamics' lr makes it one step of the optimizer).
    method: of integration; which are known is the engine's matter.
    crossing: "bridge", "shift" or "none" (see `sam_sde.regions.crossing`).
    state_region: the region, which is one of weights, as engines see it: on the states of the dynamics.

    Raises
        ValueError: a value out of its range.
    """

    dynamics: Dynamics
    region: Region
    stream: Stream
    t_max: float
    dt: float
    method: str = "euler"
    crossing: str = "bridge"
    n_steps: int = field(init=False)
    state_region: Region = field(init=False, repr=False)

    def __post_init__(self):
        checks.positive("t_max", self.t_max)
        checks.positive("dt", self.dt)
        if self.dt > self.t_max:
            raise ArgumentError("dt", f"expected at most t_max = {self.t_max:g}, got {self.dt:g}")
        checks.one_of("noise_type", self.dynamics.noise_type, NOISE_TYPES)
        checks.one_of("crossing", self.crossing, CROSSINGS)
        if self.t_max / self.dt > MAX_STEPS:
            raise ArgumentError(
                "t_max",
                f"expected at most {MAX_STEPS:.2g} steps of dt = {self.dt:g}, got {self.t_max / self.dt:.2g}; "
                "try a smaller t_max or a larger dt",
            )
        self.dynamics.check_schedules(self.t_max)
        object.__setattr__(self, "n_steps", math.ceil(self.t_max / self.dt * (1 - 1e-12)))
        object.__setattr__(self, "state_region", self._on_states())

    def _on_states(self) -> Region:
        dim, state_dim = self.dynamics.dim, self.dynamics.state_dim
        return self.region if state_dim == dim else OnWeights(self.region, dim, state_dim)

    def check_start(self, w: torch.Tensor) -> None:
        """Raises ValueError where paths cannot start at the weights w (paths, dim), of the run's dtype and device."""
        self.dynamics.check_start(w)
        self.region.check_start(w)
        if self.crossing == "shift":
            self._check_shift(w)

    def _check_shift(self, w: torch.Tensor) -> None:
        level = self.region.levels(w)
        state = self.dynamics.initial_state(w, w.new_zeros(len(w), self.dynamics.channels))
        row, face = torch.ones_like(level, dtype=torch.bool).nonzero(as_tuple=True)
        normal = self.state_region.normal(state[row], face)
        variance = self.dynamics.g_transpose_prod(0.0, state[row], normal).square().sum(-1) * self.dt
        if (level.flatten() >= -shift_distance(variance)).any():
            raise ArgumentError(
                "start",
                "inside the region, but in the layer of width 0.58 √(v·dt) that crossing 'shift' removes; "
                "use crossing 'bridge', a smaller dt or a larger region",
            )
