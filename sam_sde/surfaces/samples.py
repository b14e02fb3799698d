"""Data of a loss: tensors with one row a sample, that follow the weights to their device and dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError

Sample = Union["torch.Tensor", tuple["torch.Tensor", ...]]


class Samples:
    """Copies of a tensor, or of a tuple of them, with first axis n: row i of each belongs to sample i.

    Floating point numbers take the dtype of the weights; whole numbers, such as labels, keep theirs.

    Raises ValueError for data that are no tensors (or numpy arrays), are empty, have different numbers of rows, or hold
    NaN or infinite numbers.
    """

    def __init__(self, data: torch.Tensor | Sequence[torch.Tensor]):
        self.is_tuple = isinstance(data, tuple | list)
        self.tensors = tuple(_checked(tensor) for tensor in (data if self.is_tuple else (data,)))
        lengths = [len(tensor) for tensor in self.tensors]
        if not lengths or lengths[0] == 0:
            raise ArgumentError("data", "expected at least one sample, got none")
        if len(set(lengths)) > 1:
            raise ArgumentError("data", f"expected the same number of samples in each tensor, got {lengths}")
        self._kept: dict[tuple[torch.dtype, torch.device], Sample] = {}

    def __len__(self) -> int:
        return len(self.tensors[0])

    @property
    def data(self) -> Sample:
        """The data as they are kept: whole numbers, and floating point numbers in double precision."""
        return self.tensors if self.is_tuple else self.tensors[0]

    @property
    def numbers(self) -> int:
        """How many numbers make one sample."""
        return sum(tensor[0].numel() for tensor in self.tensors)

    def like(self, w: torch.Tensor) -> Sample:
        """The data in the dtype and on the device of w."""
        kept = self._kept.get((w.dtype, w.device))
        return self._converted(w) if kept is None else kept

    def keep(self, w: torch.Tensor) -> Sample:
        """As `like`, and keeps the copy; not inside a transform of torch.func, to which the copy would belong."""
        self._kept[w.dtype, w.device] = data = self.like(w)
        return data

    def _converted(self, w: torch.Tensor) -> Sample:
        converted = [t.to(w.device, w.dtype if t.is_floating_point() else t.dtype) for t in self.tensors]
        return tuple(converted) if self.is_tuple else converted[0]

    def __getstate__(self):
        return {**self.__dict__, "_kept": {}}


def take(data: Sample, index: torch.Tensor | slice | int) -> Sample:
    """The samples with these numbers."""
    return tuple(tensor[index] for tensor in data) if isinstance(data, tuple) else data[index]


def inputs_and_targets(sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    """Of (inputs, targets), or of inputs that are their own targets. Raises ArgumentError for any other number."""
    if not isinstance(sample, tuple):
        return sample, sample
    if len(sample) > 2:
        raise ArgumentError("data", f"expected (inputs, targets), got {len(sample)} tensors")
    return sample if len(sample) == 2 else (sample[0], sample[0])


def _checked(values: torch.Tensor) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(values).detach().cpu().clone()  # what becomes of the user's is not seen here
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError("data", f"expected tensors with one row a sample, got {shown(values)}") from None
    if tensor.ndim == 0 or tensor.is_complex():
        raise ArgumentError("data", f"expected tensors with one row a sample, got {shown(values)}")
    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        row = int((~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1).nonzero()[0])
        raise ArgumentError("data", f"expected finite numbers, got NaN or infinite ones, first in sample {row}")
    return tensor.double()
