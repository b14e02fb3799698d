"""The restricted mean from paths at several steps, each half as long as the one before.

The mean at the finest step is that at the longest one and the changes from each step to its half (Giles, "Multilevel
Monte Carlo path simulation", Operations Research 2008). A change is a mean over pairs of paths with the same Brownian
motion: it varies little, so that few paths at short steps do.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from sam_sde.statistics.rates import mean_error
from sam_sde.statistics.sample import Sample, restrict


@dataclass(frozen=True, eq=False)
class Level:
    """Paths at the step dt, and the same ones at 2 dt; without these the level is that of the longest step.

    Path i of the one is path i of the other. Paths of different levels are independent.
    """

    dt: float
    fine: Sample
    coarse: Sample | None = None

    def __len__(self) -> int:
        return len(self.fine)

    @property
    def values(self) -> np.ndarray:
        """Times min(T, t_max) at dt minus those at 2 dt; pairs of which a path failed are left out."""
        if self.coarse is None:
            return self.fine.times[~self.fine.failed]
        return (self.fine.times - self.coarse.times)[~(self.fine.failed | self.coarse.failed)]

    @property
    def mean(self) -> float:
        values = self.values
        return float(values.mean()) if values.size else math.nan

    @property
    def error(self) -> float:
        """The standard error of `mean`."""
        return mean_error(self.values)

    def restricted(self, t_max: float) -> "Level":
        coarse = None if self.coarse is None else restrict(self.coarse, t_max)
        return replace(self, fine=restrict(self.fine, t_max), coarse=coarse)


def mean_over_levels(levels: tuple[Level, ...]) -> tuple[float, float]:
    """The restricted mean at the finest step, and its standard error."""
    return sum(level.mean for level in levels), math.hypot(*(level.error for level in levels))
