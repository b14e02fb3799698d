"""Where SAM evaluates its gradient: the perturbation p(g) of the weights, and its derivative in g.

A minibatch's gradient is g + ξ with ξ of covariance Σ/B; a perturbation made from it is p(g + ξ), and its noise to
first order is Dp(g) ξ. Normalizing by ‖g + ξ‖ is not smooth at g = 0, where neither mean nor noise may be read off p;
`spread` = tr Σ/B smooths it, since E‖g + ξ‖² = ‖g‖² + tr Σ/B. It is 0 for an ascent along the full gradient.

Gradients and vectors are (paths, dim), `spread` is (paths, 1). `gain` is the c of Dp ≈ c·I.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.layout import row_norm, row_sum


class Perturbation(abc.ABC):
    """A map from gradients to displacements of the weights, row by row."""

    @abc.abstractmethod
    def __call__(self, gradient: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """p(g) (paths, dim)."""

    @abc.abstractmethod
    def derivative(self, gradient: torch.Tensor, spread: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Dp(g) v (paths, dim)."""

    def transposed_derivative(self, gradient: torch.Tensor, spread: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Dp(g)ᵀ v (paths, dim); the rules of this module but `Custom` have a symmetric Dp."""
        return self.derivative(gradient, spread, v)

    def of_minibatch(self, gradient: torch.Tensor, full_gradient: Callable[[], torch.Tensor]) -> torch.Tensor:
        """p made from one minibatch's `gradient` as the algorithm does; `full_gradient` is called where p needs ∇ℓ."""
        return self(gradient, gradient.new_zeros(()))


class Unnormalized(Perturbation):
    """p(g) = ρ g."""

    def __init__(self, rho: float):
        self.rho = checks.non_negative("rho", rho)

    def __call__(self, gradient, spread):
        return self.rho * gradient

    def derivative(self, gradient, spread, v):
        return self.rho * v

    def gain(self, gradient, spread):
        return self.rho


class Normalized(Perturbation):
    """p(g) = ρ g/√(‖g‖² + spread), and 0 at g = 0."""

    def __init__(self, rho: float):
        self.rho = checks.non_negative("rho", rho)

    def gain(self, gradient, spread):
        squared = row_sum(gradient.square()) + spread
        return torch.where(squared > 0, self.rho * squared.rsqrt(), 0.0)

    def __call__(self, gradient, spread):
        return self.gain(gradient, spread) * gradient

    def derivative(self, gradient, spread, v):
        squared = row_sum(gradient.square()) + spread
        along = row_sum(gradient * v) / torch.where(squared > 0, squared, 1.0)
        return self.gain(gradient, spread) * (v - along * gradient)


class NormalizedByFullGradient(Perturbation):
    """p = ρ (g + ξ)/‖g‖: the minibatch's gradient over the norm of the full one; infinite at g = 0."""

    def __init__(self, rho: float):
        self.rho = checks.non_negative("rho", rho)

    def gain(self, gradient, spread):
        return self.rho / row_norm(gradient)

    def __call__(self, gradient, spread):
        return self.gain(gradient, spread) * gradient

    def derivative(self, gradient, spread, v):
        return self.gain(gradient, spread) * v

    def of_minibatch(self, gradient, full_gradient):
        return self.gain(full_gradient(), 0.0) * gradient


class Custom(Perturbation):
    """p(g) by a torch function of ONE gradient (dim,)."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]):
        if not callable(function):
            raise ArgumentError("perturbation", f"expected a function of the gradient, got {function!r}")
        self.function = function

    def __call__(self, gradient, spread):
        return torch.func.vmap(self.function)(gradient)

    def derivative(self, gradient, spread, v):
        return torch.func.jvp(torch.func.vmap(self.function), (gradient,), (v,))[1]

    def transposed_derivative(self, gradient, spread, v):
        _, pull_back = torch.func.vjp(torch.func.vmap(self.function), gradient)
        return pull_back(v)[0]
