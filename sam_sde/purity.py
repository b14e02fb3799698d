"""Whether a function of the user's is one in the sense of mathematics: found out by calling it twice, on copies."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch

from sam_sde.errors import ArgumentError

# Two calls may differ by the rounding of so many units in the last place: threads may share sums in another way.
ROUNDING = 1000


def called_twice(name: str, what: str, function: Callable, *arguments):
    """function(*arguments), after a look at what else the call does; the arguments are tensors, or hold them.

    The arguments and the global random numbers (of torch on the CPU, numpy and Python) are as they were afterwards.

    Raises
        ArgumentError: about the argument `name`, where the function, called `what`, writes into its own arguments,
            draws global random numbers or gives something else at the second call.
        Exception: what the function raises.
    """
    before = _random_states()
    copies = [_map(torch.clone, arguments) for _ in range(2)]
    try:
        results = [function(*each) for each in copies]
        drawn = not _equal_states(before, _random_states())
    finally:
        _restore(before)
    if not _same(copies[0], arguments, rounding=0):
        raise ArgumentError(
            name,
            f"{what} writes into its argument in place, which others read too; "
            "make a new tensor, such as x = x / 2 instead of x /= 2, or begin with x = x.clone()",
        )
    if drawn:
        raise ArgumentError(
            name,
            f"{what} draws or seeds random numbers, but must give the same result at every call; "
            "draw them outside of it",
        )
    if not _same(*results, rounding=ROUNDING):
        raise ArgumentError(
            name,
            f"{what} gives another result when it is called again with the same arguments; "
            "it must not count calls, draw random numbers, or change in place what it reads",
        )
    return results[0]


def _map(function: Callable, value):
    from torch.utils._pytree import tree_map_only

    return tree_map_only(torch.Tensor, function, value)


def _tensors(value) -> list[torch.Tensor]:
    from torch.utils._pytree import tree_leaves

    return [leaf.detach() for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _same(one, other, rounding: int) -> bool:
    ones, others = _tensors(one), _tensors(other)
    return len(ones) == len(others) and all(_close(*pair, rounding) for pair in zip(ones, others, strict=True))


def _close(one: torch.Tensor, other: torch.Tensor, rounding: int) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    inexact = one.is_floating_point() or one.is_complex()
    tolerance = rounding * torch.finfo(one.dtype).eps if inexact else 0.0
    return torch.allclose(one, other, rtol=tolerance, atol=0.0, equal_nan=inexact)


def _random_states() -> tuple:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def _equal_states(one: tuple, other: tuple) -> bool:
    (words, *place), (other_words, *other_place) = one[1][1:], other[1][1:]
    of_numpy = np.array_equal(words, other_words) and place == other_place
    return of_numpy and torch.equal(one[0], other[0]) and one[2] == other[2]


def _restore(states: tuple) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
