"""Checks of arguments: each returns the value it was given, or raises one ValueError that says what to do."""

import difflib
import math
from collections.abc import Collection, Sequence
from numbers import Integral, Real

import numpy as np
import torch


def nearest(word: str, known: Collection[str]) -> str:
    """What to try instead of an unknown `word`: the closest known one, and the list of all of them."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(sorted(known))}"


def one_of(name: str, value: str, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}: unknown value {value!r}; {nearest(value, known)}")
    return value


def real(name: str, value: float) -> float:
    """A finite real number (not a boolean, not a string)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return float(value)


def positive(name: str, value: float) -> float:
    if real(name, value) <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {value!r}")
    return float(value)


def non_negative(name: str, value: float) -> float:
    if real(name, value) < 0:
        raise ValueError(f"{name}: expected a number that is 0 or more, got {value!r}")
    return float(value)


def whole(name: str, value: int, *, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high` (unbounded above where `high` is None)."""
    is_whole = isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))
    if not is_whole or value < low or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}: expected a whole number {bounds}, got {value!r}")
    return int(value)


def array(name: str, value: Sequence | torch.Tensor, *, ndim: int) -> torch.Tensor:
    """A finite float64 tensor with `ndim` dimensions, none of them empty."""
    shape = {1: "a list of numbers", 2: "a matrix (a list of rows)"}[ndim]
    try:
        tensor = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: expected {shape}, got {value!r}") from None
    if tensor.ndim != ndim or tensor.numel() == 0:
        raise ValueError(f"{name}: expected {shape}, got {value!r}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: expected finite numbers, got {value!r}")
    return tensor


def vector(name: str, value: Sequence[float] | torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """A finite vector, float64, of length `dim` where `dim` is given."""
    tensor = array(name, value, ndim=1)
    if dim is not None and len(tensor) != dim:
        raise ValueError(f"{name}: expected {dim} numbers, one for each coordinate, got {len(tensor)}")
    return tensor
