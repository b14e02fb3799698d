"""The tables of a sweep: those of each condition, below each other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from sam_sde import checks
from sam_sde.config.grid import Condition, written
from sam_sde.errors import ArgumentError
from sam_sde.files import make_folder, write_csv, write_whole
from sam_sde.jobs.cautions import CHANGING_RATES, changing_rates
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.escape_tables import escape_tables
from sam_sde.jobs.store import key_of
from sam_sde.jobs.tables import by_arm

MAX_SURVIVAL_ROWS = 100  # an arm of a condition

PATH_FILES = ("csv", "parquet")


@dataclass
class Tables:
    """The tables of the conditions below each other, the swept keys first.

    paired: whether the arms saw the same noise. warnings, unfinished: name their condition.
    """

    keys: list[str]
    paired: bool = False
    warnings: list[str] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    _changing: int = 0
    _parts: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def add(self, condition: Condition, experiment: Experiment) -> None:
        """Those of an experiment with its results."""
        if experiment.runs:
            self._add("conditions", condition, pd.DataFrame({"condition": [id_of(experiment)]}))
        if not experiment.results:
            return
        comparison = experiment.comparison()
        for name, frame in escape_tables(experiment, comparison, 0, {}, MAX_SURVIVAL_ROWS):
            self._add(name, condition, frame)
        self.warnings += [f"{condition}: {sentence}" for sentence in experiment.limits(comparison)]
        self._changing += changing_rates(experiment.results) is not None

    def end(self) -> None:
        """Says once what holds for many conditions."""
        conditions = self.frame("conditions")
        if conditions is not None and conditions.duplicated("condition").any():
            same = conditions[conditions.duplicated("condition", keep=False)]
            first = ", ".join(f"{key} = {value}" for key, value in same.iloc[0][self.keys].items())
            self.warnings.append(
                f"{len(same)} conditions have the paths of another one, as that of {first}: a swept key changes "
                "nothing in them, as where each arm has a value of its own"
            )
        if self._changing:
            self.warnings.append(f"in {self._changing} conditions: {CHANGING_RATES}")

    def _add(self, name: str, condition: Condition, frame: pd.DataFrame) -> None:
        keyed = frame.copy()
        for place, key in enumerate(self.keys):
            value = condition.values[key]
            keyed.insert(place, key, value if isinstance(value, int | float | str) else written(value))
        self._parts.setdefault(name, []).append(keyed)

    def frame(self, name: str) -> pd.DataFrame | None:
        return pd.concat(self._parts[name], ignore_index=True) if name in self._parts else None

    def tidy(self) -> pd.DataFrame:
        """The summary, and beside it the comparison where there is one; the reference has no values in it."""
        summary, comparison = self.frame("summary"), self.frame("comparison")
        return summary if comparison is None else summary.merge(comparison, "left", [*self.keys, "arm"])

    def frames(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each with its name in TABLES."""
        for name in self._parts:
            yield f"sweep_{name}", self.frame(name)


def require_path_files(kind: str | None) -> None:
    """Raises ArgumentError where files of this kind cannot be written."""
    if kind is not None and checks.one_of("--paths", kind, PATH_FILES) == "parquet" and find_spec("pyarrow") is None:
        raise ArgumentError("--paths", "parquet needs pyarrow; try `pip install 'sam_sde[parquet]'`, or csv")


def id_of(experiment: Experiment) -> str:
    """A name by content: of the paths of its arms."""
    return key_of({arm: [entry.key, entry.run.n_paths] for arm, entry in experiment.kept.items()})[:12]


def remove_other_paths(folder: Path, kept: set[str]) -> None:
    """Those of conditions that are no more, for a folder of files may be read as one table."""
    for path in folder.glob("*"):
        if re.fullmatch(r"[0-9a-f]{12}\.(csv|parquet)", path.name) and path.name not in kept:
            path.unlink()


def write_paths(experiment: Experiment, path: Path) -> None:
    """Writes how each path of each arm ended, as the ending of the file's name says."""
    make_folder(path.parent)
    frame = by_arm({arm: result.to_frame() for arm, result in experiment.results.items()})
    if path.suffix == ".csv":
        write_csv(frame, path)
    else:
        write_whole(path, frame.to_parquet)
