"""The most likely ways out of the arms of a configuration."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sam_sde.config.arguments import point_of
from sam_sde.config.building import Setting, places_of
from sam_sde.config.errors import ConfigError, locating
from sam_sde.engines import asked_engine
from sam_sde.escape import NormalStart
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.results import Destination
from sam_sde.jobs.tables import by_arm
from sam_sde.theory.action import LeastAction, least_action, require_action


@dataclass
class ActionExperiment:
    """The ways of least action of the arms, all of them checked before any is searched for.

    Attributes
        found: what was found for each arm. arms: what became of the arms. cautions: a sentence for each thing that
        limits what is said of an arm.

    Raises
        ConfigError: an arm that has no such way, with the reason.
    """

    setting: Setting
    arms: ArmByArm = field(init=False)
    found: dict[str, LeastAction] = field(default_factory=dict)
    cautions: list[str] = field(default_factory=list)

    def __post_init__(self):
        config = self.setting.config
        section = config.action
        with locating("action"):
            to = None if section is None or section.to is None else point_of("to", section.to, self.setting.surface)
        self._ends = {"region": self.setting.region} if to is None else {"to": to}
        for arm in config.arms:
            self._check(arm)
        self.arms = ArmByArm(config.arms)

    def _check(self, arm: str) -> None:
        if isinstance(self.setting.start, NormalStart):
            raise ConfigError(
                "escape.start: the most likely way out is that from one point, got a normal law; try a list of numbers"
            )
        if not asked_engine(self.setting.asked_engine(arm)).of_sde:
            raise ConfigError(
                f"arms.{arm}.engine: the most likely way out is that of the SDE, got "
                f"{self.setting.asked_engine(arm)!r}, which runs the algorithm; leave the engine or the arm out"
            )
        dynamics = self.setting.dynamics(arm)
        with self._locating(arm):
            require_action(dynamics, start=self.setting.start, **self._ends)

    def _locating(self, arm: str):
        return locating(f"arms.{arm}", places_of(self.setting.config, arm) | {"to": "action"})

    def execute(self, report: Callable[[str], None], destination: Destination | None = None) -> None:
        """Searches arm after arm; `report` is called with each. One that fails is left behind.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm was finished.
        """

        def one(arm: str) -> None:
            report(arm)
            dynamics = self.setting.dynamics(arm)
            with self._locating(arm), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                self.found[arm] = least_action(dynamics, start=self.setting.start, **self._ends)
            self.cautions += [f"{arm}: {warning.message}" for warning in caught]
            self.cautions += [f"{arm}: {sentence}" for sentence in _limits(self.found[arm])]

        self.arms.run_kept(one, self._result, destination)

    @property
    def summary(self) -> pd.DataFrame:
        """One row an arm: action, error, exponent, side, end."""
        return pd.DataFrame([{"arm": arm, **_numbers(each)} for arm, each in self.found.items()])

    def write(self, destination: Destination) -> None:
        """action.csv, in two dimensions the tables of a picture, and action.json with V of each arm."""
        destination.write(*self._result())

    def _result(self) -> tuple[Iterator[tuple[str, pd.DataFrame]], dict[str, Any]]:
        record = self.arms.record("action", self.setting)
        found = {arm: _numbers(each) for arm, each in self.found.items()}
        return self._tables(), record | {"actions": found, "warnings": self.cautions}

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        table = by_arm({arm: each.table() for arm, each in self.found.items()})
        yield "action", table
        if self.setting.surface.dim == 2:
            yield from landscape_tables(table, self.setting.surface, self.setting.region, "action_")


def _numbers(found: LeastAction) -> dict[str, Any]:
    """What the record says of an arm."""
    return {
        "action": found.action,
        "error": found.error,
        "exponent": found.exponent,
        "origin": found.origin.tolist(),
        "end": found.end.tolist(),
        "side": found.side,
        "others": [{"end": end.tolist(), "action": action} for end, action in found.others],
        "ties": found.ties,
    }


def _limits(found: LeastAction) -> Iterator[str]:
    if not found.action > 0:
        yield "no barrier: without noise the flow from the start goes there by itself, V = 0"
    elif found.ties:
        ways = f"{found.ties} other ways cost" if found.ties > 1 else "another way costs"
        yield f"{ways} the same up to rounding, so that paths leave by each of them"
