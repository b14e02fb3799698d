"""A script of operations, made of two recordings read side by side."""

from collections.abc import Callable
from operator import getitem, mul
from typing import NamedTuple

import torch

from sam_sde.engines.compiled.errors import CannotRecordError
from sam_sde.engines.compiled.lifting import Number, Numbers
from sam_sde.engines.compiled.script import Script, Value

aten = torch.ops.aten

SMALL = 1000  # numbers of a constant that is recognized by them

# Results that follow from the shape of the argument, whose values are then not needed: a loss's, where its gradient is.
OF_SHAPE = (aten.ones_like.default, aten.zeros_like.default, aten.new_ones.default, aten.new_zeros.default)

# What gives its first argument: always, and with 1 as the second. Factors of 1.0 are many, as where no schedule is, and
# cost a twentieth of a step; a problem with another factor in the place has a structure of its own.
SAME = (aten.alias.default, aten.detach.default)
SAME_WITH_ONE = (aten.mul.Tensor, aten.mul.Scalar, aten.pow.Tensor_Scalar)


class Call(NamedTuple):
    """One operation as it ran."""

    operation: Callable
    arguments: tuple
    options: dict
    result: torch.Tensor | tuple[torch.Tensor, ...]


def results_of(result) -> tuple:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def same(one: torch.Tensor, other: torch.Tensor, tolerance: float = 0.0) -> bool:
    """Whether two tensors are equal, NaN being itself; None is what an operation gives where it was not asked."""
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


class Transcript:
    """Calls are added in pairs, one of each recording, with `few` and with `more` paths."""

    def __init__(self, few: tuple[torch.Tensor, ...], more: tuple[torch.Tensor, ...], in_place: bool):
        """few, more: the inputs. in_place: whether operations change what others gave."""
        self._script, self._in_place, self._device = Script(), in_place, few[0].device
        self._constants: dict[Value, torch.Tensor] = {}
        self._computed: dict[str, Value] = {}
        pairs = list(zip(few, more, strict=True))
        self._values = {self._key(*pair): self._script.give(f"input{i}") for i, pair in enumerate(pairs)}
        one, other = next(pair for pair in pairs if pair[0].shape != pair[1].shape)
        axis = next(axis for axis in range(one.ndim) if one.shape[axis] != other.shape[axis])
        self._few, self._more = one.shape[axis], other.shape[axis]
        self._n_paths = self._script.call("size", (self._values[self._key(one, other)], axis))
        self._numbers = Numbers(self._script, self._argument)

    @staticmethod
    def _key(few: torch.Tensor, more: torch.Tensor) -> tuple[int, int]:
        return id(few), id(more)

    def _argument(self, name: str) -> Value:
        return self._script.give(f"argument_{name}")

    def add(self, few: Call, more: Call) -> None:
        if not self._in_place and few.operation in OF_SHAPE and few.result.ndim == 0:
            return
        if not self._in_place and self._is_same(few):
            self._values[self._key(few.result, more.result)] = self._common(few.arguments[0], more.arguments[0])
            return
        value = self._value(few, self._common(few.arguments, more.arguments), self._common(few.options, more.options))
        if isinstance(few.result, torch.Tensor):
            self._values[self._key(few.result, more.result)] = value
            return
        for i, pair in enumerate(zip(few.result, more.result, strict=True)):
            if pair[0] is None:
                continue
            self._values[self._key(*pair)] = self._script.call(getitem, (value, i))

    def _value(self, call: Call, arguments: tuple, options: dict) -> Value:
        """A new one, unless the same was computed before."""
        words = repr((call.operation, arguments, options))
        if self._in_place or words not in self._computed:
            self._computed[words] = self._numbers.write(call.operation, arguments, options, call.arguments, call.result)
        return self._computed[words]

    def _is_same(self, call: Call) -> bool:
        """Whether the result is the first argument."""
        if call.operation in SAME:
            return True
        return (
            call.operation in SAME_WITH_ONE
            and not isinstance(call.arguments[1], torch.Tensor)
            and call.arguments[1] == 1
            and call.result.dtype == call.arguments[0].dtype
        )

    def end(self, few, more) -> tuple[Script, tuple[torch.Tensor, ...], str]:
        """The operations that lead to a result, their arguments after the inputs, and the text that tells them all."""
        self._script.end(self._numbers.elements(self._common(few, more)))
        given = {**self._constants, **self._numbers.vectors(self._device)}
        arguments = tuple(given[value] for value in self._script.given if value in given)
        memory = [(each.dtype, each.device, each.shape, each.stride()) for each in arguments]
        return self._script, arguments, f"{self._script}\n{memory}"

    def _common(self, few, more):
        """The argument that was `few` in one recording and `more` in the other."""
        if isinstance(few, torch.Tensor):
            return self._values.get(self._key(few, more)) or self._constant(few, more)
        if isinstance(few, list | tuple):
            return type(few)(self._common(*pair) for pair in zip(few, more, strict=True))
        if isinstance(few, dict):
            return {name: self._common(value, more[name]) for name, value in few.items()}
        if few == more or (few != few and more != more):  # the same number, or none both times
            return few
        per_path, rest = divmod(few, self._few)
        if rest or more != per_path * self._more:
            raise CannotRecordError(
                f"what it does depends on the number of paths: {few:g} for {self._few} of them, "
                f"{more:g} for {self._more}"
            )
        return self._n_paths if per_path == 1 else self._script.call(mul, (self._n_paths, per_path))

    def _constant(self, few: torch.Tensor, more: torch.Tensor) -> Value | Number:
        if not same(few, more):
            raise CannotRecordError("a tensor that it reads is another one each time")
        if few.ndim == 0 and few.is_floating_point():  # as which the numbers of a loss come out of vmap
            return Number(few.item(), few.dtype)
        # Every operation makes its own, so that equal ones would keep equal operations apart.
        words = repr((few.dtype, few.device, few.shape, few.tolist() if few.numel() <= SMALL else id(few)))
        value = self._computed.get(words)
        if value is None:
            value = self._computed[words] = self._argument(f"constant{len(self._constants)}")
            self._constants[value] = few
        self._values[self._key(few, more)] = value
        return value
