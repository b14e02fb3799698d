"""Losses written as formulas, such as "x**2 - y**2": read piece by piece, never run as code."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable

import torch

from sam_sde.checks import nearest, whole
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.surface import LossSurface

MAX_LENGTH = 2_000
MAX_DEPTH = 200

LETTERS = ("x", "y", "z")
CONSTANTS = {"pi": math.pi, "e": math.e}
# As torch calls them.
FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "abs")
FUNCTIONS_OF_TWO = {"min": "minimum", "max": "maximum"}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

# A part of a formula: a number, or a function of the coordinates {index: tensor}.
Part = float | Callable[[dict[int, "torch.Tensor"]], "torch.Tensor"]


def expression_surface(text: str, dim: int | None = None) -> LossSurface:
    """The surface of a formula in the coordinates x, y, z, or w0, w1, w2, … (not both).

    Allowed are numbers, + - * / **, parentheses, pi, e, the functions exp, log, sqrt, sin, cos, tan, sinh,
    cosh, tanh, sigmoid and abs of one argument, and min and max of two. `dim` defaults to the highest
    coordinate used; more are allowed. At most 2,000 characters, nested at most 200 deep (a sum of n terms
    nests n deep).

    Raises ValueError, quoting the piece, for anything else.
    """
    expression = Expression(text)
    needed = max(expression.used) + 1
    if dim is None:
        dim = needed
    elif whole("dim", dim, low=1) < needed:
        raise ArgumentError(
            "dim", f"expected at least {needed} for the expression {_short(expression.text)}, got {dim}"
        )
    return LossSurface(expression, dim, name=expression.text)


class Expression:
    """A parsed formula, callable on one weight vector; `used` holds the indices of its coordinates."""

    def __init__(self, text: str):
        self.text = _cleaned(text)
        reader = _Reader(self.text)
        self._compute = reader.read(_parsed(self.text))
        self.used = tuple(sorted(reader.used))
        if not self.used:
            raise ArgumentError(
                "expression", f"expected a variable (x, y, z or w0, w1, …) in {_short(self.text)}, got none"
            )

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return self._compute({index: w[index] for index in self.used})

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self):
        return Expression, (self.text,)


def _cleaned(text: str) -> str:
    """The formula on one line: configuration files may fold a long one over several."""
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError("expression", f"expected a formula such as 'x**2 - y**2', got {text!r}")
    if len(text) > MAX_LENGTH:
        raise ArgumentError(
            "expression",
            f"expected at most {MAX_LENGTH:,} characters, got {len(text):,}; write long losses as a Python function",
        )
    if "#" in text:
        raise ArgumentError("expression", f"{_short(text)}: expected a formula without comments (#)")
    return " ".join(text.split())


def _parsed(text: str) -> ast.expr:
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ArgumentError(
            "expression", f"cannot read {_short(text)}: {reason}; products need *, as in 2*x, and powers **"
        ) from None
    # Depth is measured without recursion: the reader, which recurses, must not be the one to find out.
    layer, depth = [body], 0
    while layer:
        depth += 1
        layer = [c for node in layer for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
    if depth > MAX_DEPTH:
        raise ArgumentError(
            "expression",
            f"nested {depth} deep, expected at most {MAX_DEPTH} (a sum of n terms nests n deep); "
            "write long losses as a Python function",
        )
    return body


class _Reader:
    """Turns a syntax tree into a function; whatever it does not know is an error that quotes the piece."""

    def __init__(self, text: str):
        self.text = text
        self.used: set[int] = set()
        self.by_letter: bool | None = None

    def read(self, node: ast.expr) -> Part:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self.number(node, lambda: float(number))
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.apply(node, operator.neg, [self.read(operand)])
            case ast.BinOp(op=op) if type(op) in OPERATORS:
                return self.operation(node)
            case ast.BinOp(op=ast.BitXor()):
                raise self.error(node, "use ** for powers")
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(node, name, arguments)
            case ast.Call(func=ast.Constant() | ast.BinOp()):
                raise self.error(node, "products need *, as in 2*(x + 1)")
        allowed = "numbers, variables, + - * / **, parentheses and functions such as exp(x)"
        raise self.error(node, f"only {allowed} are allowed")

    def name(self, node: ast.expr, name: str) -> Part:
        if name in CONSTANTS:
            return CONSTANTS[name]
        indexed = re.fullmatch(r"w(0|[1-9][0-9]{0,3})", name)
        if name not in LETTERS and not indexed:
            if name in FUNCTIONS or name in FUNCTIONS_OF_TWO:
                raise self.error(node, f"{name} is a function: give it an argument in parentheses")
            if re.fullmatch(r"w[0-9]*", name):
                raise self.error(node, "coordinates are written w0, w1, w2, … up to w9999")
            known = [*LETTERS, "w0", "w1", "w2", *CONSTANTS, *FUNCTIONS, *FUNCTIONS_OF_TWO]
            raise self.error(node, f"unknown name; {nearest(name, known)}")
        if self.by_letter is not None and self.by_letter != (indexed is None):
            raise self.error(node, "write all variables as x, y, z or all as w0, w1, …, not both")
        self.by_letter = indexed is None
        index = int(indexed[1]) if indexed else LETTERS.index(name)
        self.used.add(index)
        return lambda coordinates: coordinates[index]

    def operation(self, node: ast.BinOp) -> Part:
        left, right = self.read(node.left), self.read(node.right)
        if isinstance(node.op, ast.Div) and right == 0:
            raise self.error(node, "division by zero")
        return self.apply(node, OPERATORS[type(node.op)], [left, right])

    def call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> Part:
        if name not in FUNCTIONS and name not in FUNCTIONS_OF_TWO:
            raise self.error(node, f"unknown function; {nearest(name, [*FUNCTIONS, *FUNCTIONS_OF_TWO])}")
        expected = 1 if name in FUNCTIONS else 2
        if len(arguments) != expected:
            noun = "argument" if expected == 1 else "arguments"
            raise self.error(node, f"expected {expected} {noun}, got {len(arguments)}")
        parts = [self.read(argument) for argument in arguments]
        if not any(callable(part) for part in parts):
            function = getattr(torch, FUNCTIONS_OF_TWO.get(name, name))
            tensors = [torch.tensor(part, dtype=torch.float64) for part in parts]
            return self.number(node, lambda: function(*tensors).item())
        if expected == 1:
            return self.apply(node, getattr(torch, name), parts)
        return self.apply(node, _of_two(getattr(torch, FUNCTIONS_OF_TWO[name])), parts)

    def apply(self, node: ast.expr, function: Callable, parts: list[Part]) -> Part:
        """`function` of parts: at once where all are numbers, otherwise when the coordinates are known."""
        match parts:
            case [a] if callable(a):
                return lambda coordinates: function(a(coordinates))
            case [a, b] if callable(a) and callable(b):
                return lambda coordinates: function(a(coordinates), b(coordinates))
            case [a, b] if callable(a):
                return lambda coordinates: function(a(coordinates), b)
            case [a, b] if callable(b):
                return lambda coordinates: function(a, b(coordinates))
        return self.number(node, lambda: function(*parts))

    def number(self, node: ast.expr, compute: Callable[[], float]) -> float:
        try:
            value = compute()
        except OverflowError:
            raise self.error(node, "the number is too large") from None
        except ZeroDivisionError:
            raise self.error(node, "division by zero") from None
        if isinstance(value, complex) or not math.isfinite(value):
            raise self.error(node, "expected a finite real number")
        return value

    def error(self, node: ast.expr, reason: str) -> ArgumentError:
        piece = ast.get_source_segment(self.text, node) or self.text
        return ArgumentError("expression", f"{_short(piece)}: {reason}")


def _of_two(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[Part, Part], torch.Tensor]:
    """torch.minimum and torch.maximum take only tensors: a number becomes one like the other argument."""

    def apply(a: torch.Tensor | float, b: torch.Tensor | float) -> torch.Tensor:
        like = a if isinstance(a, torch.Tensor) else b
        return function(*(part if isinstance(part, torch.Tensor) else torch.full_like(like, part) for part in (a, b)))

    return apply


def _short(piece: str) -> str:
    return repr(piece if len(piece) <= 60 else piece[:60] + "…")
