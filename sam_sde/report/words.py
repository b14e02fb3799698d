"""Numbers, points and arms of a configuration in words."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sam_sde.figures.swept import are_numbers

MOST_VALUES = 5  # in a sentence
LONGEST_POINT = 4  # coordinates; of more the first three are shown

# What of an arm stands beside its name, where the arm does not share it with the others.
BESIDE_THE_NAME = {"rho": "ρ = {}", "momentum": "momentum {}", "batch_size": "batch size {}", "lr": "lr {}"}


def number(value: float | str) -> str:
    """A number; what is text already, as several of them, stays as it is."""
    return value if isinstance(value, str) else f"{value:.6g}"


def short(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, whole and with commas where it has more before the point."""
    if 10**digits <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def with_ends(value: float, low: float, high: float) -> list[str]:
    """A number and the ends of its interval, with as many decimals as tell half of the width."""
    half, largest = (high - low) / 2, max(abs(value), abs(low), abs(high))
    if not half > 0 or not 1e-3 <= largest < 1e7:
        return [short(each) for each in (value, low, high)]
    decimals = max(0, -math.floor(math.log10(half * (1 + 1e-9))))
    return [f"{each:,.{decimals}f}" for each in (value, low, high)]


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"


def listed(words: Iterable[str], before_the_last: str = "and") -> str:
    """Words as in a sentence: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} {before_the_last} {last}" if first else last


def values_words(values: Iterable[Any], before_the_last: str = "or") -> str:
    """Several values of a key in a sentence; of many numbers the smallest and the largest, of many others the first."""
    values = list(values)
    if len(values) <= MOST_VALUES:
        return listed(map(value_words, values), before_the_last)
    if are_numbers(values):
        return f"{number(min(values))} to {number(max(values))}"
    return f"{', '.join(map(value_words, values[: MOST_VALUES - 2]))} … ({len(values)} values)"


def place(point: Any) -> str:
    """A point as a configuration has it: coordinates, one number for all of them, or a point that the surface knows."""
    if isinstance(point, str):
        if point.startswith("["):  # several points in words
            return point
        return "the initial weights" if point == "initial" else f"the {point}"
    if isinstance(point, int | float):
        return "the origin" if point == 0 else f"the point whose coordinates are all {number(point)}"
    if not any(point):
        return "the origin"
    if len(point) <= LONGEST_POINT:
        return f"({', '.join(map(number, point))})"
    return f"({', '.join(map(number, point[:3]))}, …; {len(point)} coordinates)"


def settings(section: Mapping[str, Any], without: Iterable[str] = ()) -> str:
    """The keys of a section that say something, in brackets and after a space; nothing where there are none."""
    told = [
        f"{key} = {value_words(value)}" for key, value in section.items() if key not in without and value is not None
    ]
    return f" ({', '.join(told)})" if told else ""


def value_words(value: Any) -> str:
    """A value of a configuration."""
    if isinstance(value, Mapping):
        return f"{value['kind']}{settings(value, ['kind'])}" if "kind" in value else settings(value).strip()
    if isinstance(value, list):
        return f"[{', '.join(map(value_words, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return number(value) if isinstance(value, float) else str(value)


def arm_label(arm: str, section: Mapping[str, Any]) -> str:
    """The name of an arm, with what is its own: "SAM (ρ = 0.02)"; a number that is in its name is not said again."""
    own = {key: section.get(key) for key in BESIDE_THE_NAME}
    told = [
        words.format(number(own[key]))
        for key, words in BESIDE_THE_NAME.items()
        if own[key] is not None and number(own[key]) not in arm.replace("=", " ").replace(",", " ").split()
    ]
    return f"{arm} ({', '.join(told)})" if told else arm
