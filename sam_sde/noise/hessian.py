"""The loss's own Hessian, or a power of it, as the covariance."""

from __future__ import annotations

import torch

from sam_sde import checks
from sam_sde.noise.base import Noise
from sam_sde.noise.constant import ConstantNoise
from sam_sde.parameters import Point, Positive
from sam_sde.surfaces import LossSurface, require_surface


class HessianNoise(Noise):
    """Σ(w) = |H(w)|^γ: the loss's Hessian with powers of the absolute values of its eigenvalues, γ = `power`.

    Near a critical point the covariance of the gradients of a negative log-likelihood is close to |H| (Xie, Sato
    and Sugiyama, "A diffusion theory for deep learning dynamics", ICLR 2021; Kim et al., "Stability analysis of
    sharpness-aware minimization", arXiv 2301.06308); of networks powers between 1 and 2 were measured (arXiv
    2602.05600). It costs an eigendecomposition a path and step, in two dimensions a closed form; near a critical
    point `FrozenHessianNoise` is nearly the same and free.

    Raises
        ValueError: power is not above 0.
    """

    def __init__(self, surface: LossSurface, power: Positive = 1.0):
        self.surface = require_surface(surface)
        self.power = checks.positive("power", power)
        self.dim = surface.dim

    def factor(self, w: torch.Tensor) -> torch.Tensor:
        return absolute_power(self.surface.hessian(w), self.power / 2)

    def trace(self, w: torch.Tensor) -> torch.Tensor:
        hessian = self.surface.hessian(w)
        finite = _finite(hessian)
        values = _eigenvalues(torch.where(finite, hessian, 0.0))
        return torch.where(finite[..., 0, 0], values.abs().pow(self.power).sum(-1), torch.nan)


class FrozenHessianNoise(ConstantNoise):
    """Σ = |H(at)|^γ everywhere: the Hessian noise of one point, γ = `power`.

    Raises
        ValueError: `at` has the wrong length, the Hessian there is not finite, or power is not above 0.
    """

    def __init__(self, surface: LossSurface, at: Point, power: Positive = 1.0):
        point = checks.vector("at", at, require_surface(surface).dim)
        self.power = checks.positive("power", power)
        super().__init__(absolute_power(surface.finite_hessian(point, "at"), self.power))


def hessian_noise(
    surface: LossSurface, at: Point | None = None, power: Positive = 1.0
) -> HessianNoise | FrozenHessianNoise:
    """The noise of the Hessian where a path is, or at one point where `at` is given."""
    return HessianNoise(surface, power) if at is None else FrozenHessianNoise(surface, at, power)


def absolute_power(matrix: torch.Tensor, power: float) -> torch.Tensor:
    """V |Λ|^power Vᵀ of symmetric matrices V Λ Vᵀ (…, dim, dim); NaN where a matrix is not finite."""
    finite = _finite(matrix)
    power_of = _absolute_power_of_two if matrix.shape[-1] == 2 else _absolute_power
    return torch.where(finite, power_of(torch.where(finite, matrix, 0.0), power), torch.nan)


def _finite(matrix: torch.Tensor) -> torch.Tensor:
    return torch.isfinite(matrix).all(-1, keepdim=True).all(-2, keepdim=True)


def _absolute_power(matrix: torch.Tensor, power: float) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.abs().pow(power)[..., None, :]) @ vectors.mT


def _absolute_power_of_two(matrix: torch.Tensor, power: float) -> torch.Tensor:
    """For dim 2, in closed form: LAPACK would take the paths one by one.

    A function f of a matrix A with eigenvalues λ₁ ≤ λ₂ is (f(λ₁) + f(λ₂))/2 + (A - tr A/2) (f(λ₂) - f(λ₁))/(λ₂ - λ₁).
    """
    low, high = _eigenvalues(matrix).unbind(-1)
    low_power, high_power = low.abs().pow(power), high.abs().pow(power)
    slope = (high_power - low_power) / torch.where(high > low, high - low, 1.0)
    shift = (low_power + high_power - slope * (low + high)) / 2
    (a, b), (_, c) = (row.unbind(-1) for row in (slope[..., None, None] * matrix).unbind(-2))
    return torch.stack([a + shift, b, b, c + shift], -1).reshape(matrix.shape)


def _eigenvalues(matrix: torch.Tensor) -> torch.Tensor:
    """In ascending order (…, dim)."""
    if matrix.shape[-1] != 2:
        return torch.linalg.eigvalsh(matrix)
    (a, b), (_, c) = (row.unbind(-1) for row in matrix.unbind(-2))
    mean, half, round_ = (a + c) / 2, (a - c) / 2, (a == c) & (b == 0)
    distance = torch.where(round_, 0.0, torch.hypot(torch.where(round_, 1.0, half), b))  # with a derivative at 0
    return torch.stack([mean - distance, mean + distance], -1)
