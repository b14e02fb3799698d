"""Noise with the same covariance everywhere."""

from __future__ import annotations

import torch

from sam_sde import checks
from sam_sde.device_copies import DeviceCopies
from sam_sde.errors import ArgumentError
from sam_sde.noise.base import Noise
from sam_sde.parameters import Matrix, NonNegative


class IsotropicNoise(Noise):
    """Σ = σ² I, with σ ≥ 0.

    Raises
        ValueError: sigma is negative or not a finite number.
    """

    additive = True

    def __init__(self, sigma: NonNegative):
        self.sigma = checks.non_negative("sigma", sigma)

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        identity = torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
        return (self.sigma * identity).expand(len(w), -1, -1)

    def product(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.sigma * z

    def transposed_product(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return self.sigma * direction

    def trace(self, w: torch.Tensor) -> torch.Tensor:
        return w.new_full((len(w),), self.sigma**2 * w.shape[-1])

    def largest_variance(self) -> float:
        return self.sigma**2


class NoNoise(IsotropicNoise):
    """Σ = 0: the dynamics become an ordinary differential equation."""

    def __init__(self):
        super().__init__(0.0)


class ConstantNoise(Noise):
    """Σ = a constant symmetric positive semidefinite matrix (dim, dim); L is its symmetric square root.

    Raises
        ValueError: the matrix is not square, not symmetric, or has a negative eigenvalue.
    """

    additive = True

    def __init__(self, covariance: Matrix):
        matrix = checks.array("covariance", covariance, ndim=2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ArgumentError("covariance", f"expected a square matrix, got {tuple(matrix.shape)}")
        scale = matrix.abs().max()
        if (matrix - matrix.mT).abs().max() > 1e-9 * scale:
            raise ArgumentError("covariance", "expected a symmetric matrix; try (C + C.T) / 2")
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        if values.min() < -1e-9 * scale:
            raise ArgumentError(
                "covariance",
                f"expected a positive semidefinite matrix, got one with the eigenvalue {values.min().item():.6g}",
            )
        self.dim = len(matrix)
        self._largest = values.max().clamp(min=0).item()
        self._root = DeviceCopies((vectors * values.clamp(min=0).sqrt()) @ vectors.mT)

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        return self._root.like(w).expand(len(w), -1, -1)

    def product(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return z @ self._root.like(w)

    def transposed_product(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return direction @ self._root.like(w)

    def largest_variance(self) -> float:
        return self._largest
