"""The covariance of the per-sample gradients of a loss over data, without a matrix."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.noise.base import Noise
from sam_sde.surfaces import FiniteSum, LossSurface

Sampling = Literal["with_replacement", "without_replacement", "epochs"]
SAMPLINGS = get_args(Sampling)


class EmpiricalNoise(Noise):
    """Σ(w) = (1/n) Σ_i (g_i - ∇ℓ)(g_i - ∇ℓ)ᵀ with g_i = ∇ℓ_i(w): the exact covariance of one sample's gradient.

    Its factor has a column for each sample, L = (g_1 - ∇ℓ, …, g_n - ∇ℓ)/√n, so L z is the gradient of the weighted loss
    Σ_i (z_i - z̄) ℓ_i(w)/√n: one gradient, whatever the number of weights. A column belongs to the same sample at every
    w, so L(w^p) z + H(w^p) Dp L(w) z is the derivative of SAM's minibatch gradient in the weights of its samples.

    sampling: how minibatches of B are drawn. Each sample on its own ("with_replacement") gives Σ/B; different samples
        ("without_replacement", and "epochs", where each sample comes once an epoch) give (n-B)/(n-1) · Σ/B.

    Raises
        ValueError: the surface is not a FiniteSum, or an unknown sampling.
    """

    def __init__(self, surface: LossSurface, sampling: Sampling = "with_replacement"):
        if not isinstance(surface, FiniteSum):
            raise ArgumentError(
                "noise",
                f"empirical noise needs a loss over data, got {checks.shown(surface)}; "
                "try a FiniteSum (surface: {model: ...} in a configuration), or another noise",
            )
        self.surface = surface
        self.sampling = checks.one_of("sampling", sampling, SAMPLINGS)
        self.dim = surface.dim
        self.n_samples = surface.n_samples

    def minibatch_factor(self, batch_size: int) -> float:
        """(n-B)/(n-1) where the samples of a minibatch are all different, else 1. Raises ValueError for B > n then."""
        if self.sampling == "with_replacement":
            return 1.0
        if batch_size > self.n_samples:
            raise ArgumentError(
                "batch_size",
                f"expected at most the {self.n_samples} samples that there are with sampling "
                f"{self.sampling!r}, got {batch_size}; try a smaller one, or 'with_replacement'",
            )
        return (self.n_samples - batch_size) / max(self.n_samples - 1, 1)

    def channels(self, dim: int) -> int:
        return self.n_samples

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        """L(w) (paths, dim, n); for small cases, since nothing else needs it."""
        gradients = self.surface.sample_gradients(w)
        return (gradients - gradients.mean(1, keepdim=True)).mT / self.n_samples**0.5

    def product(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.surface.weighted_gradient(w, self._centred(z))

    def gradient_and_product(self, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """∇ℓ(w) and L(w) z, with one pass through the losses."""
        return self.surface.weighted_gradients(w, self.surface.equal_weights(w), self._centred(z))

    def transposed_product(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return self._centred(self.surface.sample_slopes(w, direction))

    def _centred(self, values: torch.Tensor) -> torch.Tensor:
        """(v_i - v̄)/√n of each row (paths, n)."""
        return (values - values.mean(-1, keepdim=True)) / self.n_samples**0.5

    def trace(self, w: torch.Tensor) -> torch.Tensor:
        """E‖g_i‖² - ‖∇ℓ‖², never below 0."""
        variance = self.surface.mean_squared_gradient(w) - self.surface.gradient(w).square().sum(-1)
        return variance.clamp(min=0)

    def trace_gradient(self, w: torch.Tensor) -> torch.Tensor:
        mean = self.surface.gradient(w)
        return self.surface.mean_squared_gradient_slope(w) - 2 * self.surface.hessian_product(w, mean)
