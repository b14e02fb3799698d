"""The tables of an escape run: what its arms have found, and the picture of a surface of two coordinates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from sam_sde.jobs.arms import said
from sam_sde.jobs.exact import curves_to
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.rare import rare_tables
from sam_sde.jobs.tables import by_arm
from sam_sde.jobs.trajectories import trajectory_table
from sam_sde.statistics import survival_curve, thin

if TYPE_CHECKING:
    from sam_sde.jobs.escape import Experiment

MAX_SURVIVAL_ROWS = 1000


def escape_tables(
    experiment: "Experiment",
    comparison: pd.DataFrame | None,
    coordinates: int,
    picture: dict[str, pd.DataFrame],
    survival_rows: int = MAX_SURVIVAL_ROWS,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each table with its name, made when it is asked for; `coordinates`: how many paths.csv has, 0 for no such."""
    yield "summary", experiment.summary()
    curves = {arm: thin(survival_curve(result), survival_rows) for arm, result in experiment.results.items()}
    yield "survival", by_arm(curves)
    if experiment.exact:
        yield "exact_curves", curves_to(experiment.exact, max(result.t_max for result in experiment.results.values()))
    checks = {arm: result.step_check for arm, result in experiment.results.items() if result.step_check is not None}
    if checks:
        yield "dt_changes", by_arm({arm: check.to_frame() for arm, check in checks.items()})
    if comparison is not None:
        yield "comparison", comparison
    yield from rare_tables(experiment.rare).items()
    if coordinates:
        yield "paths", by_arm({arm: result.to_frame(coordinates) for arm, result in experiment.results.items()})
    if experiment.ends is not None:
        yield "ends", experiment.ends
    yield from picture.items()


def picture_tables(experiment: "Experiment") -> dict[str, pd.DataFrame]:
    """The tables of the picture of a surface of two coordinates."""
    if experiment.setting.surface.dim != 2:
        return {}
    paths = sample_paths(experiment)
    try:
        beneath = landscape_tables(paths, experiment.setting.surface, experiment.setting.region)
        return {"sample_paths": paths, **dict(beneath)}
    except Exception as error:  # a loss may raise where no path was
        experiment.notes.append(f"no picture: the loss on the grid beneath the paths {said(error)}")
        return {}


def sample_paths(experiment: "Experiment") -> pd.DataFrame:
    """A few whole paths of each arm: arm, path, time, x0, x1."""
    kept = {}
    for arm, result in experiment.results.items():
        ends = zip(result.outcome, result.times, result.exit_points, strict=True)
        recorder = experiment.recorders[arm]
        kept[arm] = [
            recorder.trajectory(path, result.dt, *end) for path, end in zip(recorder.paths, ends, strict=False)
        ]
    return trajectory_table(kept)
