"""Convolutions as operations that torch's compiler calls and does not look into.

Under vmap a layer with weights of each path's own is a convolution of as many groups as there are paths, a number that
the compiler would have to know.
"""

from collections.abc import Callable

import torch

aten = torch.ops.aten


@torch.library.custom_op("sam_sde::convolution", mutates_args=())
def convolution(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> torch.Tensor:
    """aten's own."""
    return aten.convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)


@convolution.register_fake
def _(*arguments):
    return aten.convolution(*arguments)


@torch.library.custom_op("sam_sde::convolution_backward", mutates_args=())
def convolution_backward(
    slope: torch.Tensor,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: list[int] | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    wanted: list[bool],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """aten's own, with nothing (0,) for each gradient that is not wanted."""
    return _without_none(
        aten.convolution_backward(
            slope, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, wanted
        ),
        slope,
    )


@convolution_backward.register_fake
def _(slope, *arguments):
    return _without_none(aten.convolution_backward(slope, *arguments), slope)


def _without_none(gradients: tuple, like: torch.Tensor) -> tuple:
    return tuple(like.new_empty(0) if each is None else each for each in gradients)


# What is recorded in the place of an operation.
OPAQUE: dict[Callable, Callable] = {
    aten.convolution.default: torch.ops.sam_sde.convolution.default,
    aten.convolution_backward.default: torch.ops.sam_sde.convolution_backward.default,
}
