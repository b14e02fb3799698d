"""Networks that learn a data set: regressions, linear networks, the multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sam_sde.checks import one_of, shown, whole
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.data import Dataset, centred
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.layers import ACTIVATIONS, LayeredLoss
from sam_sde.surfaces.surface import CriticalPoint


def linear_regression(data: Dataset) -> FiniteSum:
    """½ (a·x + b - y)², weights (a, b), y standardized: dim features + 1. Critical point: the minimum.

    Raises ValueError where the target is not a number (two classes count as numbers).
    """
    loss = LayeredLoss((data.features.shape[1], 1), bias=True)
    target = data.numbers()[:, None]
    inputs = torch.cat([data.features, torch.ones_like(target)], dim=1)
    # Constant features make the minimum a plane; this is its point nearest to the origin.
    minimum = torch.linalg.lstsq(inputs, target, driver="gelsd").solution[:, 0]
    return FiniteSum(
        loss,
        (data.features, target),
        loss.dim,
        name="linear_regression",
        critical_points=[CriticalPoint(tuple(minimum.tolist()), "minimum")],
    )


def logistic_regression(data: Dataset) -> FiniteSum:
    """log(1 + exp z) - y z with z = a·x + b and y the class, 0 or 1; weights (a, b): dim features + 1.

    Raises ValueError where there are not two classes.
    """
    loss = LayeredLoss((data.features.shape[1], 1), bias=True, loss="logistic")
    target = data.classes(2)[0].double()[:, None]
    return FiniteSum(loss, (data.features, target), loss.dim, name="logistic_regression")


def linear_autoencoder(data: Dataset, hidden: int = 4, seed: int = 0) -> FiniteSum:
    """½ ‖x - W₂ W₁ x‖² with `hidden` units between: dim 2 · features · hidden.

    Critical points: the origin, a saddle whose Hessian has the eigenvalues ±μ, `hidden` times each, for every
    eigenvalue μ of the second-moment matrix (1/n) Σ x xᵀ; and the minimum W₁ᵀ = W₂ = the first principal components,
    whose loss is half the sum of the other μ (Baldi and Hornik, "Neural networks and principal component analysis",
    Neural Networks 1989).

    Raises ValueError where hidden is not from 1 to the number of features.
    """
    features = data.features.shape[1]
    loss = LayeredLoss((features, whole("hidden", hidden, low=1, high=features), features))
    moments = data.features.mT @ data.features / len(data.features)
    components = torch.linalg.eigh(moments).eigenvectors[:, features - hidden :]
    minimum = torch.cat([components.mT.flatten(), components.flatten()])
    return FiniteSum(
        loss,
        data.features,
        loss.dim,
        name="linear_autoencoder",
        critical_points=[origin(loss.dim), CriticalPoint(tuple(minimum.tolist()), "minimum")],
        initial_weights=loss.random_weights(seed),
    )


def deep_linear_network(data: Dataset, hidden: int | list[int] = 8, layers: int = 3, seed: int = 0) -> FiniteSum:
    """½ ‖y - W_k … W_1 x‖² with k = `layers`; y is one-hot for classes, less its mean, or a standardized number.

    hidden: the width of all layers between, or a list of them, which then says how many there are. Critical point: the
    origin, a saddle, where for more than two layers the Hessian vanishes too.

    Raises ValueError for layers below 2, and widths below 1.
    """
    layers = whole("layers", layers, low=2)
    widths = _widths([hidden] * (layers - 1) if isinstance(hidden, int) else hidden)
    if not widths:
        raise ArgumentError("hidden", "expected at least one width, got none; try model linear_regression")
    target = centred(_one_hot(data)) if data.nominal or _is_text(data) else data.numbers()[:, None]
    loss = LayeredLoss((data.features.shape[1], *widths, target.shape[1]))
    return FiniteSum(
        loss,
        (data.features, target),
        loss.dim,
        name="deep_linear_network",
        critical_points=[origin(loss.dim)],
        initial_weights=loss.random_weights(seed),
    )


def mlp(
    data: Dataset,
    hidden: int | list[int] = 16,
    activation: str = "tanh",
    loss: str = "cross_entropy",
    seed: int = 0,
) -> FiniteSum:
    """A multilayer perceptron with biases, hidden layers of the widths `hidden` (one or a list) and one activation.

    loss: "cross_entropy" on the classes, or "squared_error", ½ (output - y)², on a standardized number y. Initial
    weights: normal with variance 1/inputs from `seed`, biases zero. Critical point: all weights zero and the last bias
    at the constant that fits best, a saddle whenever some hidden layer can lower the loss.

    Raises ValueError for unknown words, widths below 1, and a target that does not fit the loss.
    """
    one_of("activation", activation, ACTIVATIONS)
    widths = _widths([hidden] if isinstance(hidden, int) else hidden)
    if one_of("loss", loss, ("cross_entropy", "squared_error")) == "cross_entropy":
        target, outputs = data.classes()
        best = (torch.bincount(target).double() / len(target)).log()
    else:
        target, outputs = data.numbers()[:, None], 1
        best = torch.zeros(1)
    network = LayeredLoss((data.features.shape[1], *widths, outputs), activation, bias=True, loss=loss)
    constant = CriticalPoint((*[0.0] * (network.dim - outputs), *best.tolist()), "saddle")
    return FiniteSum(
        network,
        (data.features, target),
        network.dim,
        name="mlp",
        critical_points=[constant] if widths else [],
        initial_weights=network.random_weights(seed),
    )


def origin(dim: int, kind: str = "saddle") -> CriticalPoint:
    return CriticalPoint((0.0,) * dim, kind)


def _widths(hidden: Sequence[int]) -> list[int]:
    if not isinstance(hidden, list | tuple):
        raise ArgumentError("hidden", f"expected a whole number or a list of them, got {shown(hidden)}")
    return [whole("hidden", width, low=1) for width in hidden]


def _is_text(data: Dataset) -> bool:
    return data.target is not None and data.target.dtype.kind == "U"


def _one_hot(data: Dataset) -> torch.Tensor:
    index, number = data.classes()
    return torch.nn.functional.one_hot(index, number).double()
