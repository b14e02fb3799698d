"""Escape times of one arm, and what can be asked of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from sam_sde.escape.trajectory import Trajectory
from sam_sde.files import write_csv
from sam_sde.random import Stream
from sam_sde.statistics import Sample, outcome_words, summarize, survival_curve

MAX_COORDINATES = 16


@dataclass(frozen=True, eq=False)
class EscapeResult(Sample):
    """How each path of an arm ended. Path i is row i of every array.

    Attributes
        times (paths,): escape time, t_max where censored, time of failure where failed; t = lr·steps.
        outcome (paths,): 0 escaped, 1 censored, 2 failed (`sam_sde.Outcome`).
        exit_points (paths, dim): the state at escape; at t_max if censored, the last finite one if failed.
        t_max, lr, dt: the time to which paths were followed, the learning rate, the step of the integration.
        stream: the key of its random numbers (seed, arm).
        engine, device, block_size: what computed it. path_steps: steps summed over paths, as integrated.
    """

    exit_points: np.ndarray
    dt: float
    stream: Stream
    engine: str
    device: str
    block_size: int
    path_steps: int
    _replay: Callable[[int], Trajectory] = field(repr=False)

    @property
    def steps(self) -> np.ndarray:
        """Escape times in steps of the optimizer, time/lr (paths,)."""
        return self.times / self.lr

    def summary(self) -> dict[str, float]:
        """Counts, fraction, mean, restricted mean, median and rate with their 95 % intervals."""
        return summarize(self)

    def survival(self) -> pd.DataFrame:
        """Kaplan–Meier curve: time, survival, low, high, at_risk."""
        return survival_curve(self)

    def to_frame(self, max_coordinates: int = MAX_COORDINATES) -> pd.DataFrame:
        """One row a path: path, outcome, time, steps, x0, x1, … (at most `max_coordinates` of them)."""
        points = self.exit_points[:, :max_coordinates]
        return pd.DataFrame(
            {
                "path": np.arange(len(self)),
                "outcome": outcome_words(self.outcome),
                "time": self.times,
                "steps": self.steps,
                **{f"x{i}": points[:, i] for i in range(points.shape[1])},
            }
        )

    def to_csv(self, path: str | Path) -> None:
        """Writes `to_frame()`, whole or not at all."""
        write_csv(self.to_frame(), Path(path))

    def replay(self, path: int) -> Trajectory:
        """Integrates one path again, alone, and keeps all its states.

        It ends where the path ended, up to the rounding of batched linear algebra.
        """
        return self._replay(path)
