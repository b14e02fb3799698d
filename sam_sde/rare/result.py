"""A mean escape time from splitting, and what it rests on."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sam_sde.escape import EscapeRun
from sam_sde.files import write_csv
from sam_sde.rare.pilot import Plan
from sam_sde.rare.splitting import Repeat
from sam_sde.regions import Region
from sam_sde.statistics.splitting import Estimate, distrust, mean_escape_time, mean_of_repeats

# Of a loop that leaves, times the loops in which paths settle: above it the core does not hold them.
WEAK_CORE = 0.1
MANY_FAILURES = 0.01
WIDE = 0.3


@dataclass(frozen=True, eq=False)
class RareResult:
    """What some repeats of splitting found.

    Attributes
        run: the steps, walkers (`run.block_size`) and region. score: of states. plan: core and levels.
        repeats: what each found. halved: the same with steps of dt/2, where that was looked at.
    """

    run: EscapeRun = field(repr=False)
    score: Region
    plan: Plan
    repeats: list[Repeat] = field(repr=False)
    halved: "RareResult | None" = field(default=None, repr=False)

    @property
    def dt(self) -> float:
        return self.run.problem.dt

    @property
    def probabilities(self) -> np.ndarray:
        """p̂ (repeats,), each unbiased: that a walker from the first level leaves before it is back in the core."""
        return np.array([repeat.probability for repeat in self.repeats])

    @cached_property
    def probability(self) -> Estimate:
        return mean_of_repeats(self.probabilities)

    @cached_property
    def mean_time(self) -> Estimate:
        """E τ from the start of the run, in time t = lr · steps."""
        columns = (np.array([getattr(each, name) for each in self.repeats]) for name in ("loop", "start", "start_left"))
        loop, start, start_left = columns
        return mean_escape_time(self.probabilities, self.dt * loop, self.dt * start, start_left)

    @property
    def path_steps(self) -> int:
        """As integrated, those of the pilot too."""
        return self.plan.path_steps + int(sum(repeat.path_steps.sum() for repeat in self.repeats))

    @property
    def gain(self) -> float:
        """Path-steps that direct simulation needs for the same relative error, over those used.

        Times that are exponential have a relative error of 1/√n.
        """
        time = self.mean_time
        return time.value / self.dt / time.relative_error**2 / self.path_steps

    @property
    def fewest_ancestors(self) -> int:
        """Of the first walkers, those that have descendants which left, in the repeat where they are fewest."""
        return min(int(repeat.ancestors[-1]) for repeat in self.repeats)

    @property
    def max_over_mean(self) -> float:
        """The largest p̂ over their mean; near the number of repeats one of them carries all."""
        return float(self.probabilities.max() / self.probability.value) if self.probability.value > 0 else np.nan

    @property
    def exit_points(self) -> np.ndarray:
        """The weights (exits, dim) where walkers left, of all repeats."""
        return np.concatenate([repeat.exit_points for repeat in self.repeats])

    @property
    def exit_weights(self) -> np.ndarray:
        """How much each exit point counts (exits,), 1 in all: a repeat counts as its p̂."""
        weights = [np.full(len(r.exit_points), r.probability / max(1, len(r.exit_points))) for r in self.repeats]
        weights = np.concatenate(weights)
        return weights / weights.sum() if weights.any() else weights

    def survival(self, times: np.ndarray) -> np.ndarray:
        """P(τ > t) (times,) = exp(-t/E τ), which holds for times beyond those in which paths settle in the core."""
        return np.exp(-np.asarray(times, dtype=np.float64) / self.mean_time.value)

    def summary(self) -> dict[str, Any]:
        """The mean time with its 95 % interval, and what it rests on; see the table `rare.csv` of the README."""
        time, probability = self.mean_time, self.probability
        return {
            "mean_time": time.value,
            "mean_low": time.low,
            "mean_high": time.high,
            "probability": probability.value,
            "probability_low": probability.low,
            "probability_high": probability.high,
            "loop_time": self.dt * float(np.mean([repeat.loop for repeat in self.repeats])),
            "n_levels": len(self.plan.levels),
            "walkers": self.run.block_size,
            "repeats": len(self.repeats),
            "path_steps": self.path_steps,
            "gain": self.gain,
            "fewest_ancestors": self.fewest_ancestors,
            "max_over_mean": self.max_over_mean,
        }

    def levels(self) -> pd.DataFrame:
        """One row a repeat and level: repeat, level, score, probability, ancestors, path_steps.

        probability: of coming from there to the next level, or from the last one to the exit. path_steps: of that.
        """
        n_levels = len(self.plan.levels)
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "repeat": number,
                        "level": np.arange(1, n_levels + 1),
                        "score": self.plan.levels,
                        "probability": repeat.fractions,
                        "ancestors": repeat.ancestors,
                        "path_steps": repeat.path_steps[1:],
                    }
                )
                for number, repeat in enumerate(self.repeats, start=1)
            ],
            ignore_index=True,
        )

    def to_csv(self, path: str | Path) -> None:
        """Writes `levels()`, whole or not at all."""
        write_csv(self.levels(), Path(path))

    @property
    def warnings(self) -> list[str]:
        """Why the mean time may be wrong, one sentence for each reason, with what to try."""
        found = []
        doubt = distrust(self.probabilities, self.fewest_ancestors)
        if doubt is not None:
            found.append(f"not to be trusted, {doubt}; try another score, or more walkers and repeats")
        elif not self.mean_time.relative_error < WIDE:
            found.append(f"known to {100 * self.mean_time.relative_error:.2g} % only; take more walkers or repeats")
        loop = np.mean([repeat.loop for repeat in self.repeats])
        leaving = self.probability.value * max(1.0, self.plan.settled / loop)
        if leaving > WEAK_CORE:
            found.append(
                f"the core hardly holds paths: {100 * leaving:.2g} % leave before they settle, and the mean over "
                "loops takes them for settled; use direct simulation"
            )
        if self.plan.slow:
            found.append(
                f"a coordinate that the score does not see had not settled after {self.plan.settled} steps, and the "
                "loops begin soon after; if it matters for the way out the mean time is not the one from the start"
            )
        failed = max(repeat.failed for repeat in self.repeats)
        if failed > MANY_FAILURES:
            found.append(
                f"{100 * failed:.2g} % of the walkers of a stage failed (their state became NaN or infinite) and count "
                "as never leaving; try a smaller dt"
            )
        return found + self._step_warnings()

    def _step_warnings(self) -> list[str]:
        if self.halved is None:
            return []
        own, other = self.mean_time, self.halved.mean_time
        if own.low <= other.high and other.low <= own.high:
            return []
        return [
            f"with a step of dt/2 its mean time is {other.value / own.value:.3g} times as long, beyond both intervals; "
            f"set dt below {self.dt / 2:.2g}"
        ]
