"""Test functions: numbers by which the weights of an optimizer and of its SDE are compared."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sam_sde.checks import nearest, shown
from sam_sde.errors import ArgumentError
from sam_sde.surfaces import LossSurface

OBSERVABLES = ("loss", "squared_norm", "gradient_norm", "x0")


@dataclass(frozen=True)
class Observable:
    """g(w): `value` from weights (paths, dim) to (paths,), and its `gradient` to (paths, dim)."""

    name: str
    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


def observable(name: str, surface: LossSurface) -> Observable:
    """The test function called "loss", "squared_norm" (‖w‖²), "gradient_norm" (‖∇ℓ‖), or "x0", "x1", … (a coordinate).

    Raises ValueError for another name, and for a coordinate that the surface does not have.
    """
    if name == "loss":
        return Observable(name, surface.value, surface.gradient)
    if name == "squared_norm":
        return Observable(name, lambda w: w.square().sum(-1), lambda w: 2.0 * w)
    if name == "gradient_norm":
        return Observable(name, lambda w: surface.gradient(w).norm(dim=-1), lambda w: _slope_of_norm(surface, w))
    if not isinstance(name, str) or not re.fullmatch(r"x\d{1,9}", name):
        raise ArgumentError("test_functions", f"unknown value {shown(name)}; {nearest(name, OBSERVABLES)}, x1, …")
    number = int(name[1:])
    if number >= surface.dim:
        raise ArgumentError(
            "test_functions", f"the surface has {surface.dim} coordinates, x0 to x{surface.dim - 1}, got {name}"
        )
    return Observable(name, lambda w: w[:, number], lambda w: _unit(w, number))


def _slope_of_norm(surface: LossSurface, w: Tensor) -> Tensor:
    gradient = surface.gradient(w)
    return surface.hessian_product(w, torch.nn.functional.normalize(gradient, dim=-1))


def _unit(w: Tensor, number: int) -> Tensor:
    direction = torch.zeros_like(w)
    direction[:, number] = 1.0
    return direction
