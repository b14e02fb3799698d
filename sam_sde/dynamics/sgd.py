"""Stochastic gradient descent."""

from __future__ import annotations

import torch

from sam_sde.dynamics.base import Time
from sam_sde.dynamics.gradient import GradientDynamics


class SGD(GradientDynamics):
    """dw = -∇ℓ(w) dt + √(η Σ(w)/B) dW, with t = η · steps.

    The order-1 weak approximation of `w ← w - η g`, g a minibatch gradient with covariance Σ/B (Li, Tai and E,
    "Stochastic modified equations and adaptive stochastic gradient algorithms", ICML 2017). See `GradientDynamics` for
    momentum, weight decay and schedules.
    """

    def descent(self, t: Time, w: torch.Tensor) -> torch.Tensor:
        return self.surface.gradient(w)

    def descent_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.noise.product(w, z)

    def descent_and_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.gradient_and_noise(w, z)

    def transposed_noise(self, t: Time, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return self.noise.transposed_product(w, direction)
