"""Data sets from the user's own CSV files: what a reader would guess in silence is asked for instead."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sam_sde.checks import boolean, nearest, shown
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.data import Dataset, standardized

if TYPE_CHECKING:
    import pandas as pd

NUMERIC = "biuf"  # kinds of numpy's numbers, and of truth values, which count as such
MISSING_WORDS = {"na", "n/a", "#n/a", "<na>", "nan", "null", "none"}  # what among numbers is no class


def load_csv(
    file: str | Path,
    target: str | None = None,
    folder: str | Path = ".",
    *,
    header: bool = True,
    index: bool = False,
) -> Dataset:
    """The numbers in a CSV file: the column `target` is what to predict, all others are features.

    A relative path starts at `folder`. Words in the target are names of classes (NA and None too; a missing value is an
    empty cell); whole numbers may be.
    header: whether the first row has the names of the columns; without it they are called x0, x1, …
    index: whether the first column only labels the rows, as the one that pandas' `to_csv()` writes; it is left out.

    Raises ArgumentError where the file is missing or no table, a name is a number, missing or given twice, the column
    `target` is missing, a feature is not a number, or a value is missing or infinite.
    """
    path = Path(folder, file)
    table = _read(path, Path(folder), boolean("header", header), boolean("index", index))
    if target is not None and target not in table:
        raise ArgumentError(
            "target", f"no column {shown(target)} in {path.name}; {nearest(target, list(table.columns))}"
        )
    features = table.drop(columns=[] if target is None else target)
    _check_table(path.name, features, table)
    values = None if target is None else _target_column(path.name, table[target])
    return Dataset(path.name, standardized(torch.as_tensor(features.to_numpy(float))), values)


def _read(path: Path, folder: Path, header: bool, index: bool) -> pd.DataFrame:
    """The table, with the names that stand in the file."""
    import pandas as pd  # here alone, and it takes half a second

    # Whatever a cell holds is read, but for spaces before it; only an empty one is missing.
    as_it_is = {"keep_default_na": False, "na_values": [""], "skipinitialspace": True, "low_memory": False}
    try:
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, **as_it_is).iloc[0]
        table = pd.read_csv(path, header=0 if header else None, **as_it_is)
    except OSError as error:
        raise ArgumentError(
            "csv", f"cannot read {path}: {error.strerror or error}; a relative path starts at {folder.resolve()}"
        ) from None
    except (ValueError, pd.errors.ParserError) as error:  # an empty file and bad text are ValueErrors of pandas
        said = " ".join(str(error).split())[:160]
        raise ArgumentError("csv", f"expected a table in {path}, got: {said}") from None
    names = ["" if pd.isna(name) else name for name in first] if header else []
    if not isinstance(table.index, pd.RangeIndex):  # the rows are longer than the header, so pandas takes the first
        if not index or table.index.nlevels > 1:
            raise ArgumentError(
                "csv",
                f"the rows of {path.name} have {len(names) + table.index.nlevels} values under {len(names)} names; "
                "name each column, or give index: true if the first one only labels the rows",
            )
    elif index:
        table, names = table.iloc[:, 1:], names[1:]
    if header:
        _check_names(path.name, names, index)
    else:
        table.columns = [f"x{i}" for i in range(len(table.columns))]
    return table.reset_index(drop=True)


def _check_names(file: str, names: list[str], index: bool) -> None:
    """Refuses a first row that is none of names, and names that say nothing or not which column is meant."""
    for place, name in enumerate(names, start=1):
        if _is_number(name):
            raise ArgumentError(
                "csv",
                f"expected names of columns in the first row of {file}, got the number {shown(name)}; "
                "if the file has no names, give header: false",
            )
        if name == "" or re.fullmatch(r"Unnamed: \d+", name):
            first = place == 1 and not index
            remedy = "if it only labels the rows, as pandas writes it, give index: true" if first else "give it a name"
            got = "no name" if name == "" else f"the name {shown(name)}, which pandas gives where there is none"
            raise ArgumentError("csv", f"column {place + index} of {file} has {got}; {remedy}, or leave it out")
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise ArgumentError("csv", f"{count} columns of {file} have the name {shown(name)}; rename them")


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _check_table(name: str, features: pd.DataFrame, table: pd.DataFrame) -> None:
    if len(table) < 2 or not len(features.columns):
        raise ArgumentError(
            "csv",
            f"expected at least two rows and a column of features in {name}, "
            f"got {len(table)} rows and {len(features.columns)} such columns",
        )
    for column in table:
        missing = table[column].isna()
        if missing.any():
            raise ArgumentError(
                "csv",
                f"{int(missing.sum())} values are missing in column {shown(column)} of {name}, first in row "
                f"{_first(missing)}; fill them, or leave these rows out",
            )
    for column in features:
        if features[column].dtype.kind not in NUMERIC:
            row = _first(~features[column].map(str).map(_is_number))
            raise ArgumentError(
                "csv",
                f"expected numbers in column {shown(column)} of {name}, got {shown(features[column].iloc[row - 1])} "
                f"in row {row}; leave the column out, write it as numbers, or make it the target",
            )
    if not np.isfinite(features.to_numpy(float)).all():
        raise ArgumentError("csv", f"expected finite numbers in {name}")


def _first(rows: pd.Series) -> int:
    """The number of the first row of data, from 1, that is true."""
    return int(rows.to_numpy().argmax()) + 1


def _target_column(name: str, column: pd.Series) -> np.ndarray:
    if column.dtype.kind not in NUMERIC or column.dtype.kind == "b":
        words = column.astype(str)
        numbers = words.map(_is_number) & ~words.str.lower().isin(MISSING_WORDS)
        others = words[~numbers]
        if numbers.any() and others.str.lower().isin(MISSING_WORDS).all():
            raise ArgumentError(
                "csv",
                f"expected numbers or classes in column {shown(column.name)} of {name}, got numbers and "
                f"{shown(others.iloc[0])} in row {_first(~numbers)}; leave these rows out, or write all classes as "
                "words",
            )
        return words.to_numpy(str)
    values = column.to_numpy(float)
    if not np.isfinite(values).all():
        raise ArgumentError("csv", f"expected finite numbers in column {shown(column.name)} of {name}")
    return values
