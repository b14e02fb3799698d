"""What halving the step of the integration does to the figures of a result."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class StepCheck:
    """How the figures of a summary change from dt to dt/2.

    dt: that of the run. n_paths: how many of the paths were integrated again.
    changes: a row for each figure, see `sam_sde.statistics.paired_changes`; "before" is at dt, "after" at dt/2.
    """

    dt: float
    n_paths: int
    changes: pd.DataFrame

    @property
    def dt_change(self) -> dict[str, float]:
        """The columns of summary.csv: the change of the restricted mean."""
        row = self.changes.set_index("figure").loc["rmst"]
        return {"dt_change": row["change"], "dt_change_low": row["change_low"], "dt_change_high": row["change_high"]}

    def to_frame(self) -> pd.DataFrame:
        """The rows of dt_changes.csv for one arm."""
        return self.changes.assign(dt=self.dt, n_paths=self.n_paths)[["dt", "n_paths", *self.changes.columns]]

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> "StepCheck":
        """The one that `to_frame` was called of."""
        return cls(float(frame["dt"][0]), int(frame["n_paths"][0]), frame.drop(columns=["dt", "n_paths"]))

    @property
    def half_width(self) -> float:
        return 0.5 * (self.dt_change["dt_change_high"] - self.dt_change["dt_change_low"])
