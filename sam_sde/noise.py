"""The covariance Σ(w) of one sample's gradient, through a factor L with L Lᵀ = Σ.

A minibatch of B samples has covariance Σ/B, and the SDE of an optimizer with learning rate η has ηΣ/B; the
dynamics apply that scale. A noise is used through products with L and Lᵀ, so that none has to form a matrix.
"""

import abc
from collections.abc import Sequence

import torch

from sam_sde import checks
from sam_sde.constant import Constant
from sam_sde.surfaces import LossSurface, require_surface


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

    def variance_along(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """dᵀ Σ(w) d (paths,), without forming Σ."""
        return self.transposed_product(w, direction).square().sum(-1)

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


class IsotropicNoise(Noise):
    """Σ = σ² I, with σ ≥ 0.

    Raises
        ValueError: sigma is negative or not a finite number.
    """

    additive = True

    def __init__(self, sigma: float):
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

    def __init__(self, covariance: Sequence[Sequence[float]] | torch.Tensor):
        matrix = checks.array("covariance", covariance, ndim=2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"covariance: expected a square matrix, got {tuple(matrix.shape)}")
        scale = matrix.abs().max()
        if (matrix - matrix.mT).abs().max() > 1e-9 * scale:
            raise ValueError("covariance: expected a symmetric matrix; try (C + C.T) / 2")
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        if values.min() < -1e-9 * scale:
            raise ValueError(
                "covariance: expected a positive semidefinite matrix, "
                f"got one with the eigenvalue {values.min().item():.6g}"
            )
        self.dim = len(matrix)
        self._largest = values.max().clamp(min=0).item()
        self._root = Constant((vectors * values.clamp(min=0).sqrt()) @ vectors.mT)

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        return self._root.like(w).expand(len(w), -1, -1)

    def product(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return z @ self._root.like(w)

    def transposed_product(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return direction @ self._root.like(w)

    def largest_variance(self) -> float:
        return self._largest


class HessianNoise(Noise):
    """Σ(w) = |H(w)|: the loss's Hessian with its eigenvalues replaced by their absolute values.

    Near a critical point the covariance of the gradients of a negative log-likelihood is close to it (Xie, Sato
    and Sugiyama, "A diffusion theory for deep learning dynamics", ICLR 2021; Kim et al., "Stability analysis of
    sharpness-aware minimization", arXiv 2301.06308). It costs an eigendecomposition a path and step; near a
    critical point `FrozenHessianNoise` is nearly the same and free.
    """

    def __init__(self, surface: LossSurface):
        self.surface = require_surface(surface)
        self.dim = surface.dim

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        return absolute_power(self.surface.hessian(w), 0.5)

    def trace(self, w: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvalsh(self.surface.hessian(w)).abs().sum(-1)


class FrozenHessianNoise(ConstantNoise):
    """Σ = |H(at)| everywhere: the Hessian noise of one point.

    Raises
        ValueError: `at` has the wrong length, or the Hessian there is not finite.
    """

    def __init__(self, surface: LossSurface, at: Sequence[float] | torch.Tensor):
        point = checks.vector("at", at, require_surface(surface).dim)
        surface.check_at(point[None])
        hessian = surface.hessian(point[None])[0]
        if not torch.isfinite(hessian).all():
            raise ValueError(f"at: the Hessian at {point.tolist()} is not finite")
        super().__init__(absolute_power(hessian, 1.0))


def absolute_power(matrix: torch.Tensor, power: float) -> torch.Tensor:
    """V |Λ|^power Vᵀ of symmetric matrices V Λ Vᵀ (…, dim, dim); NaN where a matrix is not finite."""
    finite = torch.isfinite(matrix).all(-1, keepdim=True).all(-2, keepdim=True)
    values, vectors = torch.linalg.eigh(torch.where(finite, matrix, 0.0))
    result = (vectors * values.abs().pow(power)[..., None, :]) @ vectors.mT
    return torch.where(finite, result, torch.nan)
