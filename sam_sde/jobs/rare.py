"""Arms that hardly leave, measured by splitting: their runs, what is kept of them, and their tables."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sam_sde.config.building import Setting
from sam_sde.engines import ENGINES
from sam_sde.errors import InputError
from sam_sde.escape import EscapeInterrupted, Progress, Work, compute
from sam_sde.files import write_text, write_whole
from sam_sde.jobs.identity import files_named
from sam_sde.jobs.store import UNREADABLE, Entry, key_of, warn_of
from sam_sde.jobs.tables import by_arm
from sam_sde.rare import Plan, RareResult, RareRun, Repeat, measure, prepare_halved
from sam_sde.statistics import Outcome
from sam_sde.statistics.splitting import log_ratio_interval

if TYPE_CHECKING:
    from sam_sde.jobs.escape import Experiment


@dataclass(frozen=True)
class KeptSplitting:
    """The pilot and the repeats of an arm, beside its paths: `KeptRepeats`. name: of the files."""

    entry: Entry
    name: str

    @classmethod
    def of(cls, entry: Entry, setting: Setting, rare: RareRun) -> "KeptSplitting":
        """Those of a run; their name is made of all that the walkers follow from."""
        said = setting.config.rare.model_dump(mode="json", exclude={"when", "repeats"})
        run = rare.run
        followed = {
            "paths": entry.key,
            "splitting": said,
            "files": files_named(said, setting.folder),
            "stream": repr(run.problem.stream),
            "dt": run.problem.dt,
            "engine": run.engine,
        }
        return cls(entry, f"splitting-{key_of(followed)}")

    def plan(self) -> Plan | None:
        path = self._plan
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Plan(**kept | {"levels": tuple(kept["levels"])})
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            warn_of(path, error)
            return None

    def put_plan(self, plan: Plan) -> None:
        self.entry.write(lambda: write_text(json.dumps(asdict(plan)), self._plan))

    def get(self, first: int) -> Repeat | None:
        path = self._path(first)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop("key")) != self.name:
                raise ValueError("it holds another repeat")
            return Repeat(**{name: each if each.ndim else each.item() for name, each in arrays.items()})
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            warn_of(path, error)
            return None

    def put(self, first: int, repeat: Repeat) -> None:
        arrays = {each.name: np.asarray(getattr(repeat, each.name)) for each in fields(Repeat)}
        path = self._path(first)
        self.entry.write(lambda: write_whole(path, lambda file: np.savez(file, key=np.array(self.name), **arrays)))

    @property
    def _plan(self):
        return self.entry.folder / f"{self.name}.json"

    def _path(self, first: int):
        return self.entry.folder / f"{self.name}-{first}.npz"


def split_arm(
    experiment: "Experiment",
    arm: str,
    report: Callable[[str, Progress], None],
    share: Callable[[list[Work]], None] = compute,
) -> None:
    """Measures an arm of which most paths stay by splitting, where the configuration has it so.

    Where splitting has nothing to say of it, a note says why, and the paths stand.
    """
    if arm not in experiment.rare_runs or not _is_split(experiment, arm):
        return
    entry, named = experiment.kept.get(arm), f"{arm}, splitting"

    def found(rare: RareRun) -> RareResult:
        kept = None if entry is None else KeptSplitting.of(entry, experiment.setting, rare)
        return measure(rare, lambda progress: report(named, progress), share, kept)

    rare = experiment.rare_runs[arm]
    try:
        result = found(rare)
        if experiment.config.run.check_dt is True and ENGINES[rare.run.engine].of_sde:
            result = replace(result, halved=found(prepare_halved(rare)))
    except InputError as error:
        warnings.warn(f"{arm}, not measured by splitting: {error}", stacklevel=2)
        return
    except EscapeInterrupted as interrupt:
        if interrupt.result is not None:
            experiment.rare[arm] = interrupt.result
        raise
    experiment.rare[arm] = result


def _is_split(experiment: "Experiment", arm: str) -> bool:
    """Fewer than half of the paths leave: their mean to t_max says little of the mean."""
    result = experiment.results[arm]
    return experiment.config.rare.when == "always" or result.count(Outcome.ESCAPED) < len(result) / 2


def measured(summary: pd.DataFrame, rare: Mapping[str, RareResult]) -> pd.DataFrame:
    """The summary with the mean times that splitting has found, and a column that says how each was obtained."""
    summary = summary.copy()
    summary["measured"] = ["splitting" if arm in rare else "directly" for arm in summary["arm"]]
    for i, arm in enumerate(summary["arm"]):
        if arm in rare:
            time = rare[arm].mean_time
            summary.loc[i, ["mean_time", "mean_low", "mean_high"]] = [time.value, time.low, time.high]
            summary.loc[i, "mean_steps"] = time.value / rare[arm].run.problem.dynamics.lr
    return summary


def with_mean_ratios(comparison: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The comparison with the ratios of mean times, where both are known, and how they were obtained."""
    by_name, ratios = summary.set_index("arm"), []
    for row in comparison.itertuples():
        (value, *interval), (base, *base_interval) = (
            by_name.loc[arm, ["mean_time", "mean_low", "mean_high"]] for arm in (row.arm, row.reference)
        )
        ratios.append([value / base, *log_ratio_interval(value, interval, base, base_interval)])
    comparison = comparison.copy()
    comparison[["mean_ratio", "mean_ratio_low", "mean_ratio_high"]] = ratios
    split = by_name["measured"].eq("splitting")
    either = [split[row.arm] or split[row.reference] for row in comparison.itertuples()]
    comparison["measured"] = ["splitting" if each else "directly" for each in either]
    return comparison


def rare_tables(rare: Mapping[str, RareResult]) -> dict[str, pd.DataFrame]:
    """rare and rare_levels; empty where no arm was measured by splitting."""
    if not rare:
        return {}
    return {
        "rare": pd.DataFrame([{"arm": arm, **result.summary()} for arm, result in rare.items()]),
        "rare_levels": by_arm({arm: result.levels() for arm, result in rare.items()}),
    }
