"""Checks of arguments: each returns the value it was given, or raises one ValueError that says what to do."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Collection, Sequence
from numbers import Integral, Real

import numpy as np
import torch

from sam_sde.errors import ArgumentError

LARGEST = 1e100  # the square of a larger number overflows
LARGEST_WHOLE = 2**63 - 1
LONGEST_QUOTE = 160

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 8
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, and cut where it is long."""
    text = " ".join(_SHORT.repr(value).split())
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"


def nearest(word: str, known: Collection[str]) -> str:
    """What to try instead of an unknown `word`: the closest known one, and the list of all of them."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(sorted(known)) or 'none'}"


def one_of(name: str, value: str, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(name, f"unknown value {shown(value)}; {nearest(value, known)}")
    return value


def real(name: str, value: float) -> float:
    """A finite real number (not a boolean, not a string)."""
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, Real) or number != number or abs(number) == math.inf:
        raise ArgumentError(name, f"expected a finite number, got {shown(value)}")
    if abs(number) > LARGEST:
        raise ArgumentError(name, f"expected a number of at most {LARGEST:g} in size, got {shown(value)}")
    return float(number)


def positive(name: str, value: float) -> float:
    if real(name, value) <= 0:
        raise ArgumentError(name, f"expected a number above 0, got {shown(value)}")
    return float(value)


def non_negative(name: str, value: float) -> float:
    if real(name, value) < 0:
        raise ArgumentError(name, f"expected a number that is 0 or more, got {shown(value)}")
    return float(value)


def boolean(name: str, value: bool) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(name, f"expected True or False, got {shown(value)}")
    return bool(value)


def whole(name: str, value: int, *, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high` (below 2^63 where `high` is None)."""
    is_whole = isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))
    highest = LARGEST_WHOLE if high is None else high
    if not is_whole or not low <= value <= highest:
        unbounded = high is None and not (is_whole and value > highest)
        bounds = f"of at least {low}" if unbounded else f"from {low} to {highest}"
        raise ArgumentError(name, f"expected a whole number {bounds}, got {shown(value)}")
    return int(value)


def array(name: str, value: Sequence | torch.Tensor, *, ndim: int) -> torch.Tensor:
    """A finite float64 tensor with `ndim` dimensions, none of them empty."""
    shape = {1: "a list of numbers", 2: "a matrix (a list of rows)"}[ndim]
    try:
        # torch refuses an array that runs backwards, and warns of one that is read-only or complex.
        numbers = value.astype(np.float64, casting="same_kind") if isinstance(value, np.ndarray) else value
        if isinstance(numbers, torch.Tensor) and numbers.is_complex():
            raise TypeError("complex")
        tensor = torch.as_tensor(numbers, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ArgumentError(name, f"expected {shape}, got {shown(value)}") from None
    if tensor.ndim != ndim or tensor.numel() == 0:
        raise ArgumentError(name, f"expected {shape}, got {shown(value)}")
    if not torch.isfinite(tensor).all():
        raise ArgumentError(name, f"expected finite numbers, got {shown(value)}")
    return tensor


def vector(name: str, value: Sequence[float] | torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """A finite vector, float64, of length `dim` where `dim` is given."""
    tensor = array(name, value, ndim=1)
    if dim is not None and len(tensor) != dim:
        raise ArgumentError(name, f"expected {dim} numbers, one for each coordinate, got {len(tensor)}")
    return tensor
