"""The displacement of the arms of a configuration from a critical point, beside theory."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sam_sde.config.arguments import point_of
from sam_sde.config.building import Setting, places_of, run_options
from sam_sde.config.errors import locating
from sam_sde.config.schema import Config
from sam_sde.config.schema import Displacement as Section
from sam_sde.engines import ENGINES
from sam_sde.escape.displacement import DisplacementRun, Squares, prepare_displacement
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.results import Destination
from sam_sde.jobs.tables import TABLES, by_arm
from sam_sde.statistics.intervals import Z
from sam_sde.theory.displacement.gap import comparable, gap_formula

# What `run` says that is about escapes, or that a run of displacements finds for itself.
NOT_OURS = ("crossing", "block_size", "task_timeout")
SILENCE = 15.0  # seconds


@dataclass
class DisplacementExperiment:
    """What a configuration says of displacement, checked, and its tables once executed.

    Attributes
        runs: of each arm, with its theory. found: what the paths of each arm did. arms: what became of them.
    """

    setting: Setting
    runs: dict[str, DisplacementRun] = field(init=False)
    arms: ArmByArm = field(init=False)
    found: dict[str, Squares] = field(default_factory=dict)

    def __post_init__(self):
        self.runs = {arm: self._run(arm) for arm in self.config.arms}
        self.arms = ArmByArm(self.runs)

    @property
    def config(self) -> Config:
        return self.setting.config

    def _run(self, arm: str) -> DisplacementRun:
        section, config = self.config.displacement or Section(), self.config
        options = {key: value for key, value in run_options(config, arm).items() if key not in NOT_OURS}
        places = dict.fromkeys(("at", "times", "directions"), "displacement")
        if section.t_max is not None:
            places["t_max"] = "displacement"
        dynamics = self.setting.dynamics(arm)
        with locating(f"arms.{arm}", places_of(config, arm) | places):
            return prepare_displacement(
                dynamics,
                start=self.setting.start,
                t_max=section.t_max or config.escape.t_max,
                at=None if section.at is None else point_of("at", section.at, self.setting.surface),
                times=section.times,
                directions=section.directions,
                arm="" if config.run.common_noise else arm,
                **options,
            )

    def execute(self, report: Callable[[str], None], destination: Destination | None = None) -> None:
        """Integrates arm after arm; `report` is told of each, and how far it is. One that fails is left behind.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm was finished.
        """

        def one(arm: str) -> None:
            report(arm)
            self.found[arm] = self.runs[arm].execute(_now_and_then(report, arm))

        self.arms.run_kept(one, self._result, destination)

    @property
    def table(self) -> pd.DataFrame:
        """What displacement.csv holds."""
        return by_arm({arm: self.runs[arm].table(found) for arm, found in self.found.items()})

    @property
    def gaps(self) -> pd.DataFrame:
        """What displacement_gaps.csv holds: each USAM beside the first SGD that Corollary 1 compares it with."""
        frames = {}
        for arm in self.found:
            reference = next((each for each in self.found if self._are_comparable(each, arm)), None)
            if reference is not None:
                frames[arm] = self._gap(reference, arm)
        return by_arm(frames) if frames else pd.DataFrame(columns=TABLES["displacement_gaps"].columns)

    def _are_comparable(self, reference: str, arm: str) -> bool:
        first, second = self.runs[reference], self.runs[arm]
        linear = first.theory.arm is not None and second.theory.arm is not None
        alike = linear and first.steps == second.steps and first.integration.dt == second.integration.dt
        return alike and first.engine == second.engine and comparable(first.theory.arm, second.theory.arm)

    def _gap(self, reference: str, arm: str) -> pd.DataFrame:
        first, second = self.runs[reference], self.runs[arm]
        of_algorithm = not ENGINES[second.engine].of_sde or second.theory.arm.is_corrected
        values, valid = gap_formula(first.theory.arm, second.theory.arm, second.times, of_algorithm=of_algorithm)
        gap = self.found[reference].mean - self.found[arm].mean
        # With common noise the two go together and the interval is wider than it need be.
        width = Z * np.hypot(self.found[reference].error, self.found[arm].error)
        numbers = {
            "gap": gap,
            "gap_low": gap - width,
            "gap_high": gap + width,
            "exact": first.theory.exact - second.theory.exact,
            "discrete": first.theory.discrete - second.theory.discrete,
            "formula": values,
            "formula_valid": valid,
        }
        frames = [
            pd.DataFrame(
                {
                    "reference": reference,
                    "direction": direction,
                    "time": second.times,
                    **{name: each[:, i] for name, each in numbers.items()},
                }
            )
            for i, direction in enumerate(second.expansion.directions)
        ]
        return pd.concat(frames, ignore_index=True)

    @property
    def cautions(self) -> list[str]:
        """A sentence for each thing that is not known of an arm, or may come out wrong."""
        return [f"{arm}: {said}" for arm, found in self.found.items() for said in self.runs[arm].cautions(found)]

    def write(self, destination: Destination) -> None:
        """displacement.csv, displacement_gaps.csv, and displacement.json with what they were made from."""
        destination.write(*self._result())

    def _result(self) -> tuple[Iterator[tuple[str, pd.DataFrame]], dict[str, Any]]:
        record = self.arms.record("displacement", self.setting)
        expansion = next(iter(self.runs.values())).expansion
        record |= {
            "at": expansion.location.tolist(),
            "eigenvalues": dict(zip(map(str, expansion.directions), expansion.eigenvalues.tolist(), strict=True)),
            "eigenvectors": dict(zip(map(str, expansion.directions), expansion.eigenvectors.T.tolist(), strict=True)),
            "formulas": {arm: self.runs[arm].theory.formula_name for arm in self.found},
            "engines": {arm: self.runs[arm].engine for arm in self.found},
            "dt": {arm: self.runs[arm].integration.dt for arm in self.found},
            "n_failed": {arm: found.n_failed for arm, found in self.found.items()},
            "warnings": self.cautions,
        }
        return self._tables(), record

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        yield "displacement", self.table
        if not self.gaps.empty:
            yield "displacement_gaps", self.gaps


def _now_and_then(report: Callable[[str], None], arm: str) -> Callable[[float], None]:
    """Tells `report` what share of an arm is done, after each so many seconds."""
    told = time.perf_counter()

    def tell(share: float) -> None:
        nonlocal told
        if time.perf_counter() - told >= SILENCE and share < 1:
            told = time.perf_counter()
            report(f"{arm}: {100 * share:.0f} %")

    return tell
