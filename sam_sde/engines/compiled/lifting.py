"""The numbers of a graph as arguments, so that graphs that differ in their numbers only are compiled once.

Every place where an operation has a number gets an element of a vector, one vector for each dtype: that in which the
operation computes, or a number in double precision would meet it rounded to single. A place has its own element even
where another holds the same number, for in the next graph they may differ. Whole numbers, such as axes and exponents,
stay where they are; and so does what no operation takes as a tensor, or no parameter ever is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sam_sde.engines.compiled.script import Script, Value, replaced

aten = torch.ops.aten

# Operations that may come with a number, and what is the same with a tensor in its place.
OF_TENSORS = {
    **{each: each for each in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)},
    aten.add.Scalar: aten.add.Tensor,
    aten.sub.Scalar: aten.sub.Tensor,
    aten.mul.Scalar: aten.mul.Tensor,
    aten.div.Scalar: aten.div.Tensor,
    aten.pow.Scalar: aten.pow.Tensor_Tensor,
    aten.lt.Scalar: aten.lt.Tensor,
    aten.le.Scalar: aten.le.Tensor,
    aten.gt.Scalar: aten.gt.Tensor,
    aten.ge.Scalar: aten.ge.Tensor,
}

# Operations that fill a new tensor with a number, and where that stands.
FILLS = {aten.full.default: 1, aten.full_like.default: 1, aten.new_full.default: 2}


@dataclass(frozen=True)
class Number:
    """What is to become an element of a vector."""

    value: float
    dtype: torch.dtype


class Numbers:
    """Writes operations into a script, with their numbers as elements of vectors, which are arguments of it."""

    def __init__(self, script: Script, argument: Callable[[str], Value]):
        """argument: adds one of that name to the script."""
        self._script, self._argument = script, argument
        self._vectors: dict[torch.dtype, tuple[Value, list[float]]] = {}

    def vectors(self, device: torch.device) -> dict[Value, torch.Tensor]:
        """The arguments, and what is to be given for them."""
        return {
            value: torch.tensor(numbers, dtype=dtype, device=device)
            for dtype, (value, numbers) in self._vectors.items()
        }

    def write(self, operation: Callable, arguments: tuple, options: dict, recorded: tuple, result) -> Value:
        """A call of the operation; recorded, result: the arguments and the result that it was recorded with."""
        if operation in FILLS and isinstance(arguments[FILLS[operation]], float) and result.is_floating_point():
            place = FILLS[operation]
            zeros = self._script.call(operation, (*arguments[:place], 0.0, *arguments[place + 1 :]), options)
            operation, arguments, options = aten.add.Tensor, (zeros, Number(arguments[place], result.dtype)), {}
        elif operation is aten.rsub.Scalar and len(arguments) == 2 and isinstance(arguments[1], float):
            operation, arguments = aten.sub.Tensor, self._of_tensors(arguments[::-1], recorded[::-1])
        elif operation in OF_TENSORS and any(isinstance(each, float) for each in arguments[:2]):
            operation, arguments = OF_TENSORS[operation], self._of_tensors(arguments, recorded)
        return self._script.call(operation, self.elements(arguments), options)

    @staticmethod
    def _of_tensors(arguments: tuple, recorded: tuple) -> tuple:
        dtype = torch.result_type(*recorded[:2])
        return tuple(Number(each, dtype) if isinstance(each, float) else each for each in arguments)

    def elements(self, arguments):
        """Arguments with elements for their numbers."""
        return replaced(arguments, Number, self._element)

    def _element(self, number: Number) -> Value:
        if number.dtype not in self._vectors:
            self._vectors[number.dtype] = (self._argument(f"numbers_{number.dtype}".replace("torch.", "")), [])
        vector, numbers = self._vectors[number.dtype]
        numbers.append(number.value)
        return self._script.call(aten.select.int, (vector, 0, len(numbers) - 1))
