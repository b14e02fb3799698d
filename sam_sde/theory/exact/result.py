"""What is known of an escape time that was computed without random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.regions import Box, Region, Slab
from sam_sde.theory.exact.survival import Survival

CURVE_POINTS = 201


@dataclass(frozen=True)
class ExactEscape:
    """The escape time of an SDE from one start, computed without random numbers. Times are t = lr · steps.

    mean_time: E τ at the start; error_estimate: how far it may be off, as finer grids and other cuts change it.
    standard_deviation: of τ. rate: λ of P(τ > t) ~ c e^{-λt}, the smallest eigenvalue of -L.
    sides: the probability to leave by each side, by its name; see `by_side`.
    points (points, dim), mean_times (points,), mode (points,): E τ and the eigenfunction of λ, whose largest value is
        1, at points inside; in two dimensions on the finest grid, whose value at the start is a little off `mean_time`.
    """

    mean_time: float
    error_estimate: float
    standard_deviation: float
    rate: float
    sides: dict[str, float]
    points: np.ndarray
    mean_times: np.ndarray
    mode: np.ndarray
    inside: Survival

    def survival(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """P(τ > t): columns time and survival. times: 0 or more; by default to where 1 in 1000 is left."""
        if times is None:
            last = self.mean_time + np.log(1000) / self.rate
            times = np.concatenate([[0.0], np.geomspace(1e-4 * last, last, CURVE_POINTS - 1)])
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or not (np.isfinite(times) & (times >= 0)).all():
            raise ArgumentError("times", f"expected finite times that are 0 or more, got {shown(times.tolist())}")
        return pd.DataFrame({"time": times, "survival": self.inside(times)})

    def summary(self) -> dict[str, float]:
        """The numbers by their names in exact.csv."""
        numbers = {name: getattr(self, name) for name in ("mean_time", "error_estimate", "standard_deviation", "rate")}
        return numbers | {f"exit_{side}": share for side, share in self.sides.items()}


def by_side(region: Region, dim: int, faces: np.ndarray) -> dict[str, float]:
    """The probabilities (faces,) to leave by each face, by the names of the sides.

    These are low and high in one dimension and of a slab, x0_low, x1_low, x0_high, x1_high of a box; all of the
    boundary of another region is one.
    """
    if isinstance(region, Box) and dim == 2:
        names = [f"x{i}_{end}" for end in ("low", "high") for i in range(2)]
    elif isinstance(region, Slab) or dim == 1:
        names = ["low", "high"]
    else:
        return {"boundary": float(faces.sum())}
    return dict(zip(names, map(float, faces), strict=True))
