"""Runs all arms of a configuration and writes what they found."""

import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.schema import Config
from sam_sde.escape import EscapeInterrupted, EscapeResult, EscapeRun, Progress, Recorder, Workers, compare
from sam_sde.escape.result import MAX_COORDINATES
from sam_sde.files import write_csv, write_text
from sam_sde.jobs.cautions import find_warnings
from sam_sde.statistics import summary_table, survival_curve, thin

MAX_PATH_ROWS = 10**6
MAX_SURVIVAL_ROWS = 1000
SAMPLE_PATHS = 5
SAMPLE_STATES = 2000

# Coordinates of all paths in all steps, times the samples of a loss over data, from which on all cores are used.
WORTH_WORKERS = 2e9

PACKAGES = ("sam_sde", "torch", "torchsde", "numpy", "scipy", "pandas")

# Everything that a run may leave in its folder: what the last one left and this one does not write is removed.
FILES = (
    *("summary.csv", "survival.csv", "comparison.csv", "paths.csv", "sample_paths.csv", "ends.csv", "run.json"),
    *(f"{figure}.{kind}" for figure in ("survival", "escape_times", "sample_paths") for kind in ("png", "pdf")),
)


@dataclass
class Experiment:
    """A configuration with its checked runs, and the results of the arms that were executed.

    workers: processes that share the paths; None for as many as there are cores where the work is worth it.
    """

    config: Config
    folder: Path
    workers: int | None = 1
    runs: dict[str, EscapeRun] = field(init=False)
    results: dict[str, EscapeResult] = field(default_factory=dict)
    recorders: dict[str, Recorder] = field(default_factory=dict)
    ends: pd.DataFrame | None = None
    interrupted: str | None = None
    notes: list[str] = field(default_factory=list)
    wall_time: float = 0.0

    def __post_init__(self):
        setting = Setting(self.config, self.folder)
        self.runs = setting.runs(self.workers or 1)
        if self.workers is None:
            self.workers = _worthwhile_workers(self.runs)
            if self.workers > 1:
                self.runs = setting.runs(self.workers)

    def execute(self, report: Callable[[str, Progress], None]) -> None:
        """Runs arm after arm; an interrupt ends it with what was finished."""
        begin = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            if self.workers > 1:
                with Workers(self.workers) as workers:
                    self._execute(report, workers)
            else:
                self._execute(report, None)
        self.notes = list(dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning))
        self.wall_time = time.perf_counter() - begin
        if self.config.run.ends is not None and not self.interrupted:
            with suppress(KeyboardInterrupt):  # what was integrated is kept; `complete` tells
                self.ends = by_arm({arm: result.ends(self.config.run.ends) for arm, result in self.results.items()})

    def _execute(self, report: Callable[[str, Progress], None], workers: Workers | None) -> None:
        try:
            for arm, run in self.runs.items():
                self.recorders[arm] = _recorder(run)
                self.results[arm] = run.execute(
                    lambda progress, arm=arm: report(arm, progress), self.recorders[arm], workers
                )
        except KeyboardInterrupt as interrupt:
            self.interrupted = arm
            if isinstance(interrupt, EscapeInterrupted) and interrupt.result is not None:
                self.results[arm] = interrupt.result

    @property
    def complete(self) -> bool:
        """Whether all that the configuration asks for was done, without an interrupt."""
        return not self.interrupted and (self.ends is not None or self.config.run.ends is None)

    @property
    def surface(self):
        return next(iter(self.runs.values())).problem.dynamics.surface

    @property
    def region(self):
        return next(iter(self.runs.values())).problem.region

    def summary(self) -> pd.DataFrame:
        return summary_table(self.results)

    def comparison(self) -> pd.DataFrame | None:
        """None where there is nothing to compare: one arm, or an interrupt before there were two."""
        reference = self.config.reference or next(iter(self.config.arms))
        results = dict(self.results)
        if self.interrupted and self.config.run.common_noise:
            results.pop(self.interrupted, None)  # its paths have no partners
        return compare(results, reference) if len(results) > 1 and reference in results else None

    def warnings(self, comparison: pd.DataFrame | None) -> list[str]:
        found = self.notes + find_warnings(self.runs, self.results, comparison)
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
        """Writes the CSV files and run.json into the folder `out`."""
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        write_csv(self.summary(), out / "summary.csv")
        write_csv(
            by_arm({arm: thin(survival_curve(r), MAX_SURVIVAL_ROWS) for arm, r in self.results.items()}),
            out / "survival.csv",
        )
        if all_paths or sum(map(len, self.results.values())) <= MAX_PATH_ROWS:
            columns = self.surface.dim if all_paths else MAX_COORDINATES
            write_csv(by_arm({arm: r.to_frame(columns) for arm, r in self.results.items()}), out / "paths.csv")
        if self.surface.dim == 2:
            write_csv(self.sample_paths(), out / "sample_paths.csv")
        if self.ends is not None:
            write_csv(self.ends, out / "ends.csv")
        comparison = self.comparison()
        if comparison is not None:
            write_csv(comparison, out / "comparison.csv")
        write_text(json.dumps(self.record(comparison), indent=2, ensure_ascii=False) + "\n", out / "run.json")

    def sample_paths(self) -> pd.DataFrame:
        """A few whole paths of each arm: arm, path, time, x0, x1."""
        frames = {}
        for arm, result in self.results.items():
            ends = zip(result.outcome, result.times, result.exit_points, strict=True)
            recorder = self.recorders[arm]
            frames[arm] = pd.concat(
                trajectory_frame(recorder.trajectory(path, result.dt, *end))
                for path, end in zip(recorder.paths, ends, strict=False)
            )
        return by_arm(frames)

    def record(self, comparison: pd.DataFrame | None) -> dict:
        """What run.json says of the run."""
        results = self.results.values()
        path_steps = sum(result.path_steps for result in results)
        return {
            "config": self.config.model_dump(),
            "config_folder": str(self.folder.resolve()),
            "seed": self.config.run.seed,
            "interrupted": not self.complete,
            "engine": _only({result.engine for result in results}),
            "engines": {arm: result.engine for arm, result in self.results.items()},
            "device": _only({result.device for result in results}),
            "workers": self.workers,
            "block_size": _only({result.block_size for result in results}),
            "dt": {arm: result.dt for arm, result in self.results.items()},
            "wall_time": round(self.wall_time, 3),
            "path_steps": path_steps,
            "path_steps_per_second": round(path_steps / self.wall_time),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "warnings": self.warnings(comparison),
        }


def trajectory_frame(trajectory) -> pd.DataFrame:
    columns = {f"x{i}": trajectory.states[:, i] for i in range(trajectory.states.shape[1])}
    return pd.DataFrame({"path": trajectory.path, "time": trajectory.times, **columns})


def make_folder(out: Path) -> None:
    """Makes the folder for results, and sees that files can be written there, before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".sam_sde"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"--out: cannot write to {out}: {error.strerror}; choose another folder") from None


def _worthwhile_workers(runs: dict[str, EscapeRun]) -> int:
    """All cores for long work on a CPU: starting a process takes seconds."""
    work = sum(run.n_paths * run.problem.n_steps * _numbers_of_a_step(run) for run in runs.values())
    on_cpu = all(run.device.type == "cpu" for run in runs.values())
    return (os.cpu_count() or 1) if on_cpu and work >= WORTH_WORKERS else 1


def _numbers_of_a_step(run: EscapeRun) -> int:
    """Coordinates of a path; a loss over data sums them over its samples."""
    dynamics = run.problem.dynamics
    return dynamics.dim * getattr(getattr(dynamics, "surface", None), "n_samples", 1)


def _recorder(run: EscapeRun) -> Recorder:
    every = max(1, run.problem.n_steps // SAMPLE_STATES)
    return Recorder(list(range(min(SAMPLE_PATHS, run.n_paths))), every)


def by_arm(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    frame = pd.concat(frames, names=["arm", None]).reset_index("arm")
    return frame.reset_index(drop=True)


def _only(values: set):
    """The value that all arms share, or all of them."""
    return next(iter(values)) if len(values) == 1 else sorted(values)
