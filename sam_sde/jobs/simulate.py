"""Whole trajectories of a few paths, written with what lies beneath them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sam_sde.escape import Trajectory, trajectories
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.record import make_record, write_result
from sam_sde.jobs.trajectories import trajectory_table


def simulate_paths(
    experiment: Experiment, out: Path, *, paths: int, replay: int | None, every: int
) -> tuple[list[Path], list[str]]:
    """Integrates the first `paths` paths of each arm, or the one numbered `replay`; returns files and one line a path.

    trajectories.csv has every `every`-th state. For surfaces of two coordinates there are the tables of a picture too.
    """
    begin = time.perf_counter()
    kept: dict[str, list[Trajectory]] = {}
    for arm, run in experiment.runs.items():
        numbers = list(range(min(paths, run.n_paths))) if replay is None else [replay]
        kept[arm] = trajectories(run, numbers, every)
    record = make_record(
        "simulate", experiment.config.model_dump(), experiment.setting.folder, wall_time=time.perf_counter() - begin
    )
    written = write_result(_tables(experiment, kept), record, out)
    return written, [_end(arm, trajectory) for arm, each in kept.items() for trajectory in each]


def _tables(experiment: Experiment, kept: dict[str, list[Trajectory]]) -> Iterator[tuple[str, pd.DataFrame]]:
    table = trajectory_table(kept)
    yield "trajectories", table
    if experiment.setting.surface.dim == 2:
        yield from landscape_tables(table, experiment.setting.surface, experiment.setting.region, "trajectories_")


def _end(arm: str, kept: Trajectory) -> str:
    point = ", ".join(f"{x:.6g}" for x in kept.states[-1][:8])
    return f"{arm}, path {kept.path}: {kept.outcome.name.lower()} at time {kept.times[-1]:.6g}, at ({point})"
