"""Surfaces that are sums over coordinates (after a rotation): quadratic, embedded saddle, double well."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch

from sam_sde.checks import positive, real, vector, whole
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.surface import CriticalPoint, LossSurface


def quadratic(eigenvalues: list[float], rotation: float | None = None) -> LossSurface:
    """ℓ(x) = ½ xᵀ R diag(λ) Rᵀ x, with as many coordinates as `eigenvalues`.

    R turns the plane of the first two coordinates by `rotation` degrees (default None: R = I), so that for
    dim 2 the eigenvectors are (cos, sin) and (-sin, cos). The origin is a minimum, a maximum, or a saddle.

    Raises ValueError for eigenvalues that are empty, not finite or all zero, and for a rotation in dim 1.
    """
    values = vector("eigenvalues", eigenvalues).tolist()
    if not any(values):
        raise ArgumentError("eigenvalues", f"expected at least one that is not 0, got {eigenvalues!r}")
    diagonal, coupling = list(values), 0.0
    if rotation is not None:
        if len(values) < 2:
            raise ArgumentError("rotation", "expected at least two eigenvalues to rotate, got 1")
        angle = math.radians(real("rotation", rotation))
        c, s = math.cos(angle), math.sin(angle)
        diagonal[0] = c * c * values[0] + s * s * values[1]
        diagonal[1] = s * s * values[0] + c * c * values[1]
        coupling = c * s * (values[0] - values[1])
    dim = len(values)
    kind = "minimum" if min(values) >= 0 else "maximum" if max(values) <= 0 else "saddle"
    loss = _Quadratic(WeightedSum(tuple(diagonal)), coupling)
    return LossSurface(
        loss,
        dim,
        gradient=loss.gradient,
        name="quadratic",
        critical_points=[CriticalPoint((0.0,) * dim, kind)],
    )


def embedded_saddle(eigenvalues: list[float], quartic: float = 1.0, cubic: float = 0.0) -> LossSurface:
    """ℓ(x) = ½ Σ h_i x_i² + (λ/2) Σ x_i⁴ - (ξ/3) Σ x_i³, with h = `eigenvalues`, λ = `quartic`, ξ = `cubic`.

    A saddle at the origin inside a loss that is bounded below, with as many coordinates as `eigenvalues`; a
    direction with h_i < 0 ends in wells on both sides, which `cubic` makes unequal. Critical points: all for
    dim 1 and 2, otherwise the origin and a global minimum.

    Source: Monzio Compagnoni et al., An SDE for Modeling SAM (2023); the default λ = 1, ξ = 0 is a choice.
    Raises ValueError for eigenvalues that are empty or not finite, quartic ≤ 0, and cubic not finite.
    """
    values = vector("eigenvalues", eigenvalues).tolist()
    quartic, cubic = positive("quartic", quartic), real("cubic", cubic)
    dim = len(values)
    coordinates = [_quartic_critical_points(h, quartic, cubic) for h in values]
    if dim <= 2:
        chosen = itertools.product(*coordinates)
    else:
        lowest = [_lowest(points, h, quartic, cubic) for points, h in zip(coordinates, values, strict=True)]
        chosen = [[points[0] for points in coordinates], lowest]
    points = dict.fromkeys(separable_critical_point(point) for point in chosen)
    loss = _EmbeddedSaddle(WeightedSum(tuple(values)), quartic, cubic)
    return LossSurface(
        loss,
        dim,
        gradient=loss.gradient,
        name="embedded_saddle",
        critical_points=tuple(points),
    )


def double_well(dim: int = 2, barrier: float = 1.0) -> LossSurface:
    """ℓ(x) = b (x_0² - 1)² + ½ Σ_{i≥1} x_i², with b = `barrier` the height between two minima at ±e_0.

    Defaults: dim 2, barrier 1. The origin is a saddle with eigenvalues -4b and 1 (for dim 1 a maximum); the
    minima have 8b and 1.

    Raises ValueError for a dim below 1 and a barrier that is not above 0.
    """
    dim, barrier = whole("dim", dim, low=1), positive("barrier", barrier)
    rest = (0.0,) * (dim - 1)
    loss = _DoubleWell(barrier)
    return LossSurface(
        loss,
        dim,
        gradient=loss.gradient,
        name="double_well",
        critical_points=[
            CriticalPoint((0.0, *rest), "saddle" if dim > 1 else "maximum"),
            CriticalPoint((1.0, *rest), "minimum"),
            CriticalPoint((-1.0, *rest), "minimum"),
        ],
    )


def separable_critical_point(coordinates: Sequence[tuple[float, float]]) -> CriticalPoint:
    """A critical point of a sum over coordinates, from the place and the curvature in each of them."""
    location = tuple(place for place, _ in coordinates)
    curvatures = [curvature for _, curvature in coordinates]
    kind = "minimum" if min(curvatures) > 0 else "maximum" if max(curvatures) < 0 else "saddle"
    return CriticalPoint(location, kind)


def _quartic_critical_points(h: float, quartic: float, cubic: float) -> list[tuple[float, float]]:
    """Place and curvature of the critical points of h x²/2 + λ x⁴/2 - ξ x³/3, first x = 0."""
    at_origin = h
    if h == 0 and cubic == 0:
        at_origin = quartic  # x⁴ has a minimum at 0, though its curvature vanishes there
    points = [(0.0, at_origin)]
    discriminant = cubic**2 - 8 * quartic * h
    if discriminant >= 0:
        for root in (math.sqrt(discriminant), -math.sqrt(discriminant)):
            x = (cubic + root) / (4 * quartic)
            # The derivative is x (2λx² - ξx + h): at its other zeros the curvature is x (4λx - ξ) = x root.
            if x not in [place for place, _ in points]:
                points.append((x, x * root))
    return points


def _lowest(points: list[tuple[float, float]], h: float, quartic: float, cubic: float) -> tuple[float, float]:
    """The one of the critical points of a coordinate where h x²/2 + λ x⁴/2 - ξ x³/3 is smallest."""
    return min(points, key=lambda point: point[0] ** 2 * (h / 2 + quartic * point[0] ** 2 / 2 - cubic * point[0] / 3))


class WeightedSum:
    """Σ_i c_i t_i with fixed weights c, for terms t of shape (dim,) of any dtype and device."""

    def __init__(self, weights: tuple[float, ...]):
        self.weights = weights
        self.tensor = torch.tensor(weights, dtype=torch.float64)

    def __call__(self, terms: torch.Tensor) -> torch.Tensor:
        if len(self.weights) > 8:
            return (self.tensor.to(terms.device, terms.dtype, non_blocking=True) * terms).sum()
        # A few weights are quicker as Python numbers: they need no copy to the device at every step. (Keeping
        # the copy is not safe: inside a transform of torch.func it would belong to that transform.)
        return reduce(add, [c * term for c, term in zip(self.weights, terms.unbind(), strict=True)])

    def of_each(self, w: torch.Tensor) -> torch.Tensor:
        """c_i w_i, for many vectors w (paths, dim)."""
        if len(self.weights) > 8:
            return self.tensor.to(w.device, w.dtype, non_blocking=True) * w
        return torch.stack([c * x for c, x in zip(self.weights, w.unbind(-1), strict=True)]).mT


@dataclass(frozen=True)
class _Quadratic:
    diagonal: WeightedSum
    coupling: float

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        loss = 0.5 * self.diagonal(w * w)
        return loss + self.coupling * w[0] * w[1] if self.coupling else loss

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        gradient = self.diagonal.of_each(w)
        if not self.coupling:
            return gradient
        return gradient + torch.cat([self.coupling * w[:, :2].flip(-1), torch.zeros_like(w[:, 2:])], dim=-1)


@dataclass(frozen=True)
class _EmbeddedSaddle:
    eigenvalues: WeightedSum
    quartic: float
    cubic: float

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        square = w * w
        return 0.5 * self.eigenvalues(square) + (square * (0.5 * self.quartic * square - self.cubic / 3 * w)).sum()

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        return self.eigenvalues.of_each(w) + w * w * (2.0 * self.quartic * w - self.cubic)


@dataclass(frozen=True)
class _DoubleWell:
    barrier: float

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        square = w * w
        return self.barrier * (square[0] - 1) ** 2 + 0.5 * square[1:].sum()

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        along = w[:, :1]
        return torch.cat([4.0 * self.barrier * along * (along * along - 1.0), w[:, 1:]], dim=-1)
