"""The loss's own Hessian as the covariance."""

from collections.abc import Sequence

import torch

from sam_sde import checks
from sam_sde.noise.base import Noise
from sam_sde.noise.constant import ConstantNoise
from sam_sde.surfaces import LossSurface, require_surface


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
