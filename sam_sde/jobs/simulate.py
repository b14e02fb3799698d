"""Whole trajectories of a few paths, written with what lies beneath them."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sam_sde.escape import Trajectory, trajectories
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.results import Destination
from sam_sde.jobs.trajectories import trajectory_table


class Simulation:
    """The first `paths` paths of each arm, or the one numbered `replay`, with every `every`-th state of each.

    Attributes
        kept: the trajectories of each arm. arms: what became of the arms.
    """

    def __init__(self, experiment: Experiment, *, paths: int, replay: int | None, every: int):
        self.experiment, self.every = experiment, every
        self.numbers = {
            arm: list(range(min(paths, run.n_paths))) if replay is None else [replay]
            for arm, run in experiment.runs.items()
        }
        self.kept: dict[str, list[Trajectory]] = {}
        self.arms = ArmByArm(experiment.runs)

    def execute(self) -> None:
        """Integrates arm after arm; one that fails is left behind, an interrupt ends it with what was finished.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm was finished.
        """
        self.arms.run_kept(self._run, tuple)

    def _run(self, arm: str) -> None:
        self.kept[arm] = trajectories(self.experiment.runs[arm], self.numbers[arm], self.every)

    def write(self, destination: Destination) -> list[Path]:
        """Writes trajectories.csv, for surfaces of two coordinates the tables of a picture, and the record."""
        record = self.arms.record("simulate", self.experiment.setting)
        return destination.write(self._tables(), record)

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        table, setting = trajectory_table(self.kept), self.experiment.setting
        yield "trajectories", table
        if setting.surface.dim == 2:
            yield from landscape_tables(table, setting.surface, setting.region, "trajectories_")

    def lines(self) -> list[str]:
        """One line a path: how it ended."""
        return [_end(arm, trajectory) for arm, each in self.kept.items() for trajectory in each]


def _end(arm: str, kept: Trajectory) -> str:
    point = ", ".join(f"{x:.6g}" for x in kept.states[-1][:8])
    return f"{arm}, path {kept.path}: {kept.outcome.name.lower()} at time {kept.times[-1]:.6g}, at ({point})"
