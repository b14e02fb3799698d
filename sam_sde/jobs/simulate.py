"""Whole trajectories of a few paths, as a table and as a picture."""

from pathlib import Path

import pandas as pd

from sam_sde.escape import Trajectory
from sam_sde.figures.folder import draw_sample_paths, save_figure
from sam_sde.files import write_csv
from sam_sde.jobs.escape import Experiment, by_arm, trajectory_frame


def simulate_paths(
    experiment: Experiment, out: Path, *, paths: int, replay: int | None, every: int
) -> tuple[list[Path], list[str]]:
    """Integrates the first `paths` paths of each arm, or the one numbered `replay`; returns files and one line a path.

    trajectories.csv has the columns arm, path, time, x0, x1, …; the picture is drawn for two-dimensional surfaces.
    """
    trajectories: dict[str, list[Trajectory]] = {}
    for arm, run in experiment.runs.items():
        numbers = list(range(min(paths, run.n_paths))) if replay is None else [replay]
        trajectories[arm] = run.trajectories(numbers, every)
    frame = by_arm({arm: pd.concat(map(trajectory_frame, kept)) for arm, kept in trajectories.items()})
    table = out / "trajectories.csv"
    write_csv(frame, table)
    written = [table]
    if experiment.surface.dim == 2:
        picture = draw_sample_paths(frame, experiment.surface, experiment.region)
        written += save_figure(picture, out / "trajectories")
    return written, [_end(arm, kept) for arm, each in trajectories.items() for kept in each]


def _end(arm: str, kept: Trajectory) -> str:
    point = ", ".join(f"{x:.6g}" for x in kept.states[-1][:8])
    return f"{arm}, path {kept.path}: {kept.outcome.name.lower()} at time {kept.times[-1]:.6g}, at ({point})"
