"""Whole trajectories of a few paths, as a table."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sam_sde.escape import Trajectory
from sam_sde.jobs.tables import by_arm


def trajectory_table(kept: Mapping[str, Sequence[Trajectory]]) -> pd.DataFrame:
    """One row for each kept state of the paths of each arm: arm, path, time, x0, x1, …"""
    return by_arm({arm: pd.concat(map(_states, trajectories)) for arm, trajectories in kept.items()})


def _states(trajectory: Trajectory) -> pd.DataFrame:
    columns = {f"x{i}": trajectory.states[:, i] for i in range(trajectory.states.shape[1])}
    return pd.DataFrame({"path": trajectory.path, "time": trajectory.times, **columns})
