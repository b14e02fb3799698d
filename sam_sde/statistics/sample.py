"""The one input of this package: the times at which the paths of one arm left, and how each of them ended."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from sam_sde.errors import ArgumentError

if TYPE_CHECKING:
    from sam_sde.statistics.levels import Level


class Outcome(IntEnum):
    """How a path ended.

    A censored path was still inside the region when it was last looked at, normally at t_max. A failed one
    had a state that became NaN or infinite, or one where the region's level is NaN: nothing is known about when it
    would have left.
    """

    ESCAPED = 0
    CENSORED = 1
    FAILED = 2


def outcome_words(outcome: np.ndarray) -> np.ndarray:
    """The codes of `Outcome` as the words of the CSV files: escaped, censored, failed."""
    return np.array([code.name.lower() for code in Outcome])[np.asarray(outcome)]


@dataclass(frozen=True, eq=False)
class Sample:
    """The paths of one arm.

    Args:
        times: (paths,), continuous time t = lr·steps at which each path escaped, was last seen, or failed.
        outcome: (paths,), codes of `Outcome`.
        t_max: the time to which paths were followed; no time lies above it.
        lr: the learning rate, which turns times into steps.
        levels: where the restricted mean is one over paths at several steps, all of them, the longest step first; the
            last one has the paths of the sample itself.
    """

    times: np.ndarray
    outcome: np.ndarray
    t_max: float
    lr: float
    levels: tuple["Level", ...] = field(default=(), kw_only=True, repr=False)

    def __post_init__(self):
        for name in ("t_max", "lr"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ArgumentError(name, f"expected a finite number above 0, got {getattr(self, name)!r}")
        times = np.asarray(self.times, dtype=np.float64)
        outcome = np.asarray(self.outcome)
        _check_times(times, self.t_max)
        _check_outcome(outcome, times)
        object.__setattr__(self, "times", np.minimum(times, self.t_max))
        object.__setattr__(self, "outcome", outcome)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def escaped(self) -> np.ndarray:
        """Which paths escaped."""
        return self.outcome == Outcome.ESCAPED

    @property
    def failed(self) -> np.ndarray:
        """Which paths failed."""
        return self.outcome == Outcome.FAILED

    def count(self, outcome: Outcome) -> int:
        return int(np.count_nonzero(self.outcome == outcome))


def _check_times(times: np.ndarray, t_max: float) -> None:
    if times.ndim != 1 or times.size == 0:
        raise ArgumentError("times", f"expected one dimension and at least one path, got shape {times.shape}")
    if not np.isfinite(times).all() or times.min() < 0:
        raise ArgumentError("times", "expected finite numbers that are 0 or more")
    # A clock that counts steps of float size may end a rounding error above t_max.
    if times.max() > t_max * (1 + 1e-6):
        raise ArgumentError("times", f"expected none above t_max = {t_max!r}, got {float(times.max())!r}")


def _check_outcome(outcome: np.ndarray, times: np.ndarray) -> None:
    if outcome.shape != times.shape:
        raise ArgumentError("outcome", f"expected one for each time, {times.shape}, got shape {outcome.shape}")
    if not np.issubdtype(outcome.dtype, np.integer) or not np.isin(outcome, list(Outcome)).all():
        raise ArgumentError("outcome", "expected whole numbers, each 0 (escaped), 1 (censored) or 2 (failed)")


def restrict(sample: Sample, t_max: float) -> Sample:
    """The same paths followed only to `t_max`: whatever happened later, a path was still inside then."""
    if t_max >= sample.t_max:
        return sample
    outcome = np.where(sample.times > t_max, Outcome.CENSORED, sample.outcome)
    levels = tuple(level.restricted(t_max) for level in sample.levels)
    return Sample(np.minimum(sample.times, t_max), outcome, t_max, sample.lr, levels=levels)
