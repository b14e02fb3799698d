"""Each optimizer of a configuration beside its SDE, at several learning rates."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError, locating
from sam_sde.config.schema import Config
from sam_sde.engines import asked_engine
from sam_sde.escape import as_start, resolve_device
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.results import Destination
from sam_sde.jobs.tables import ABLATION, TABLES
from sam_sde.random import Stream
from sam_sde.statistics.weak_order import absolute_interval
from sam_sde.weak.errors import WeakComparison, weak_orders, with_sgd_noise
from sam_sde.weak.observables import Observable, observable

# Where the arguments stand that are no keys of an arm.
PLACES = {"t": "weak", "lrs": "weak", "test_functions": "weak", "start": "escape", "device": "run"}


@dataclass
class WeakExperiment:
    """The comparisons of a configuration, checked, and their errors once executed.

    An arm is compared as the algorithm it is, whatever drift models it; one that is run as the algorithm has no SDE of
    its own and is left out. A variant of SAM has an ablation beside it, SGD's covariance in its SDE.
    `errors` and `orders` are what weak.csv and weak_order.csv hold; `arms`: what became of the arms.
    """

    setting: Setting
    observables: list[Observable] = field(init=False)
    comparisons: dict[str, list[WeakComparison]] = field(init=False)
    arms: ArmByArm = field(init=False)
    rows: list[tuple] = field(default_factory=list)

    def __post_init__(self):
        section = self.config.weak
        if section is None:
            raise ConfigError("weak: missing; give it, such as weak: {t: 1.0, lrs: [0.1, 0.05, 0.025]}")
        if len(set(section.lrs)) < len(section.lrs):
            raise ConfigError(f"weak.lrs: expected different learning rates, got {section.lrs}")
        with locating("weak"):
            names = dict.fromkeys(section.test_functions)
            self.observables = [observable(name, self.setting.surface) for name in names]
        lrs = sorted(section.lrs, reverse=True)
        self.comparisons = {arm: [self._compare(arm, lr) for lr in lrs] for arm in _arms_with_sde(self.config)}
        self.arms = ArmByArm(self.comparisons)

    def _compare(self, arm: str, lr: float) -> WeakComparison:
        model = self.setting.dynamics(arm, _at(self.config, lr))
        algorithm = self.setting.dynamics(arm, _at(self.config, lr, algorithm=True))
        ablation = with_sgd_noise(model)
        with locating(f"arms.{arm}", PLACES):
            return WeakComparison(
                algorithm,
                {arm: model} | ({} if ablation is None else {arm + ABLATION: ablation}),
                as_start(self.setting.start, self.setting.surface.dim),
                self.config.weak.t,
                Stream(self.config.run.seed, f"{arm}/{lr!r}"),
                resolve_device(self.config.run.device),
            )

    @property
    def config(self) -> Config:
        return self.setting.config

    def execute(self, report: Callable[[str], None], destination: Destination | None = None) -> None:
        """Runs all comparisons; `report` is told of each.

        An arm that fails is left behind, an interrupt ends it with the arms that were finished; they are kept at the
        destination as long as others are not.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm was finished.
        """
        self.arms.run_kept(lambda arm: self._run(arm, report), self._result, destination)

    def _run(self, arm: str, report: Callable[[str], None]) -> None:
        rows = []
        for comparison in self.comparisons[arm]:
            lr = comparison.algorithm.lr
            report(f"{arm}: lr {lr:g}")
            with locating("weak"):
                found = comparison.differences(self.observables, self.config.weak.n_paths)
            for name, differences in found.items():
                for each, difference in zip(self.observables, differences, strict=True):
                    rows.append((name, lr, each.name, *absolute_interval(*difference)))
        self.rows += rows

    @property
    def errors(self) -> pd.DataFrame:
        """The errors of the arms that were finished, in their order."""
        errors = pd.DataFrame(self.rows, columns=TABLES["weak"].columns)
        return errors.sort_values("arm", key=_rank(list(errors["arm"])), kind="stable").reset_index(drop=True)

    @property
    def orders(self) -> pd.DataFrame:
        """The fitted order of each arm and test function, empty where the errors do not show one."""
        by_arm = {arm: weak_orders(errors) for arm, errors in self.errors.groupby("arm", sort=False)}
        return pd.concat(by_arm, names=["arm", None]).reset_index("arm").reset_index(drop=True)

    def write(self, destination: Destination) -> None:
        """weak.csv, weak_order.csv, and weak.json with what they were made from."""
        destination.write(*self._result())

    def _result(self) -> tuple[list[tuple[str, pd.DataFrame]], dict[str, Any]]:
        """The tables and their record."""
        record = self.arms.record("weak", self.setting)
        return [("weak", self.errors), ("weak_order", self.orders)], record


def _arms_with_sde(config: Config) -> list[str]:
    arms = [arm for arm, section in config.arms.items() if asked_engine(section.engine or config.run.engine).of_sde]
    if not arms:
        raise ConfigError("weak: every arm has the engine of an algorithm, so there is no SDE to compare; leave it out")
    return arms


def _at(config: Config, lr: float, *, algorithm: bool = False) -> Config:
    """The configuration at another learning rate; `algorithm`: without what only the SDEs have."""
    arms = {}
    for arm, section in config.arms.items():
        keys = type(section).model_fields
        changes = {"lr": lr}
        if algorithm:
            changes |= {"drift_order": 1, "momentum_model": "underdamped", "drift": "stop_gradient"}
            changes |= {"sde": "usual"}
        if "rho" in keys:
            changes["rho"] = section.rho * _rho_factor(config, arm, lr)
        arms[arm] = section.model_copy(update={key: value for key, value in changes.items() if key in keys})
    return config.model_copy(update={"arms": arms})


def _rho_factor(config: Config, arm: str, lr: float) -> float:
    if config.weak.rho_scaling == "constant":
        return 1.0
    reference = config.arms[arm].lr or config.optimizer.lr
    if reference is None:
        raise ConfigError(f"optimizer.lr: missing; rho of arms.{arm} is that of this lr with weak.rho_scaling 'sqrt'")
    return (lr / reference) ** 0.5


def _rank(arms: list[str]) -> Callable[[pd.Series], pd.Series]:
    """A key that keeps the arms in the order of their first rows."""
    place = {arm: i for i, arm in enumerate(dict.fromkeys(arms))}
    return lambda column: column.map(place)
