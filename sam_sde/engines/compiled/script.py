"""Operations in order, as plain data: written in a hundredth of the time that a graph takes.

A graph is made only of what is to be compiled; what was compiled before is known by the text.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch.fx import Graph, GraphModule, Node


class Value:
    """An input of a script, or the result of one of its operations."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


class _Line(NamedTuple):
    result: Value
    operation: Callable | str  # a function, or the name of a method of the first argument
    arguments: tuple
    options: dict


class Script:
    """Values that are given, lines that make others of them, and a result."""

    def __init__(self):
        self.given: list[Value] = []
        self._lines: list[_Line] = []
        self._result = None

    def give(self, name: str) -> Value:
        self.given.append(Value(name))
        return self.given[-1]

    def call(self, operation: Callable | str, arguments: tuple, options: dict | None = None) -> Value:
        result = Value(f"v{len(self._lines)}")
        self._lines.append(_Line(result, operation, arguments, options or {}))
        return result

    def end(self, result) -> None:
        """Leaves out what the result does not need, unless it changes what others made."""
        self._result, lines = result, []
        needed = set(values_in(result))
        for line in reversed(self._lines):
            if line.result in needed or _changes_others(line.operation):
                lines.append(line)
                needed.update(values_in((line.arguments, line.options)))
        self._lines = lines[::-1]
        self.given = [each for each in self.given if each in needed or not each.name.startswith("argument")]

    def __str__(self) -> str:
        lines = [f"{line.result} = {line.operation}{line.arguments} {line.options}" for line in self._lines]
        return "\n".join([str(self.given), *lines, str(self._result)])

    def graph(self) -> GraphModule:
        """It as a graph of torch's."""
        graph = Graph()
        nodes: dict[Value, Node] = {each: graph.placeholder(each.name) for each in self.given}

        def in_graph(structure):
            return replaced(structure, Value, nodes.__getitem__)

        for line in self._lines:
            create = graph.call_method if isinstance(line.operation, str) else graph.call_function
            nodes[line.result] = create(line.operation, in_graph(line.arguments), in_graph(line.options))
        graph.output(in_graph(self._result))
        return GraphModule({}, graph)


def _changes_others(operation: Callable | str) -> bool:
    return hasattr(operation, "_schema") and operation._schema.is_mutable


def replaced(structure, kind: type, by: Callable):
    """Tuples, lists and dictionaries with `by(each)` for each object of that kind."""
    if isinstance(structure, kind):
        return by(structure)
    if isinstance(structure, tuple | list):
        return type(structure)([replaced(each, kind, by) for each in structure])
    if isinstance(structure, dict):
        return {name: replaced(each, kind, by) for name, each in structure.items()}
    return structure


def values_in(structure, kind: type = Value) -> list:
    """The objects of that kind in tuples, lists and dictionaries."""
    if isinstance(structure, kind):
        return [structure]
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, tuple | list):
        return []
    return [value for each in structure for value in values_in(each, kind)]
