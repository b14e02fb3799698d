"""How long, and with how many paths: t_max and n_paths chosen from a pilot, where the configuration asks for that.

The pilot's paths have random numbers of their own. So what is found with the t_max and n_paths that it chooses is as
unbiased as if they had been known from the outset; only what was asked for is missed, by the pilot's own errors.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sam_sde.config.schema import Config, Run
from sam_sde.escape import EscapeResult, EscapeRun, Work, execute
from sam_sde.jobs.store import Entry, Store
from sam_sde.statistics import Outcome, restricted_mean

if TYPE_CHECKING:
    from sam_sde.jobs.escape import Experiment

PILOT_PATHS = 1000
FEWEST_PATHS = 30


@dataclass(frozen=True)
class Choice:
    """What a pilot has chosen for an arm: t_max, n_paths, and what it expects of them.

    censored: the fraction of paths that are still inside at t_max. relative_error: of the restricted mean.
    """

    t_max: float
    n_paths: int
    censored: float
    relative_error: float


def settle(
    experiments: "Sequence[Experiment]",
    store: Store,
    compute: Callable[[list[Work]], None],
    failed: "Callable[[Experiment, str, Exception], None]",
    fresh: bool = False,
) -> None:
    """Gives each experiment that asks for it the t_max and n_paths that its pilot chooses, the same t_max to all arms.

    compute: carries works out. failed: is told of an experiment's arm what its pilot raised; the others go on.
    fresh: pilots of earlier runs are not believed.
    """
    waiting = [experiment for experiment in experiments if _is_asked(experiment)]
    while waiting:
        pilots = [_Pilot(experiment, store, fresh) for experiment in waiting]
        compute([work for pilot in pilots for work in pilot.works(failed)])
        waiting = [pilot.experiment for pilot in pilots if not pilot.has_failed and not pilot.choose()]


def unmet(config: Config, choices: Mapping[str, Choice]) -> list[str]:
    """One sentence for each arm with which a ceiling was met before what was asked for."""
    found, most, error = [], config.escape.most_censored, config.run.relative_error
    for arm, choice in choices.items():
        if most is not None and choice.censored > most:
            found.append(
                f"{arm}: {100 * choice.censored:.3g} % of the pilot's paths are still inside at t_max = "
                f"{choice.t_max:g}, more than escape.most_censored; raise escape.t_max_ceiling"
            )
        if error is not None and choice.relative_error > error * (1 + 1e-9):
            found.append(
                f"{arm}: with n_paths = {choice.n_paths} its mean has a relative error of {choice.relative_error:.2g}, "
                "more than run.relative_error; raise run.n_paths"
            )
    return found


def _is_asked(experiment: "Experiment") -> bool:
    return experiment.config.run.relative_error is not None or experiment.config.escape.most_censored is not None


class _Pilot:
    """Some paths of each arm, kept in the store."""

    def __init__(self, experiment: "Experiment", store: Store, fresh: bool):
        self.experiment, self.has_failed = experiment, False
        self._kept: dict[str, Entry] = {}
        for arm in experiment.runs:
            self._kept[arm] = experiment.entry(store, arm, experiment.setting.pilot(arm, PILOT_PATHS), fresh)

    def works(self, failed: "Callable[[Experiment, str, Exception], None]") -> list[Work]:
        def fail(arm: str, error: Exception) -> None:
            self.has_failed = True
            failed(self.experiment, arm, error)

        return [
            Work(entry.run, missing, entry.keep, partial(fail, arm))
            for arm, entry in self._kept.items()
            if (missing := [first for first in entry.run.first_paths if not entry.has(first)])
        ]

    def choose(self) -> bool:
        """Whether t_max is long enough; if so the runs are chosen, else it is doubled."""
        experiment, setting = self.experiment, self.experiment.setting
        results = {arm: execute(entry.run, kept=entry) for arm, entry in self._kept.items()}
        asked, t_max = setting.config.escape, setting.config.escape.t_max
        most = asked.most_censored
        if most is not None and t_max < asked.t_max_ceiling and max(map(_censored, results.values())) > most:
            experiment.take(setting.with_t_max(min(2 * t_max, asked.t_max_ceiling)))
            return False
        choices = {arm: _choice(setting.config.run, run, results[arm]) for arm, run in experiment.runs.items()}
        if setting.config.run.common_noise:  # the paths of all arms are paired
            choices = dict.fromkeys(choices, max(choices.values(), key=lambda choice: choice.n_paths))
        experiment.choose(choices)
        return True


def _censored(result: EscapeResult) -> float:
    return result.count(Outcome.CENSORED) / len(result)


def _choice(asked: Run, run: EscapeRun, pilot: EscapeResult) -> Choice:
    """As many paths as make the standard error small enough, at most those of the run."""
    mean, error = restricted_mean(pilot)
    spread = error / mean * math.sqrt(len(pilot)) if mean > 0 else 0.0
    n_paths = run.n_paths
    if asked.relative_error is not None:
        n_paths = min(n_paths, max(FEWEST_PATHS, math.ceil((spread / asked.relative_error) ** 2)))
    return Choice(pilot.t_max, n_paths, _censored(pilot), spread / math.sqrt(n_paths))
