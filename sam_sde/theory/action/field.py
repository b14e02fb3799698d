"""Drift and covariance along which an action is taken, and the action itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError

VANISHING = 1e-9  # of the variance in another direction
VANISHED = 1e-6  # of the largest one along a path


class Field:
    """dw = b(w) dt + √ε σ(w) dW with a = σσᵀ: what a path costs where ε is small.

    drift: b of states (paths, dim) as a tensor (paths, dim); covariance: a, (paths, dim, dim). Both by torch, in
    float64, and differentiable. The probability of a path φ is about e^{-S/ε} with

        S(φ) = ∫ (|φ'| |b| - <φ', b>) ds,  <u, v> = uᵀ a⁻¹ v,

    when it takes the best time for its way (Heymann and Vanden-Eijnden, Comm. Pure Appl. Math. 61, 2008). S does not
    depend on how φ is parametrized, and is 0 along the flow of b.
    """

    def __init__(
        self, drift: Callable[[Tensor], Tensor], covariance: Callable[[Tensor], Tensor], dim: int, *, additive=False
    ):
        self._drift, self._covariance, self.dim = drift, covariance, dim
        self.additive, self._factor = additive, None

    def drift(self, points: Tensor) -> Tensor:
        """b (points, dim); raises ArgumentError where it is not finite."""
        found = self._drift(points)
        _require_finite("drift", found.detach(), points)
        return found

    def covariance(self, points: Tensor) -> Tensor:
        """a (points, dim, dim); raises ArgumentError where it is not finite."""
        found = self._covariance(points)
        _require_finite("noise", found.detach().flatten(1), points)
        return found

    def factor(self, points: Tensor) -> Tensor:
        """The lower triangle L (points, dim, dim) with a = L Lᵀ; one for all points where the noise is additive.

        Raises ArgumentError where a is singular.
        """
        if self._factor is not None:
            return self._factor
        covariance = self.covariance(points[:1] if self.additive else points)
        found, failed = torch.linalg.cholesky_ex(covariance)
        pivots = found.detach().diagonal(dim1=-2, dim2=-1).square()
        singular = (failed > 0) | ~(pivots.amin(-1) > VANISHING * pivots.amax(-1))
        for worst in singular.nonzero()[:1, 0].tolist():
            raise no_noise(points[worst])
        if self.additive:
            self._factor = found
        return found

    def cost(self, points: Tensor, velocities: Tensor) -> Tensor:
        """|φ'| |b| - <φ', b> (points,) where a path is at `points` with the velocities φ' (points, dim)."""
        vectors = torch.stack([velocities, self.drift(points)], dim=-1)
        u, v = torch.linalg.solve_triangular(self.factor(points), vectors, upper=False).unbind(-1)
        return _norm(u) * _norm(v) - (u * v).sum(-1)


def require_elliptic(covariance: Tensor, points: Tensor) -> None:
    """Raises ArgumentError where a covariance (points, dim, dim) has no noise in some direction."""
    values = torch.linalg.eigvalsh(covariance.detach())
    for worst in (~(values[:, 0] > VANISHING * values[:, -1])).nonzero()[:1, 0].tolist():
        raise no_noise(points[worst])


def require_noise_along(field: Field, path: np.ndarray) -> None:
    """Raises ArgumentError where the covariance vanishes on a path (points, dim), or between its points.

    There it is looked for around the point where the variance in some direction is smallest.
    """

    def smallest(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.linalg.eigvalsh(field.covariance(torch.from_numpy(points)))[:, 0].numpy()

    if field.additive:
        return
    variances = smallest(path)
    worst = int(variances.argmin())
    around = path[max(worst - 1, 0) : worst + 2]

    def between(s: float) -> float:
        return smallest(_on(around, s)[None])[0]

    found = minimize_scalar(between, bounds=(0, len(around) - 1), method="bounded", options={"xatol": 1e-12})
    if min(found.fun, variances[worst]) <= VANISHED * variances.max():
        raise no_noise(torch.from_numpy(_on(around, found.x)))


def _on(points: np.ndarray, s: float) -> np.ndarray:
    return np.array([np.interp(s, np.arange(len(points)), x) for x in points.T])


def no_noise(point: Tensor) -> ArgumentError:
    return ArgumentError(
        "noise",
        f"the covariance has no noise in some direction at {_shown(point)}, on the way out: there the action is "
        "infinite, or is not told by the drift alone (ellipticity); try another noise or region",
    )


def _norm(vectors: Tensor) -> Tensor:
    """Lengths (points,), with the derivative 0 where a vector is zero."""
    return vectors.square().sum(-1).clamp_min(1e-300).sqrt()


def _require_finite(name: str, values: Tensor, points: Tensor) -> None:
    finite = torch.isfinite(values).all(-1)
    if not finite.all():
        which = "the drift" if name == "drift" else "the noise"
        raise ArgumentError(
            "dynamics", f"{which} is not finite at {_shown(points[~finite][0])}, on a way out; try a smaller region"
        )


def _shown(point: Tensor) -> str:
    return shown(np.round(point.detach().numpy(), 6).tolist())
