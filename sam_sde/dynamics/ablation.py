"""An optimizer's SDE with the wrong noise, to see what the right one is worth."""

from __future__ import annotations

import torch

from sam_sde.dynamics.base import Dynamics, Time
from sam_sde.dynamics.sam import PerturbedSGD


class WithSGDNoise(Dynamics):
    """The drift of `optimizer`, a variant of SAM, with the noise of SGD: √(ηΣ(w)/B) of the weights themselves."""

    def __init__(self, optimizer: PerturbedSGD):
        self.optimizer = optimizer
        self.dim, self.lr = optimizer.dim, optimizer.lr
        self.channels = optimizer.noise.channels(optimizer.dim)
        self.noise_type = "additive" if optimizer.noise.additive else "general"

    @property
    def state_dim(self) -> int:
        return self.optimizer.state_dim

    def f(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        return self.optimizer.f(t, x)

    def g_prod(self, t: Time, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """z may have more channels than SGD's noise, those of an independent ascent: they are left out."""
        return self.optimizer._motion.diffuse(t, self.optimizer.noise.product(self.weights(x), z[:, : self.channels]))

    def g_transpose_prod(self, t: Time, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        along = self.optimizer._motion.transposed(t, direction)
        return self.optimizer.noise.transposed_product(self.weights(x), along)
