"""What figures of a sweep share, whoever draws them: which keys count, the order of their values, their axes."""

import math
from collections.abc import Iterable
from numbers import Number

import pandas as pd

# Values that span as much stand on a logarithmic axis.
DECADE = 10


def free_keys(frame: pd.DataFrame, keys: list[str]) -> list[str]:
    """The keys that vary, without those that only follow another one."""
    free = []
    for key in keys:
        follows = any(frame.groupby(other)[key].nunique().max() == 1 for other in free)
        if frame[key].nunique() > 1 and not follows:
            free.append(key)
    return free


def followers(frame: pd.DataFrame, keys: list[str], key: str) -> list[str]:
    """The keys that vary with this one, as those of a linked group do."""
    others = [other for other in keys if other != key and frame[other].nunique() > 1]
    return [other for other in others if frame.groupby(key)[other].nunique().max() == 1]


def in_order(values: Iterable) -> list:
    """Each value once: numbers from the smallest, words as they come."""
    once = list(dict.fromkeys(values))
    return sorted(once) if are_numbers(once) else once


def are_numbers(values: Iterable) -> bool:
    return all(isinstance(value, Number) and not isinstance(value, bool) for value in values)


def spans_a_decade(values: Iterable) -> bool:
    """Whether a logarithmic axis fits: positive numbers, the largest ten times the smallest or more."""
    values = list(values)
    numbers = [value for value in values if are_numbers([value]) and math.isfinite(value)]
    return len(numbers) == len(values) > 1 and min(numbers) > 0 and max(numbers) >= DECADE * min(numbers)
