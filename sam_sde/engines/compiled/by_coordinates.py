"""Graphs by coordinates: each coordinate of a state becomes a vector along the paths, by itself.

torch's compiler makes one loop of operations on vectors of one length. The stacks of few coordinates that a step of a
toy surface is made of break that loop into dozens, with a buffer in memory between any two; taken apart they do not.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._guards import detect_fake_mode
from torch.fx import Graph, Node
from torch.fx.experimental.symbolic_shapes import free_symbols
from torch.utils._pytree import tree_leaves, tree_map_only

from sam_sde.layout import FEW_COMPILED, FEW_ELEMENTS

aten = torch.ops.aten


class CannotSplitError(Exception):
    """The graph has a tensor with too many coordinates, or one that mixes them with the paths."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """A tensor as an array of nodes, one for each element along all axes but that of the paths, which has length 1.

    A node is a vector along the paths, or a scalar where `axis`, the axis of the paths, is None.
    """

    nodes: np.ndarray
    axis: int | None

    def rearranged(self, rearrange: Callable[[np.ndarray], np.ndarray]) -> "_Columns":
        """With axes moved, added or left out by a function of arrays."""
        if self.axis is None:
            return _Columns(rearrange(self.nodes), None)
        mark = self.nodes.size + 1  # longer than any axis
        marked = np.broadcast_to(False, [*self.nodes.shape[: self.axis], mark, *self.nodes.shape[self.axis + 1 :]])
        return _Columns(rearrange(self.nodes), rearrange(marked).shape.index(mark))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Tensors joined along the axis of the paths, which is how torch begins to stack them."""

    parts: Sequence[_Columns]


def split(graph: Graph) -> None:
    """Rewrites a graph without side effects, but for writes into arguments at its end, by coordinates.

    Raises
        CannotSplitError: it cannot be; the graph is as it was.
    """
    try:
        _Splitter(graph).rewrite()
    finally:
        graph.eliminate_dead_code()


class _Splitter:
    """Reads a graph from its first node to its last, and writes what becomes of each behind them."""

    def __init__(self, graph: Graph):
        self._graph = graph
        self._fake_mode = detect_fake_mode([node.meta.get("val") for node in graph.nodes])
        self._split: dict[Node, Any] = {}

    def rewrite(self) -> None:
        *nodes, output = self._graph.nodes
        writes = self._graph.find_nodes(op="call_function", target=aten.copy_.default)  # into arguments, at the end
        with self._graph.inserting_before(output):
            for node in nodes:
                if node.op == "call_function" and node not in writes and _is_tensor(node):
                    self._split[node] = self._call(node)
            sources, output.args = self._whole(self._of(([node.args[1] for node in writes], output.args)))
        for node, source in zip(writes, sources, strict=True):
            node.args = (node.args[0], source)
            output.prepend(node)

    def emit(self, operation: Callable, *arguments, **options) -> Node:
        node = self._graph.call_function(operation, arguments, options)
        arguments, options = tree_map_only(Node, lambda argument: argument.meta["val"], (arguments, options))
        with self._fake_mode, enable_python_dispatcher():
            node.meta["val"] = operation(*arguments, **options)
        return node

    def pointwise(self, operation: Callable, *arguments, **options) -> _Columns:
        tensors = [each for each in tree_leaves((arguments, options)) if isinstance(each, _Columns)]
        shape = np.broadcast_shapes(*(each.nodes.shape for each in tensors))
        axes = {each.axis + len(shape) - each.nodes.ndim for each in tensors if each.axis is not None}
        if len(axes) > 1 or any(shape[axis] != 1 for axis in axes):
            raise CannotSplitError("paths beside coordinates or other paths")
        nodes = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            one = tree_map_only(_Columns, lambda x, i=index: np.broadcast_to(x.nodes, shape)[i], (arguments, options))
            nodes[index] = self.emit(operation, *one[0], **one[1])
        return _Columns(nodes, axes.pop() if axes else None)

    def reduce(self, operation: Callable, x: _Columns, dims: Sequence[int], keepdim: bool) -> _Columns:
        dims = sorted(dim % x.nodes.ndim for dim in dims)
        if x.axis in dims:
            raise CannotSplitError("a sum over the paths")
        for dim in dims:
            first, *rest = (_Columns(part, x.axis) for part in np.split(x.nodes, x.nodes.shape[dim], dim))
            for part in rest:
                first = self.pointwise(operation, first, part)
            x = first
        return x if keepdim else x.rearranged(lambda nodes: nodes.squeeze(tuple(dims)))

    def _call(self, node: Node) -> Any:
        if _is_element(node):
            return self._elements(node)
        operation, arguments, options = node.target, self._of(node.args), self._of(node.kwargs)
        if operation in _RULES:
            result = _RULES[operation](self, node, *arguments, **options)
        elif torch.Tag.pointwise in getattr(operation, "tags", ()):
            result = self.pointwise(operation, *arguments, **options)
        elif operation._schema.is_mutable:
            raise CannotSplitError(f"{operation} writes into an argument")
        else:
            arguments, options = self._whole((arguments, options))
            return self._elements(self.emit(operation, *arguments, **options))
        if isinstance(result, _Columns) and result.nodes.size > FEW_COMPILED:
            raise CannotSplitError("too many coordinates")
        if isinstance(result, _Columns) and result.nodes.flat[0].meta["val"].dtype != node.meta["val"].dtype:
            raise CannotSplitError(f"{operation} gives another dtype")  # scalars count less than vectors do
        return result

    def _of(self, arguments: Any) -> Any:
        """What arguments became."""
        return tree_map_only(Node, self._of_node, arguments)

    def _of_node(self, node: Node) -> Any:
        if node not in self._split:
            self._split[node] = self._elements(node) if _is_tensor(node) else self._size(node)
        return self._split[node]

    def _size(self, node: Node) -> Node:
        """The number of paths as an argument has it: another tensor would be computed for its size alone."""
        if node.target is aten.sym_size.int:
            for argument in self._graph.find_nodes(op="placeholder"):
                sizes = _sizes(argument)
                if str(node.meta["val"]) in sizes:
                    return self.emit(aten.sym_size.int, argument, sizes.index(str(node.meta["val"])))
        return node

    def _elements(self, node: Node) -> Any:
        """A tensor that comes whole, by its elements."""
        if not isinstance(node.meta["val"], torch.Tensor):
            return [self._elements(self.emit(operator.getitem, node, i)) for i in range(len(node.meta["val"]))]
        shape, axis = _array_of(node)
        nodes = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            element = node
            for dim in reversed(range(len(shape))):
                element = element if dim == axis else self.emit(aten.select.int, element, dim, index[dim])
            nodes[index] = element
        return _Columns(nodes, axis)

    def _whole(self, arguments: Any) -> Any:
        """Arguments with their tensors put together."""
        return tree_map_only(_Columns, self._joined, arguments)

    def _joined(self, x: _Columns) -> Node:
        if x.nodes.ndim == (x.axis is not None):
            return x.nodes.item()
        order = sorted(range(x.nodes.ndim), key=lambda dim: dim == x.axis)  # the paths last
        nodes = x.nodes.transpose(order)
        vectors = [self.emit(aten.reshape.default, node, [-1]) for node in nodes.flat]
        sizes = [*nodes.shape] if x.axis is None else [*nodes.shape[:-1], -1]
        whole = self.emit(aten.reshape.default, self.emit(aten.cat.default, vectors), sizes)
        return self.emit(aten.permute.default, whole, np.argsort(order).tolist())


def _is_tensor(node: Node) -> bool:
    """Whether it is a tensor, or several."""
    return all(isinstance(value, torch.Tensor) for value in tree_leaves(node.meta.get("val", 0)))


def _is_element(node: Node) -> bool:
    """Whether it is one element of an argument, of which there may be any number: then the others are not looked at."""
    return node.target is aten.select.int and node.args[0].op == "placeholder" and node.meta["val"].ndim == 0


def _array_of(node: Node) -> tuple[list[int], int | None]:
    """Shape of the array of a tensor's nodes, and the axis of the paths."""
    sizes = node.meta["val"].shape
    axes = [axis for axis, size in enumerate(sizes) if free_symbols(size)]
    shape = [1 if axis in axes else int(size) for axis, size in enumerate(sizes)]
    if len(axes) > 1:
        raise CannotSplitError("paths beside other paths")
    if np.prod(shape) > FEW_ELEMENTS:
        raise CannotSplitError("too many coordinates")
    return shape, axes[0] if axes else None


def _unsqueeze(splitter, node, x, dim):
    return x.rearranged(lambda nodes: np.expand_dims(nodes, dim))


def _select(splitter, node, x, dim, index):
    if dim % x.nodes.ndim == x.axis:
        raise CannotSplitError("one of the paths")
    return x.rearranged(lambda nodes: nodes.take(index, axis=dim))


def _unbind(splitter, node, x, dim=0):
    return [_select(splitter, node, x, dim, i) for i in range(x.nodes.shape[dim])]


def _sizes(node):
    """Of a tensor, as text: to compare numbers of paths themselves would settle them."""
    return [str(size) for size in getattr(node.meta["val"], "shape", ())]


def _slice(splitter, node, x, dim=0, start=None, end=None, step=1):
    if dim % x.nodes.ndim == x.axis:
        if _sizes(node)[dim] != _sizes(node.args[0])[dim]:
            raise CannotSplitError("some of the paths")
        return x
    return replace(x, nodes=x.nodes[(slice(None),) * (dim % x.nodes.ndim) + (slice(start, end, step),)])


def _split(splitter, node, x, sizes, dim=0):
    ends = np.cumsum(sizes)
    return [_slice(splitter, node, x, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _reshape(splitter, node, x, *_):
    shape, axis = _array_of(node)
    if isinstance(x, _Rows):
        first = x.parts[0].axis
        x = _Columns(np.stack([part.nodes for part in x.parts], axis=first), first + 1)
    # As much before the paths as there was: so they were not joined with coordinates.
    if (axis is None) != (x.axis is None) or (axis and np.prod(shape[:axis]) != np.prod(x.nodes.shape[: x.axis])):
        raise CannotSplitError("paths joined with coordinates")
    return _Columns(x.nodes.reshape(shape), axis)


def _expand(splitter, node, x, sizes, **_):
    shape, axis = _array_of(node)
    if axis is not None and x.axis is None:
        lengthen = np.frompyfunc(lambda scalar: splitter.emit(aten.expand.default, scalar, [sizes[axis]]), 1, 1)
        x = replace(x, nodes=np.asarray(lengthen(x.nodes), dtype=object))
    return _Columns(np.broadcast_to(x.nodes, shape), axis)


def _cat(splitter, node, tensors, dim=0):
    first = tensors[0]
    if len({each.axis for each in tensors}) > 1:
        raise CannotSplitError("paths beside coordinates")
    if dim % first.nodes.ndim == first.axis:
        return _Rows(tensors)
    return replace(first, nodes=np.concatenate([each.nodes for each in tensors], axis=dim))


def _select_scatter(splitter, node, x, source, dim, index):
    return _slice_scatter(splitter, node, x, _unsqueeze(splitter, node, source, dim), dim, index, index + 1)


def _slice_scatter(splitter, node, x, source, dim=0, start=None, end=None, step=1):
    if source.axis != x.axis:
        raise CannotSplitError("paths beside coordinates")
    if dim % x.nodes.ndim == x.axis:
        if _sizes(node)[dim] != _sizes(node.args[1])[dim]:
            raise CannotSplitError("some of the paths")
        return source
    nodes = x.nodes.copy()
    nodes[(slice(None),) * (dim % x.nodes.ndim) + (slice(start, end, step),)] = source.nodes
    return replace(x, nodes=nodes)


def _full(splitter, node, size, value, **options):
    shape, axis = _array_of(node)
    element = splitter.emit(aten.full.default, [] if axis is None else [size[axis]], value, **options)
    return _Columns(np.full(shape, element, dtype=object), axis)


def _arange(splitter, node, length, *, start, step, dtype, device, **_):
    if isinstance(length, Node):
        raise CannotSplitError("the numbers of the paths")
    numbers = range(start, start + length * step, step)
    scalars = [splitter.emit(aten.full.default, [], number, dtype=dtype, device=device) for number in numbers]
    return _Columns(np.array(scalars, dtype=object), None)


def _reduction(operation):
    def rule(splitter, node, x, dims, keepdim=False, **_):
        return splitter.reduce(operation, x, [dims] if isinstance(dims, int) else dims, keepdim)

    return rule


def _matmul(splitter, node, a, b):
    products = splitter.pointwise(aten.mul.Tensor, _unsqueeze(splitter, node, a, -1), _unsqueeze(splitter, node, b, -3))
    return splitter.reduce(aten.add.Tensor, products, [-2], False)


_RULES = {
    operator.getitem: lambda splitter, node, x, index: x[index],
    aten.permute.default: lambda splitter, node, x, dims: x.rearranged(
        lambda nodes: nodes.transpose([dim % x.nodes.ndim for dim in dims])
    ),
    aten.unsqueeze.default: _unsqueeze,
    aten.squeeze.dim: _reshape,
    aten.squeeze.dims: _reshape,
    aten.reshape.default: _reshape,
    aten.view.default: _reshape,
    aten.select.int: _select,
    aten.unbind.int: _unbind,
    aten.slice.Tensor: _slice,
    aten.split_with_sizes.default: _split,
    aten.expand.default: _expand,
    aten.clone.default: lambda splitter, node, x, **_: x,
    aten.alias.default: lambda splitter, node, x: x,
    aten.cat.default: _cat,
    aten.select_scatter.default: _select_scatter,
    aten.slice_scatter.default: _slice_scatter,
    aten.full.default: _full,
    torch.ops.prims.iota.default: _arange,
    aten.sum.dim_IntList: _reduction(aten.add.Tensor),
    aten.prod.dim_int: _reduction(aten.mul.Tensor),
    aten.amax.default: _reduction(aten.maximum.default),
    aten.any.dim: _reduction(aten.logical_or.default),
    aten.mm.default: _matmul,
    aten.bmm.default: _matmul,
}
