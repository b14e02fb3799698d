"""The covariance Σ(w) of one sample's gradient, through a factor L with L Lᵀ = Σ.

A minibatch of B samples has covariance Σ/B, and the SDE of an optimizer with learning rate η has ηΣ/B; the
dynamics apply that scale. A noise is used through products with L and Lᵀ, so that none has to form a matrix.
"""

from __future__ import annotations

import abc

import torch


class Noise(abc.ABC):
    """Covariance of one sample's gradient. A subclass gives `factor`, and `additive = True` where it is constant.

    Attributes
        additive: Σ is the same for every w (torchsde's additive noise).
        dim: number of coordinates it is made for; None if any.
    """

    additive = False
    dim: int | None = None

    @abc.abstractmethod
    def factor(self, w: torch.Tensor) -> torch.Tensor:
        """L(w) (paths, dim, channels) with L Lᵀ = Σ(w)."""

    def channels(self, dim: int) -> int:
        """Number of independent Brownian motions that drive `dim` coordinates."""
        return dim

    def minibatch_factor(self, batch_size: int) -> float:
        """What Σ/B is multiplied with to be the covariance of a minibatch of B samples: 1, if they are independent."""
        return 1.0

    def product(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """L(w) z (paths, dim) for z (paths, channels)."""
        return torch.einsum("pij,pj->pi", self.factor(w), z)

    def transposed_product(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """L(w)ᵀ d (paths, channels) for d (paths, dim)."""
        return torch.einsum("pij,pi->pj", self.factor(w), direction)

    def covariance(self, w: torch.Tensor) -> torch.Tensor:
        """Σ(w) (paths, dim, dim)."""
        factor = self.factor(w)
        return factor @ factor.mT

    def trace(self, w: torch.Tensor) -> torch.Tensor:
        """tr Σ(w) (paths,)."""
        return self.factor(w).square().sum((-2, -1))

    def trace_gradient(self, w: torch.Tensor) -> torch.Tensor:
        """∇ tr Σ(w) (paths, dim); zero for constant noise."""
        if self.additive:
            return torch.zeros_like(w)
        return torch.func.grad(lambda points: self.trace(points).sum())(w)

    def largest_variance(self) -> float | None:
        """A bound on dᵀ Σ(w) d over all w and unit d; None where there is none."""
        return None
