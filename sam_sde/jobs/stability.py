"""Critical points of a configuration's surface, which of them attract its optimizers, and from where."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from sam_sde.config.arguments import point_of
from sam_sde.config.building import Setting
from sam_sde.config.errors import locating
from sam_sde.config.schema import Config, Stability
from sam_sde.dynamics import GradientDynamics
from sam_sde.errors import ArgumentError
from sam_sde.escape import NormalStart
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import Destination
from sam_sde.jobs.stability_tables import arms_table, field_table, points_table, stalls_table
from sam_sde.jobs.tables import by_arm
from sam_sde.theory.stability import (
    Critical,
    Stall,
    critical_points,
    critical_rho,
    ends_of,
    shares,
    stalls,
)
from sam_sde.theory.stability.arms import require_arm
from sam_sde.theory.stability.points import MOST_COORDINATES, critical_point_at
from sam_sde.theory.stability.roots import as_bounds

FIELD_GRID = 61  # points along each side of the picture
MOST_MOVING = 0.05
MARGIN = 0.25  # of the region's size, which the default bounds lie outside of it
FARTHEST = 1e3
LONGEST = 2.0  # sides of the default bounds, beside the distance at which the region is left first
# Beyond, no box is filled by the starts that there is time for, so that one has to be asked for.
MOST_SEARCHED = 20


@dataclass
class StabilityExperiment:
    """What a configuration says of stability, checked, and the tables of it once executed.

    arms: the optimizer of each arm whose limits are asked for, of a switch the last. bounds: the box (2, dim) in which
    is searched, and which the basins fill; None in more than 20 dimensions, where none is given: then the points that
    the surface lists are judged, and there are no stalls or basins.
    """

    setting: Setting
    section: Stability = field(init=False)
    arms: dict[str, GradientDynamics] = field(init=False)
    bounds: np.ndarray | None = field(init=False)
    points: list[Critical] = field(init=False)
    stalls: dict[str, list[Stall]] = field(default_factory=dict)
    ends: dict[str, pd.DataFrame] = field(default_factory=dict)
    critical_rhos: dict[str, float | str] = field(default_factory=dict)
    wall_time: float = 0.0

    def __post_init__(self):
        self.section = self.config.stability or Stability()
        self.arms = {}
        for arm in self.config.arms:
            with locating(f"arms.{arm}"):
                self.arms[arm] = require_arm(self.setting.dynamics(arm))
        with locating("stability"):
            self.bounds = self._bounds()
            self._trap = None if self.section.trap is None else point_of("trap", self.section.trap, self.surface)
            if self._trap is not None and self.surface.dim <= MOST_COORDINATES:
                critical_point_at(self.surface, np.array(self._trap, dtype=float), "trap")
        self.t_max = self.section.t_max or self.config.escape.t_max

    @property
    def config(self) -> Config:
        return self.setting.config

    @property
    def surface(self):
        return self.setting.surface

    @property
    def start(self) -> list[float]:
        start = self.setting.start
        return list(start.mean) if isinstance(start, NormalStart) else start

    def _bounds(self) -> np.ndarray | None:
        if self.section.bounds is not None:
            return np.stack(as_bounds(self.section.bounds, self.surface.dim))
        if self.surface.dim > MOST_SEARCHED:
            return None
        with locating("escape"):
            self.setting.region.check_start(torch.tensor(self.start, dtype=torch.float64)[None])
        return _around(self.setting)

    def execute(self, report: Callable[[str], None]) -> None:
        """Finds the points, stalls and basins; `report` is told what is being looked for.

        Raises
            InputError: no critical point is known or found.
        """
        begin = time.perf_counter()
        report("critical points")
        search = self.section.bounds is not None or not self.surface.critical_points
        with locating("stability", {"surface": ""}):
            self.points = critical_points(self.surface, self.bounds if search else None, starts=self.section.starts)
        if self.bounds is not None:
            self._find_stalls_and_basins(report)
        if self._trap is not None:
            self._find_critical_rhos(report)
        self.wall_time = time.perf_counter() - begin

    def _find_stalls_and_basins(self, report: Callable[[str], None]) -> None:
        starts = self._starts()
        for arm, dynamics in self.arms.items():
            report(f"{arm}: stalls")
            found = stalls(dynamics, self.points, self.bounds, starts=self.section.starts)
            report(f"{arm}: basins")
            whole = self.setting.dynamics(arm)
            self.stalls[arm] = found
            self.ends[arm] = ends_of(whole, starts, t_max=self.t_max, points=self.points, stalls=found)

    def _find_critical_rhos(self, report: Callable[[str], None]) -> None:
        for arm, dynamics in self.arms.items():
            if hasattr(dynamics, "rho"):
                report(f"{arm}: critical rho")
                options = {"t_max": self.t_max, "high": self.section.largest_rho}
                try:
                    self.critical_rhos[arm] = critical_rho(dynamics, self.start, self._trap, **options)
                except ArgumentError as error:  # none up to the largest
                    self.critical_rhos[arm] = str(error)

    def _starts(self) -> np.ndarray:
        """Those of the basins: in two dimensions a square grid, x0 running first."""
        if self.surface.dim != 2:
            return as_bounds(self.bounds, self.surface.dim).starts(self.section.basin_starts)
        return _grid(self.bounds, max(2, int(self.section.basin_starts**0.5)))

    def write(self, destination: Destination) -> None:
        """stability_points.csv and the other tables, and stability.json with what they were made from."""
        record = make_record("stability", self.config.model_dump(), self.setting.folder, wall_time=self.wall_time)
        lr, momentum, rho = self.compared_at
        found: dict[str, Any] = {
            "bounds": None if self.bounds is None else self.bounds.tolist(),
            "t_max": self.t_max,
            "compared_at": {"lr": lr, "momentum": momentum, "nesterov": self._compared.nesterov, "rho": rho},
            "critical_rho": self.critical_rhos,
            "warnings": self.cautions,
        }
        destination.write(self.tables(), record | found)

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each with its name in TABLES."""
        yield "stability_points", self.points_table()
        yield "stability_arms", arms_table(self.arms, self.points)
        yield "stability_stalls", stalls_table(self.stalls, self.surface.dim)
        if self.bounds is not None:
            yield "basins", self.basins_table()
        if self.surface.dim == 2:
            starts = pd.DataFrame(self._starts(), columns=["x0", "x1"])
            frames = {arm: pd.concat([ends, starts], axis=1) for arm, ends in self.ends.items()}
            yield "basin_starts", by_arm(frames)
            grid = _grid(self.bounds, FIELD_GRID)
            yield "portrait", by_arm({arm: field_table(dynamics, grid) for arm, dynamics in self.arms.items()})

    @property
    def compared_at(self) -> tuple[float, float, float]:
        """Learning rate, momentum and ρ at which GD, USAM and SAM are compared: those of the first arm with a ρ."""
        first = self._compared
        return first.lr, first.momentum, getattr(first, "rho", 0.0)

    @property
    def _compared(self) -> GradientDynamics:
        with_rho = [dynamics for dynamics in self.arms.values() if getattr(dynamics, "rho", 0.0)]
        return (with_rho or list(self.arms.values()))[0]

    @property
    def cautions(self) -> list[str]:
        """A sentence for each arm of which many starts had not arrived anywhere."""
        moving = {arm: (ends["kind"] == "moving").mean() for arm, ends in self.ends.items()}
        return [
            f"{arm}: {100 * share:.3g} % of the starts are still moving at t = {self.t_max:g}; raise stability.t_max"
            for arm, share in moving.items()
            if share > MOST_MOVING
        ]

    def basins_table(self) -> pd.DataFrame:
        """Where the starts end, for each arm."""
        return by_arm({arm: shares(ends) for arm, ends in self.ends.items()})

    def points_table(self) -> pd.DataFrame:
        """The critical points, and whether they attract GD, USAM and SAM."""
        lr, momentum, rho = self.compared_at
        options = {"lr": lr, "momentum": momentum, "nesterov": self._compared.nesterov, "rho": rho}
        return points_table(self.surface, self.points, **options)


def _around(setting: Setting) -> np.ndarray:
    """A box that holds the region, as far as it goes from the start along the axes, and the known critical points."""
    dim = setting.surface.dim
    start = setting.start.mean if isinstance(setting.start, NormalStart) else setting.start
    start = np.array(start, dtype=float)
    scale = max(1.0, float(np.abs(start).max()))
    axes = torch.eye(dim, dtype=torch.float64)
    reach = setting.region.extent(torch.from_numpy(start), torch.cat([-axes, axes]), FARTHEST * scale).numpy()
    nearest = reach.min() if np.isfinite(reach).any() else scale
    reach = np.minimum(reach, LONGEST * nearest)
    known = [point.location for point in setting.surface.critical_points]
    corners = np.array([start - reach[:dim], start + reach[dim:], *known])
    low, high = corners.min(0), corners.max(0)
    margin = MARGIN * (high - low).max()
    return np.stack([low - margin, high + margin])


def _grid(bounds: np.ndarray, side: int) -> np.ndarray:
    x0, x1 = (np.linspace(*corners, side) for corners in bounds.T)
    return np.stack(np.meshgrid(x0, x1), axis=-1).reshape(-1, 2)
