"""An escape: what an engine integrates until paths leave a region, checked before anything runs."""

import math
from dataclasses import dataclass, field

import torch

from sam_sde import checks
from sam_sde.dynamics import times
from sam_sde.engines.integration import MAX_STEPS, Integration
from sam_sde.errors import ArgumentError
from sam_sde.regions import OnWeights, Region
from sam_sde.regions.crossing import CROSSINGS, bridge_reach, shift_distance
from sam_sde.regions.distance import level_of, require_gradient, unit_normals

# Of many random starts: there the dynamics are tried in all their parts, which with data takes a second a path.
FULLY_CHECKED = 2


@dataclass(frozen=True, kw_only=True)
class EscapeProblem(Integration):
    """One arm's escape: the integration, and the region to leave.

    t_max: time at which a path still inside is censored; rounded up to whole steps of dt.
    crossing: "bridge", "shift" or "none" (see `sam_sde.regions.crossing`).
    halves: the same problem at dt/2, of `half_steps`; then crossings within a step are looked for in its two halves.
    state_region: the region, which is one of weights, as engines see it: on the states of the dynamics.

    Raises
        ValueError: a value out of its range.
    """

    region: Region
    t_max: float
    crossing: str = "bridge"
    halves: "EscapeProblem | None" = field(default=None, repr=False)
    n_steps: int = field(init=False)
    state_region: Region = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        checks.positive("t_max", self.t_max)
        if self.dt > self.t_max:
            raise ArgumentError("dt", f"expected at most t_max = {self.t_max:g}, got {self.dt:g}")
        checks.one_of("crossing", self.crossing, CROSSINGS)
        if self.region.every > 1 and self.crossing != "none":
            raise ArgumentError(
                "every",
                f"expected 1 for crossing {self.crossing!r}, which looks into each step, got {self.region.every}; "
                "try crossing 'none', or engine 'discrete'",
            )
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

    @property
    def reach(self) -> float:
        """How far inside the boundary a step may begin or end and yet cross it; infinite where no bound is known."""
        largest, slope = self.dynamics.largest_variance(), self.region.slope
        if self.crossing == "none" or largest == 0:
            return 0.0
        if largest is None or slope is None:
            return math.inf
        variance = largest * slope**2 * self.dt
        reach = bridge_reach(variance) if self.crossing == "bridge" else shift_distance(variance)
        return 1.0001 * reach  # more than rounding in float32 can exclude

    @property
    def by_distance(self) -> bool:
        """Whether a crossing has to find the distance to the boundary, since the level of the region is none."""
        return self.crossing != "none" and self.region.slope is None and self.dynamics.largest_variance() != 0

    def check_start(self, w: torch.Tensor) -> None:
        """Raises ValueError where paths cannot start at the weights w (paths, dim), of the run's dtype and device.

        All have to be inside of the region; the dynamics are tried at the first of them.
        """
        few = w[:FULLY_CHECKED]
        self.dynamics.check_start(few)
        self.region.check_start(w)
        if self.crossing != "none":
            state = self.state_at(few)
            self.dynamics.check_method("g_transpose_prod", state, torch.ones_like(state))
        if self.by_distance:
            require_gradient(self.region, w[:1], self.crossing)
        if self.crossing == "shift":
            self._check_shift(w)

    def state_at(self, w: torch.Tensor) -> torch.Tensor:
        """That of paths which start at the weights w (paths, dim), with the velocity 0 where one is drawn."""
        return self.dynamics.initial_state(w, w.new_zeros(len(w), self.dynamics.channels))

    def _check_shift(self, w: torch.Tensor) -> None:
        level = self.region.levels(w)
        state = self.state_at(w)
        row, face = torch.ones_like(level, dtype=torch.bool).nonzero(as_tuple=True)
        state, level = state[row], level.flatten()
        if self.by_distance:
            normal = unit_normals(self.state_region, state, face)
        else:
            normal = self.state_region.normal(state, face)
        shift = shift_distance(
            self.dynamics.g_transpose_prod(times(0.0, state), state, normal).square().sum(-1) * self.dt
        )
        if self.by_distance:
            removed = level_of(self.state_region, state + shift[:, None] * normal, face) >= 0
        else:
            removed = level >= -shift
        if removed.any():
            raise ArgumentError(
                "start",
                "inside the region, but in the layer of width 0.58 √(v·dt) that crossing 'shift' removes; "
                "use crossing 'bridge', a smaller dt or a larger region",
            )
