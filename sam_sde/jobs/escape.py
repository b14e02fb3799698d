"""Runs all arms of a configuration and writes what they found."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.config.building import Setting
from sam_sde.config.schema import Config
from sam_sde.escape import EscapeInterrupted, EscapeResult, EscapeRun, Progress, Recorder, compare, execute
from sam_sde.escape.result import MAX_COORDINATES
from sam_sde.jobs.cautions import find_cautions
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.record import make_record, write_result
from sam_sde.jobs.tables import by_arm
from sam_sde.jobs.trajectories import trajectory_table
from sam_sde.statistics import summary_table, survival_curve, thin

MAX_PATH_ROWS = 10**6
MAX_SURVIVAL_ROWS = 1000
SAMPLE_PATHS = 5
SAMPLE_STATES = 2000


@dataclass
class Experiment:
    """What a configuration describes with its checked runs, and the results of the arms that were executed.

    workers: how many share the paths; None for as many as there are cores where the work is worth it.
    """

    setting: Setting
    workers: int | None = None
    runs: dict[str, EscapeRun] = field(init=False)
    results: dict[str, EscapeResult] = field(default_factory=dict)
    recorders: dict[str, Recorder] = field(default_factory=dict)
    ends: pd.DataFrame | None = None
    interrupted: str | None = None
    notes: list[str] = field(default_factory=list)
    wall_time: float = 0.0

    def __post_init__(self):
        self.runs = self.setting.runs(self.workers)

    def execute(self, report: Callable[[str, Progress], None]) -> None:
        """Runs arm after arm; an interrupt ends it with what was finished."""
        begin = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            self._execute(report)
        self.notes = list(dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning))
        self.wall_time = time.perf_counter() - begin
        if self.config.run.ends is not None and not self.interrupted:
            with suppress(KeyboardInterrupt):  # what was integrated is kept; `complete` tells
                self.ends = by_arm({arm: result.ends(self.config.run.ends) for arm, result in self.results.items()})

    def _execute(self, report: Callable[[str, Progress], None]) -> None:
        try:
            for arm, run in self.runs.items():
                self.recorders[arm] = _recorder(run)
                self.results[arm] = execute(run, lambda progress, arm=arm: report(arm, progress), self.recorders[arm])
        except KeyboardInterrupt as interrupt:
            self.interrupted = arm
            if isinstance(interrupt, EscapeInterrupted) and interrupt.result is not None:
                self.results[arm] = interrupt.result

    @property
    def complete(self) -> bool:
        """Whether all that the configuration asks for was done, without an interrupt."""
        return not self.interrupted and (self.ends is not None or self.config.run.ends is None)

    @property
    def config(self) -> Config:
        return self.setting.config

    def summary(self) -> pd.DataFrame:
        return summary_table(self.results)

    def comparison(self) -> pd.DataFrame | None:
        """None where there is nothing to compare: one arm, or an interrupt before there were two."""
        reference = self.config.reference or next(iter(self.config.arms))
        results = dict(self.results)
        if self.interrupted and self.config.run.common_noise:
            results.pop(self.interrupted, None)  # its paths have no partners
        return compare(results, reference) if len(results) > 1 and reference in results else None

    def cautions(self, comparison: pd.DataFrame | None) -> list[str]:
        """One sentence for each thing that limits what the results say."""
        found = self.notes + find_cautions(self.runs, self.results, comparison)
        if self.interrupted:
            found.insert(
                0,
                f"interrupted while {self.interrupted} ran: later arms are missing, and its paths still inside are "
                "censored at the time they had reached",
            )
        elif not self.complete:
            found.insert(0, "interrupted while the end states were judged: there is no ends.csv")
        return found

    def write(self, out: Path, all_paths: bool = False) -> None:
        """Writes the tables and run.json into the folder `out`."""
        comparison = self.comparison()
        write_result(self._tables(comparison, all_paths), self.record(comparison), out)

    def _tables(self, comparison: pd.DataFrame | None, all_paths: bool) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each table with its name, made when it is asked for."""
        yield "summary", self.summary()
        curves = {arm: thin(survival_curve(result), MAX_SURVIVAL_ROWS) for arm, result in self.results.items()}
        yield "survival", by_arm(curves)
        if comparison is not None:
            yield "comparison", comparison
        if all_paths or sum(map(len, self.results.values())) <= MAX_PATH_ROWS:
            columns = self.setting.surface.dim if all_paths else MAX_COORDINATES
            yield "paths", by_arm({arm: result.to_frame(columns) for arm, result in self.results.items()})
        if self.ends is not None:
            yield "ends", self.ends
        if self.setting.surface.dim == 2:
            sample_paths = self.sample_paths()
            yield "sample_paths", sample_paths
            yield from landscape_tables(sample_paths, self.setting.surface, self.setting.region)

    def sample_paths(self) -> pd.DataFrame:
        """A few whole paths of each arm: arm, path, time, x0, x1."""
        kept = {}
        for arm, result in self.results.items():
            ends = zip(result.outcome, result.times, result.exit_points, strict=True)
            recorder = self.recorders[arm]
            kept[arm] = [
                recorder.trajectory(path, result.dt, *end) for path, end in zip(recorder.paths, ends, strict=False)
            ]
        return trajectory_table(kept)

    def record(self, comparison: pd.DataFrame | None) -> dict[str, Any]:
        """What run.json says of the run, but for the tables."""
        results = self.results.values()
        path_steps = sum(result.path_steps for result in results)
        common = make_record(
            "escape",
            self.config.model_dump(),
            self.setting.folder,
            wall_time=self.wall_time,
            interrupted=not self.complete,
        )
        return common | {
            "seed": self.config.run.seed,
            "engine": _only({result.engine for result in results}),
            "engines": {arm: result.engine for arm, result in self.results.items()},
            "ways": {arm: result.way for arm, result in self.results.items() if result.way},
            "device": _only({result.device for result in results}),
            "workers": _only({run.workers for run in self.runs.values()}),
            "block_size": _only({result.block_size for result in results}),
            "dt": {arm: result.dt for arm, result in self.results.items()},
            "path_steps": path_steps,
            "path_steps_per_second": round(path_steps / self.wall_time),
            "warnings": self.cautions(comparison),
        }


def _recorder(run: EscapeRun) -> Recorder:
    every = max(1, run.problem.n_steps // SAMPLE_STATES)
    return Recorder(list(range(min(SAMPLE_PATHS, run.n_paths))), every)


def _only(values: set):
    """The value that all arms share, or all of them."""
    return next(iter(values)) if len(values) == 1 else sorted(values)
