"""The loss of a network of layers on one sample, as a function of one flat vector of weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch

from sam_sde.errors import ArgumentError

ACTIVATIONS = {
    "identity": lambda x: x,
    "square": lambda x: torch.square(x),
    "tanh": lambda x: torch.tanh(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "erf": lambda x: torch.erf(x),
    "relu": lambda x: torch.relu(x),
    "gelu": lambda x: torch.nn.functional.gelu(x),
    "silu": lambda x: torch.nn.functional.silu(x),
    "softplus": lambda x: torch.nn.functional.softplus(x),
}


def _squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 0.5 * (output - target).square().sum()


def _cross_entropy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(output, target)


def _logistic(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (torch.nn.functional.softplus(output) - target * output).sum()


LOSSES = {"squared_error": _squared_error, "cross_entropy": _cross_entropy, "logistic": _logistic}


@dataclass(frozen=True)
class LayeredLoss:
    """Loss of W_k φ(… φ(W_1 x + b_1) …) + b_k on one sample (x, target), or x alone, which is then its own target.

    widths: of the input, each hidden layer and the output. activation: φ. loss: of output y and target t, which is
    ½‖y - t‖² for "squared_error", log Σ_j exp y_j - y_t for "cross_entropy" with t the number of a class, and
    log(1 + exp y) - t y for "logistic" with t 0 or 1.

    The weights are those of the first layer, W_1 row by row and then b_1 if there is a `bias`, the second, and so on.
    """

    widths: tuple[int, ...]
    activation: str = "identity"
    bias: bool = False
    loss: str = "squared_error"

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each W and b, in the order of the weights."""
        layers = itertools.pairwise(self.widths)
        return [
            shape for fan_in, out in layers for shape in ([(out, fan_in), (out,)] if self.bias else [(out, fan_in)])
        ]

    @property
    def dim(self) -> int:
        return sum(torch.Size(shape).numel() for shape in self.shapes)

    def layers(self, w: torch.Tensor) -> list[torch.Tensor]:
        """W_1, b_1, W_2, … of one weight vector (dim,). Raises ValueError where it has another length."""
        if w.shape != (self.dim,):
            raise ArgumentError("w", f"expected {self.dim} weights, got the shape {tuple(w.shape)}")
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        return [part.view(shape) for part, shape in zip(w.split(sizes), self.shapes, strict=True)]

    def __call__(self, w: torch.Tensor, sample: torch.Tensor | tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, target = sample if isinstance(sample, tuple) else (sample, sample)
        layers = self.layers(w)
        step = 2 if self.bias else 1
        for first in range(0, len(layers), step):
            x = torch.nn.functional.linear(x, *layers[first : first + step])
            if first + step < len(layers):
                x = ACTIVATIONS[self.activation](x)
        return LOSSES[self.loss](x, target)

    def random_weights(self, seed: int) -> torch.Tensor:
        """Initial weights (dim,), float64: each W normal with variance 1/(its number of inputs), each b zero."""
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for shape in self.shapes:
            normal = torch.randn(shape, generator=generator, dtype=torch.float64)
            parts.append((normal / shape[1] ** 0.5 if len(shape) == 2 else torch.zeros_like(normal)).flatten())
        return torch.cat(parts)
