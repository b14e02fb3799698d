"""One optimizer first, another one from a time on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from sam_sde import checks
from sam_sde.dynamics.base import Chosen, Dynamics, Time
from sam_sde.dynamics.minibatch import Minibatch
from sam_sde.dynamics.schedules import AFTER
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Positive


class Switch(Dynamics):
    """`first` in steps that begin before the time `at`, `second` from then on: SGD first and SAM late, say.

    Both go on from the state that the other leaves, velocity included, and share their noise's Brownian motions. The
    start is that of `first`, and must be one for `second` too.

    Raises
        ValueError: `at` is not above 0, one of the two is no Dynamics, or they differ in lr, in the number of weights,
            or in whether a state holds a velocity.
    """

    def __init__(self, first: Dynamics, second: Dynamics, *, at: Positive):
        self.first, self.second = _require_dynamics("first", first), _require_dynamics("second", second)
        self.at = checks.positive("at", at)
        if first.lr != second.lr:
            raise ArgumentError(
                "second",
                f"expected the lr of the first optimizer, {first.lr:g}, got {second.lr:g}; time is lr · steps "
                "for both, so give a change of the learning rate by lr_schedule",
            )
        if first.dim != second.dim:
            raise ArgumentError("second", f"expected {first.dim} weights as the first optimizer has, got {second.dim}")
        if first.state_dim != second.state_dim:
            raise ArgumentError(
                "second",
                "expected a velocity where the first optimizer has one, and none where it has none; "
                "give both a momentum above 0 and momentum_model 'underdamped', or neither",
            )
        self.dim, self.lr = first.dim, first.lr
        self.channels = max(first.channels, second.channels)
        additive = first.noise_type == second.noise_type == "additive"
        self.noise_type = "additive" if additive else "general"

    @property
    def surface(self):
        return self.first.surface

    @property
    def state_dim(self) -> int:
        return self.first.state_dim

    @property
    def parts(self) -> list[Dynamics]:
        return [*self.first.parts, *self.second.parts]

    def active(self, t: float) -> Dynamics:
        return (self.second if t >= AFTER * self.at else self.first).active(t)

    @property
    def draws_velocity(self) -> bool:
        return self.first.draws_velocity

    def initial_state(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.first.initial_state(w, z[:, : self.first.channels])

    def f(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        return self.choose(t, lambda dynamics: dynamics.f(t, x))

    def g_prod(self, t: Time, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.choose(t, lambda dynamics: dynamics.g_prod(t, x, z[:, : dynamics.channels]))

    def g_transpose_prod(self, t: Time, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        def product(dynamics: Dynamics) -> torch.Tensor:
            return torch.nn.functional.pad(
                dynamics.g_transpose_prod(t, x, direction), (0, self.channels - dynamics.channels)
            )

        return self.choose(t, product)

    def choose(self, t: Time, of: Callable[[Dynamics], Chosen]) -> Chosen:
        """`of` the active optimizer; of both where t is a tensor, whose values are not asked for."""
        if not isinstance(t, torch.Tensor):
            return of(self.active(t))
        later = t >= AFTER * self.at
        first, second = self.first.choose(t, of), self.second.choose(t, of)
        if isinstance(first, torch.Tensor):
            return torch.where(later, second, first)
        return tuple(torch.where(later, *each) for each in zip(second, first, strict=True))

    def step(self, t: Time, state: torch.Tensor, minibatches: Iterable[Minibatch]) -> torch.Tensor:
        return self.active(float(torch.as_tensor(t).max())).step(t, state, minibatches)

    def check_algorithm(self) -> None:
        for part in self.parts:
            part.check_algorithm()

    def check_sde(self) -> None:
        for part in self.parts:
            part.check_sde()

    def largest_variance(self) -> float | None:
        bounds = [self.first.largest_variance(), self.second.largest_variance()]
        return None if None in bounds else max(bounds)

    def check_schedules(self, t_max: float) -> None:
        self.first.check_schedules(t_max)
        self.second.check_schedules(t_max)

    def check_start(self, w: torch.Tensor) -> None:
        self.first.check_start(w)
        self.second.check_start(w)


def _require_dynamics(name: str, dynamics: Dynamics) -> Dynamics:
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError(name, f"expected an optimizer such as SGD(...) or SAM(...), got {checks.shown(dynamics)}")
    return dynamics
