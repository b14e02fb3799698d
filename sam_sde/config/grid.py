"""The grid of conditions that the section `sweep` describes: keys of the configuration and the values they take."""

import copy
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam_sde.checks import nearest, shown
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config, names_of, read_document, set_value
from sam_sde.config.schema import Config

LINKED = "linked"
RANGES = {"linear": np.linspace, "log": np.geomspace}

MOST_CONDITIONS = 10_000
SHOWN_FAILURES = 3

# What all conditions share, and why.
FIXED = {
    "reference": "conditions are compared with one another, so all have the same; leave it out of the grid",
    "sweep": "a grid is not a part of its own conditions; give the keys that it is to vary",
}

HOW = "give a list, {linear: [first, last, count]} or {log: [first, last, count]}"


@dataclass(frozen=True)
class Condition:
    """One configuration of a grid, and the values by which it differs from the others."""

    values: dict[str, Any]
    config: Config

    def __str__(self) -> str:
        return ", ".join(f"{key} = {written(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class Grid:
    """All conditions of a document, in the order of its keys."""

    document: dict[str, Any]
    conditions: list[Condition]

    @property
    def keys(self) -> list[str]:
        """Those that are swept."""
        return list(self.conditions[0].values)


def written(value: Any) -> str:
    """A value of a key as it stands in a table."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def load_grid(path: Path, changes: Sequence[str] = ()) -> Grid:
    """The conditions of a configuration file with a section `sweep`, all of them checked.

    Raises
        ConfigError: the section is missing, empty, or too large, or some of its conditions are no configurations.
    """
    return expand(read_document(path, changes))


def expand(document: dict[str, Any]) -> Grid:
    """The conditions of a nested dictionary, see `load_grid`."""
    section = document.get("sweep")
    if not isinstance(section, dict) or not section:
        raise ConfigError(
            f"sweep: expected keys with the values they take, such as arms.SAM.rho: [0.01, 0.1], got {shown(section)}"
        )
    axes = [axis for key, said in section.items() for axis in _axes(str(key), said)]
    keys = [key for axis in axes for key in axis]
    _require_apart(keys)
    size = math.prod(len(next(iter(axis.values()))) for axis in axes)
    if size > MOST_CONDITIONS:
        raise ConfigError(f"sweep: expected at most {MOST_CONDITIONS} conditions, got {size}; give fewer values")
    return Grid(document, _checked(document, [_merged(rows) for rows in itertools.product(*map(_rows, axes))]))


def _require_apart(keys: list[str]) -> None:
    """Each key is another one, none is a part of another's value, and none is the same in all conditions by nature."""
    for i, key in enumerate(keys):
        names = names_of(key, f"sweep.{key}")
        if names[0] in FIXED:
            raise ConfigError(f"sweep.{key}: {FIXED[names[0]]}")
        for other in keys[:i]:
            pair = names, names_of(other, f"sweep.{other}")
            if pair[0] == pair[1]:
                raise ConfigError(f"sweep.{key}: given twice")
            short, long = sorted(pair, key=len)
            if long[: len(short)] == short:
                raise ConfigError(
                    f"sweep.{key}: overlaps with {other}, which would set a part of it or all; leave one out"
                )


def _axes(key: str, said: Any) -> list[dict[str, list]]:
    """What varies together: one key, or those of a linked group."""
    if key != LINKED:
        return [{key: _values(key, said)}]
    axes = []
    for group in said if isinstance(said, list) else [said]:
        if not isinstance(group, dict) or not group:
            raise ConfigError(f"sweep.linked: expected keys with lists of the same length, got {shown(group)}")
        axes.append({str(name): _values(str(name), values) for name, values in group.items()})
        lengths = {name: len(values) for name, values in axes[-1].items()}
        if len(set(lengths.values())) > 1:
            got = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ConfigError(f"sweep.linked: expected lists of the same length, {got}")
    return axes


def _values(key: str, said: Any) -> list:
    if isinstance(said, dict):
        return _range(key, said)
    if not isinstance(said, list):
        raise ConfigError(f"sweep.{key}: expected the values it takes, got {shown(said)}; {HOW}")
    if not said:
        raise ConfigError(f"sweep.{key}: expected at least one value, got an empty list; {HOW}")
    for i, value in enumerate(said):
        if value in said[:i]:
            raise ConfigError(f"sweep.{key}: the value {shown(value)} is given twice")
    return said


def _range(key: str, said: dict) -> list[float]:
    if len(said) != 1 or next(iter(said)) not in RANGES:
        hint = nearest(str(next(iter(said), "")), RANGES)
        raise ConfigError(f"sweep.{key}: expected one range, got {shown(said)}; {hint}; {HOW}")
    kind, ends = next(iter(said.items()))
    numbers = isinstance(ends, list) and len(ends) == 3 and all(_is_number(each) for each in ends)
    if not numbers or ends[2] != int(ends[2]) or not 2 <= ends[2] <= MOST_CONDITIONS:
        raise ConfigError(
            f"sweep.{key}.{kind}: expected [first, last, count] with a count from 2 to {MOST_CONDITIONS}, "
            f"got {shown(ends)}"
        )
    first, last, count = float(ends[0]), float(ends[1]), int(ends[2])
    if not math.isfinite(last - first):
        raise ConfigError(f"sweep.{key}.{kind}: expected numbers that are less apart, got {first:g} and {last:g}")
    if first == last or (kind == "log" and not (first > 0 and last > 0)):
        wanted = "two different numbers" + (" above 0" if kind == "log" else "")
        raise ConfigError(f"sweep.{key}.{kind}: expected {wanted}, got {first:g} and {last:g}")
    # As they would be written by hand, and the same on every machine.
    return [float(f"{value:.12g}") for value in RANGES[kind](first, last, count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rows(axis: dict[str, list]) -> list[dict[str, Any]]:
    return [dict(zip(axis, values, strict=True)) for values in zip(*axis.values(), strict=True)]


def _merged(rows: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {key: value for row in rows for key, value in row.items()}


def _checked(document: dict[str, Any], rows: list[dict[str, Any]]) -> list[Condition]:
    """The configuration of each row; all that are none are counted, and the first of them named."""
    base = {key: value for key, value in document.items() if key != "sweep"}
    conditions, failures = [], []
    for values in rows:
        own = copy.copy(base)
        try:
            for key, value in values.items():
                set_value(own, key, value, f"sweep.{key}")
            conditions.append(Condition(values, check_config(own)))
        except ConfigError as error:
            failures.append((values, error))
    refuse(failures, len(rows))
    return conditions


def refuse(failures: Sequence[tuple[dict[str, Any] | Condition, Exception]], size: int) -> None:
    """Raises one ConfigError for all conditions that cannot be run, if there are any."""
    if not failures:
        return
    if len(failures) == size and len({str(error) for _, error in failures}) == 1:
        raise ConfigError(f"sweep: {failures[0][1]}")
    lines = []
    for condition, error in failures[:SHOWN_FAILURES]:
        named = condition if isinstance(condition, Condition) else Condition(condition, None)
        lines.append(f"{named}: {error}")
    more = len(failures) - len(lines)
    rest = f"; and {more} more" if more else ""
    raise ConfigError(f"sweep: {len(failures)} of {size} conditions cannot be run: {'; '.join(lines)}{rest}")
