"""Exact escape times of the arms of a configuration."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sam_sde.config.building import Setting, places_of
from sam_sde.config.errors import ConfigError, locating
from sam_sde.engines import asked_engine
from sam_sde.errors import InputError
from sam_sde.escape import NormalStart
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.results import Destination
from sam_sde.jobs.tables import by_arm
from sam_sde.theory.exact import ExactEscape, exact_escape_times, require_solvable

POINTS = 201  # of a curve up to t_max


@dataclass
class ExactExperiment:
    """The exact escape times of the arms, all of them checked before any is solved.

    Attributes
        found: what was found for each arm. arms: what became of the arms.

    Raises
        ConfigError: an arm that cannot be solved, with the reason.
    """

    setting: Setting
    arms: ArmByArm = field(init=False)
    found: dict[str, ExactEscape] = field(default_factory=dict)

    def __post_init__(self):
        for arm in self.setting.config.arms:
            check_arm(self.setting, arm)
        self.arms = ArmByArm(self.setting.config.arms)

    def execute(self, report: Callable[[str], None], destination: Destination | None = None) -> None:
        """Solves arm after arm; `report` is called with each. One that fails is left behind.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm was finished.
        """

        def one(arm: str) -> None:
            report(arm)
            self.found[arm] = solve_arm(self.setting, arm)

        self.arms.run_kept(one, self._result, destination)

    @property
    def summary(self) -> pd.DataFrame:
        """What exact.csv holds."""
        return pd.DataFrame([{"arm": arm, **each.summary()} for arm, each in self.found.items()])

    def write(self, destination: Destination) -> None:
        """exact.csv, exact_survival.csv, and exact.json with what they were made from."""
        destination.write(*self._result())

    def _result(self) -> tuple[list[tuple[str, pd.DataFrame]], dict[str, Any]]:
        record = self.arms.record("exact", self.setting)
        curves = by_arm({arm: each.survival() for arm, each in self.found.items()})
        return [("exact", self.summary), ("exact_survival", curves)], record


def check_arm(setting: Setting, arm: str) -> None:
    """Raises ConfigError where the escape times of an arm cannot be computed exactly."""
    if isinstance(setting.start, NormalStart):
        raise ConfigError(
            "escape.start: exact escape times are those from one point, got a normal law; try a list of numbers"
        )
    if not asked_engine(setting.asked_engine(arm)).of_sde:
        raise ConfigError(
            f"arms.{arm}.engine: exact escape times are those of the SDE, got {setting.asked_engine(arm)!r}, "
            "which runs the algorithm; leave the engine or the arm out"
        )
    dynamics = setting.dynamics(arm)
    with _locating(setting, arm):
        require_solvable(dynamics, start=setting.start, region=setting.region)


def solve_arm(setting: Setting, arm: str) -> ExactEscape:
    """The exact escape times of an arm that `check_arm` lets pass."""
    dynamics = setting.dynamics(arm)
    with _locating(setting, arm):
        return exact_escape_times(dynamics, start=setting.start, region=setting.region)


def exact_where_possible(
    setting: Setting, report: Callable[[str], None]
) -> tuple[dict[str, ExactEscape], dict[str, str]]:
    """The exact escape times of those arms that can be solved, and the reasons of the others."""
    found, reasons = {}, {}
    for arm in setting.config.arms:
        report(arm)
        each = solved_where_possible(setting, arm)
        (reasons if isinstance(each, str) else found)[arm] = each
    return found, reasons


def solved_where_possible(setting: Setting, arm: str) -> ExactEscape | str:
    """The exact escape times of an arm, or the reason why it has none."""
    try:
        check_arm(setting, arm)
        return solve_arm(setting, arm)
    except InputError as error:
        return str(error)


def with_exact_means(summary: pd.DataFrame, found: dict[str, ExactEscape]) -> pd.DataFrame:
    """summary.csv with the columns exact_mean_time and exact_error, empty for arms that were not solved."""
    means = [found[arm].mean_time if arm in found else np.nan for arm in summary["arm"]]
    errors = [found[arm].error_estimate if arm in found else np.nan for arm in summary["arm"]]
    return summary.assign(exact_mean_time=means, exact_error=errors)


def curves_to(found: dict[str, ExactEscape], t_max: float) -> pd.DataFrame:
    """P(τ > t) of each arm at even times up to t_max, as exact_curves.csv holds it."""
    times = np.linspace(0.0, t_max, POINTS)
    return by_arm({arm: each.survival(times) for arm, each in found.items()})


def _locating(setting: Setting, arm: str):
    return locating(f"arms.{arm}", places_of(setting.config, arm))
