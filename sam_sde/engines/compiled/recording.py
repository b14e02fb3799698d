"""Functions of tensors as the list of torch operations that they run, each once, without what leads to these.

To some thousand paths a step is longer in the telling than in the doing: vmap, autograd and Python stand between a loss
and its operations, which are the same in every step.
"""

from collections.abc import Callable, Iterator
from operator import getitem, mul
from typing import NamedTuple

import torch
from torch.fx import Graph, GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

FEW, MORE, CHECK = 5, 7, 11  # numbers of paths to record with, and to compare with

SMALL = 1000  # numbers of a constant that is recognized by them

# Results that follow from the shape of the argument, whose values are then not needed: a loss's, where its gradient is.
OF_SHAPE = (aten.ones_like.default, aten.zeros_like.default, aten.new_ones.default, aten.new_zeros.default)

# What gives its first argument: always, and with 1 as the second.
SAME = (aten.alias.default, aten.detach.default)
SAME_WITH_ONE = (aten.mul.Tensor, aten.mul.Scalar, aten.pow.Tensor_Scalar)


class _CannotRecordError(Exception):
    """The function does not run the same operations each time."""


class _Call(NamedTuple):
    operation: Callable
    arguments: tuple
    options: dict
    result: torch.Tensor | tuple[torch.Tensor, ...]


class _Recorder(TorchDispatchMode):
    """Notes each operation, with its arguments and its result if these are to be kept, below vmap and autograd."""

    def __init__(self, keep: bool = True):
        super().__init__()
        self.calls: list[_Call] = []
        self._keep = keep

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        if not all(isinstance(each, torch.Tensor) for each in _results(result)):
            raise _CannotRecordError(f"{operation} leaves torch")  # as .item() does
        kept = (tuple(arguments), options or {}, result) if self._keep else ((), {}, ())
        self.calls.append(_Call(operation, *kept))
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it torch would import its compiler, which takes a second


class _Recording(NamedTuple):
    inputs: tuple[torch.Tensor, ...]
    calls: list[_Call]
    result: torch.Tensor | tuple[torch.Tensor, ...]


def recorded(
    function: Callable, examples: Callable[[int], tuple[torch.Tensor, ...]], n_paths: int, tolerance: float = 0.0
) -> Callable:
    """A function that repeats the operations of `function`, for any number of paths; where that fails, itself.

    It is recorded with two numbers of paths: whatever number differs between the recordings as these do is a number of
    paths. And it must run the same operations for n_paths, of which there will be most.

    examples: arguments for a number of paths, all tensors, with different values for different numbers; in memory they
        must lie as those to come. Anything else that the function reads must not change.
    tolerance: by how much, relative and absolute, the results may differ from the function's; 0 is to the bit.
    """
    try:
        function(*examples(FEW))  # constants of the model make their copies
        if _operations(function, examples(n_paths)) != _operations(function, examples(FEW)):
            return function
        played = _player(_record(function, examples(FEW)), _record(function, examples(MORE)))
        check = examples(CHECK)
        pairs = zip(_results(played(*check)), _results(function(*check)), strict=True)
        agree = all(_equal(*pair, tolerance) for pair in pairs)
    except Exception:  # whatever goes wrong here, the function itself is still right
        return function
    return played if agree else function


def _results(result) -> tuple:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _equal(one: torch.Tensor, other: torch.Tensor, tolerance: float = 0.0) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def _record(function: Callable, inputs: tuple[torch.Tensor, ...]) -> _Recording:
    with _Recorder() as recorder:
        result = function(*inputs)
    return _Recording(inputs, recorder.calls, result)


def _operations(function: Callable, inputs: tuple[torch.Tensor, ...]) -> list[Callable]:
    with _Recorder(keep=False) as recorder:
        function(*inputs)
    return [call.operation for call in recorder.calls]


def _player(few: _Recording, more: _Recording) -> Callable:
    """What both recordings have in common, as a function."""
    calls = list(_that_vary(few, more))
    in_place = any(call.operation._schema.is_mutable for call, _ in calls)
    transcript = _Transcript(few.inputs, more.inputs, in_place)
    for pair in calls:
        transcript.add(*pair)
    return transcript.function(few.result, more.result)


def _that_vary(few: _Recording, more: _Recording) -> Iterator[tuple[_Call, _Call]]:
    """Pairs of calls without those that follow from no input; the results of these are constants, wherever used."""
    varying = {id(each) for each in few.inputs}
    for call, other in zip(few.calls, more.calls, strict=True):
        results = _results(call.result)
        same = all(_equal(*pair) for pair in zip(results, _results(other.result), strict=True))
        if not same or not varying.isdisjoint(map(id, tree_leaves((call.arguments, call.options)))):
            varying.update(map(id, results))
            yield call, other


class _Transcript:
    """A graph of operations, made of two recordings read side by side."""

    def __init__(self, few: tuple[torch.Tensor, ...], more: tuple[torch.Tensor, ...], in_place: bool):
        self._graph, self._constants, self._in_place = Graph(), {}, in_place
        self._computed: dict[str, Node] = {}
        pairs = list(zip(few, more, strict=True))
        self._nodes = {self._key(*pair): self._graph.placeholder(f"input{i}") for i, pair in enumerate(pairs)}
        one, other = next(pair for pair in pairs if pair[0].shape != pair[1].shape)
        axis = next(axis for axis in range(one.ndim) if one.shape[axis] != other.shape[axis])
        self._few, self._more = one.shape[axis], other.shape[axis]
        self._n_paths = self._graph.call_method("size", (self._nodes[self._key(one, other)], axis))

    @staticmethod
    def _key(few: torch.Tensor, more: torch.Tensor) -> tuple[int, int]:
        return id(few), id(more)

    def add(self, few: _Call, more: _Call) -> None:
        if few.operation is not more.operation:
            raise _CannotRecordError("the operations differ")
        if not self._in_place and few.operation in OF_SHAPE and few.result.ndim == 0:
            return
        if not self._in_place and self._is_same(few):
            self._nodes[self._key(few.result, more.result)] = self._common(few.arguments[0], more.arguments[0])
            return
        arguments, options = self._common(few.arguments, more.arguments), self._common(few.options, more.options)
        node = self._node(few.operation, arguments, options)
        if isinstance(few.result, torch.Tensor):
            self._nodes[self._key(few.result, more.result)] = node
            return
        for i, pair in enumerate(zip(few.result, more.result, strict=True)):
            self._nodes[self._key(*pair)] = self._node(getitem, (node, i), {})

    def _node(self, operation: Callable, arguments: tuple, options: dict) -> Node:
        """A new one, unless the same was computed before."""
        words = repr((operation, arguments, options))
        if self._in_place or words not in self._computed:
            self._computed[words] = self._graph.call_function(operation, arguments, options)
        return self._computed[words]

    def _is_same(self, call: _Call) -> bool:
        """Whether the result is the first argument."""
        if call.operation in SAME:
            return True
        return (
            call.operation in SAME_WITH_ONE
            and not isinstance(call.arguments[1], torch.Tensor)
            and call.arguments[1] == 1
            and call.result.dtype == call.arguments[0].dtype
        )

    def function(self, few, more) -> Callable:
        self._graph.output(self._common(few, more))
        self._graph.eliminate_dead_code()
        return GraphModule(self._constants, self._graph).forward

    def _common(self, few, more):
        """The argument that was `few` in one recording and `more` in the other."""
        if isinstance(few, torch.Tensor):
            return self._nodes.get(self._key(few, more)) or self._constant(few, more)
        if isinstance(few, list | tuple):
            return type(few)(self._common(*pair) for pair in zip(few, more, strict=True))
        if isinstance(few, dict):
            return {name: self._common(value, more[name]) for name, value in few.items()}
        if few == more:
            return few
        per_path, rest = divmod(few, self._few)
        if rest or more != per_path * self._more:
            raise _CannotRecordError(f"{few} became {more}")
        return self._n_paths if per_path == 1 else self._graph.call_function(mul, (self._n_paths, per_path))

    def _constant(self, few: torch.Tensor, more: torch.Tensor) -> Node:
        if not _equal(few, more):
            raise _CannotRecordError("a constant differs")
        # Every operation makes its own, so that equal ones would keep equal operations apart.
        words = repr((few.dtype, few.device, few.shape, few.tolist() if few.numel() <= SMALL else id(few)))
        node = self._computed.get(words)
        if node is None:
            name = f"constant{len(self._constants)}"
            self._constants[name] = few
            node = self._computed[words] = self._graph.get_attr(name)
        self._nodes[self._key(few, more)] = node
        return node
