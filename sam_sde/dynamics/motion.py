"""How weights move along a noisy descent direction: at once, or through a heavy ball's velocity.

A minibatch's descent direction is d(t, w) - G(t, w) z/√B, z standard normal, at the learning rate η·u(t). Shapes:
d and `noise` = G z (paths, dim), states (paths, state_dim).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from sam_sde.dynamics.schedules import factor_at, largest_factor
from sam_sde.parameters import TimeFunction

MomentumModel = Literal["underdamped", "overdamped"]
InitialVelocity = Literal["zero", "equilibrium"]
MOMENTUM_MODELS, VELOCITIES = get_args(MomentumModel), get_args(InitialVelocity)


@dataclass(frozen=True)
class Motion(abc.ABC):
    """From a descent direction and its noise to drift and noise of the state.

    momentum: γ. lr_schedule: u. noise_scale: √(η/B), which makes `noise` that of plain SGD's weights.
    """

    dim: int
    lr: float
    momentum: float
    lr_schedule: TimeFunction
    noise_scale: float

    @property
    @abc.abstractmethod
    def state_dim(self) -> int:
        """Number of coordinates of a state."""

    @abc.abstractmethod
    def drift(self, t, state: torch.Tensor, descent: torch.Tensor) -> torch.Tensor:
        """The drift of the state (paths, state_dim) for d(t, w) = `descent`."""

    @abc.abstractmethod
    def diffuse(self, t, noise: torch.Tensor) -> torch.Tensor:
        """The noise of the state (paths, state_dim) for `noise` of the direction."""

    @abc.abstractmethod
    def transposed(self, t, direction: torch.Tensor) -> torch.Tensor:
        """The transpose of `diffuse`, from a direction (paths, state_dim) to one of the weights (paths, dim)."""

    @abc.abstractmethod
    def largest_variance(self, variance: float | None) -> float | None:
        """A bound on the variance rate of the state along unit directions of the weights, from one on that of G z."""


class FirstOrder(Motion):
    """dw = -r d dt + r √(η/B) G dW with r = u/(1-γ): SGD, and the overdamped limit of the heavy ball."""

    @property
    def state_dim(self):
        return self.dim

    def _rate(self, t, w):
        return factor_at(self.lr_schedule, t, w) / (1.0 - self.momentum)

    def drift(self, t, state, descent):
        return -self._rate(t, descent) * descent

    def diffuse(self, t, noise):
        return (self._rate(t, noise) * self.noise_scale) * noise

    def transposed(self, t, direction):
        return (self._rate(t, direction) * self.noise_scale) * direction

    def largest_variance(self, variance):
        largest = largest_factor(self.lr_schedule)
        if variance is None or largest is None:
            return None
        return variance * (largest / (1.0 - self.momentum) * self.noise_scale) ** 2


class HeavyBall(Motion):
    """dw = -u v dt, dv = (d - (1-γ) v)/η dt - √(1/(ηB)) G dW, the state being (w, v).

    v is the momentum buffer of `v ← γ v + g, w ← w - η u v` as torch.optim.SGD has it, and t = η · steps. The noise has
    the sign that moves w as plain SGD's would, so that paths with and without momentum can be paired.
    """

    @property
    def state_dim(self):
        return 2 * self.dim

    def drift(self, t, state, descent):
        v = state[..., self.dim :]
        force = (descent - (1.0 - self.momentum) * v) / self.lr
        return torch.cat([-factor_at(self.lr_schedule, t, v) * v, force], dim=-1)

    def diffuse(self, t, noise):
        return torch.cat([torch.zeros_like(noise), (-self.noise_scale / self.lr) * noise], dim=-1)

    def transposed(self, t, direction):
        return (-self.noise_scale / self.lr) * direction[..., self.dim :]

    def largest_variance(self, variance):
        return 0.0

    def equilibrium(self, descent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A velocity (paths, dim) from its stationary law while the weights stay: N(d/(1-γ), G Gᵀ/(2B(1-γ)))."""
        damping = 1.0 - self.momentum
        return descent / damping - self.noise_scale / (2.0 * damping * self.lr) ** 0.5 * noise
