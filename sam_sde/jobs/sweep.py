"""Runs the conditions of a grid, block by block, in one store, and writes their tables below each other."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.grid import Condition, Grid, expand, load_grid, refuse
from sam_sde.engines import ENGINES, BlockResult, choose_engine, work_of
from sam_sde.errors import InputError
from sam_sde.escape import Progress, Work, begin_server, compute, execute
from sam_sde.escape.progress import Tally
from sam_sde.escape.worth import WORTH_PROCESSES
from sam_sde.jobs.arms import said
from sam_sde.jobs.common import in_common
from sam_sde.jobs.conditions import Tables, id_of, remove_other_paths, write_paths
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.exact import solved_where_possible
from sam_sde.jobs.rare import split_arm
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import Destination
from sam_sde.jobs.shards import Shard
from sam_sde.jobs.stopping import settle
from sam_sde.jobs.store import Entry, Store, key_of
from sam_sde.theory.exact import ExactEscape


@dataclass
class Study:
    """The experiments of all conditions, checked before any is run.

    folder: that of the configuration. errors: what the arms of conditions failed with. n_computed: blocks.

    Raises
        ConfigError: naming the conditions that cannot be run.
    """

    grid: Grid
    folder: Path = Path()
    experiments: list[Experiment] = field(init=False)
    errors: dict[str, Exception] = field(default_factory=dict)
    interrupted: bool = False
    wall_time: float = 0.0
    n_computed: int = 0
    _failed: dict[str, Exception] = field(default_factory=dict, init=False)
    _share: Callable[[list[Work]], None] = field(default=partial(compute, n_processes=1), init=False)

    def __post_init__(self):
        self.experiments, failures, setting = [], [], None
        for condition in self.conditions:
            try:
                if condition.config.run.accuracy is not None:
                    raise ConfigError(
                        "run.accuracy: not for a sweep; take run.relative_error, and run.dt as short as needed"
                    )
                setting = Setting(condition.config, self.folder, like=setting)
                # Blocks that do not depend on how many share them: the paths are the same whoever computes them.
                self.experiments.append(Experiment(setting, workers=1))
                if len(self.experiments) == 1 and len(self.conditions) * self._amount_of_work >= WORTH_PROCESSES:
                    begin_server()  # which will be there when the other conditions are checked
            except InputError as error:
                failures.append((condition, error))
        refuse(failures, len(self.conditions))

    @property
    def conditions(self) -> list[Condition]:
        return self.grid.conditions

    @property
    def _amount_of_work(self) -> float:
        """That of the experiments, as `WORTH_PROCESSES` counts it."""
        runs = [run for experiment in self.experiments for run in experiment.runs.values()]
        runs += [rare.run for experiment in self.experiments for rare in experiment.rare_runs.values()]
        return sum(work_of(run.problem, run.n_paths, ENGINES[run.engine].of_sde) for run in runs)

    def _worthwhile_workers(self, asked: int | None) -> int:
        """As many as are asked for; where nobody says, as many as torch would use threads, for long studies."""
        if asked is not None:
            return asked
        return torch.get_num_threads() if self._amount_of_work >= WORTH_PROCESSES else 1

    def execute(
        self,
        store: Store,
        progress: Callable[[Progress], None] | None = None,
        splitting: Callable[[Progress], None] | None = None,
        *,
        workers: int | None = None,
        executor: Executor | None = None,
        shard: Shard | None = None,
        fresh: bool = False,
    ) -> None:
        """Computes the blocks that the store has not; an arm that fails is left behind, an interrupt ends it.

        workers: processes that share the blocks; None for as many as are worth it. executor: stands in their place.
        shard: computes its part alone. splitting: is told of the progress of what is measured by that.
        """
        begin = time.perf_counter()
        try:
            self._share = partial(compute, executor=executor, n_processes=self._worthwhile_workers(workers))
            self.open(store, fresh, self._share)
            tally = Tally(progress)
            self._share(list(self._works(tally, shard)))
            if shard is None:
                self._split(splitting)
        except KeyboardInterrupt:
            self.interrupted = True
        self.wall_time = time.perf_counter() - begin

    def _split(self, progress: Callable[[Progress], None] | None) -> None:
        """Measures the arms that hardly leave by splitting, one after the other; the store has what is found."""
        candidates = [(each, arm) for each in self.experiments for arm in each.rare_runs if self._is_there(each, arm)]
        for done, (experiment, arm) in enumerate(candidates):

            def report(arm: str, part: Progress, done: int = done) -> None:
                if progress is not None:
                    progress(replace(part, fraction=(done + part.fraction) / len(candidates)))

            with suppress(Exception), warnings.catch_warnings():  # told when the tables are made
                warnings.simplefilter("ignore")
                experiment.results[arm] = execute(experiment.kept[arm].run, kept=experiment.kept[arm])
                split_arm(experiment, arm, report, self._share)
            experiment.results.clear()

    def solve_exactly(self, report: Callable[[str], None]) -> None:
        """Finds the exact escape times of the arms that have such, each of equal ones once; `report` is told of each.

        Raises
            ConfigError: none has, with the reason of the first.
        """
        solved: dict[str, ExactEscape | str] = {}
        for condition, experiment in zip(self.conditions, self.experiments, strict=True):
            for arm in experiment.runs:
                key = key_of(experiment.setting.followed_by(arm))
                if key not in solved:
                    report(place_of(condition, arm))
                    solved[key] = solved_where_possible(experiment.setting, arm)
                each = solved[key]
                (experiment.not_exact if isinstance(each, str) else experiment.exact)[arm] = each
        if not any(experiment.exact for experiment in self.experiments):
            raise ConfigError(next(iter(solved.values())))

    @staticmethod
    def _is_there(experiment: Experiment, arm: str) -> bool:
        entry = experiment.kept.get(arm)
        return entry is not None and all(map(entry.has, entry.run.first_paths))

    def _pilot_failed(self, experiment: Experiment, arm: str, error: Exception) -> None:
        """Without its pilot a condition has no t_max and n_paths, and is left out."""
        (condition,) = (c for c, e in zip(self.conditions, self.experiments, strict=True) if e is experiment)
        self.errors[f"{place_of(condition, arm)}, pilot"] = error
        experiment.runs.clear()

    def open(self, store: Store, fresh: bool = False, share: Callable[[list[Work]], None] | None = None) -> None:
        """Finds what the store has of each arm; unless fresh, then it is removed.

        share: carries out the pilots that are not there; None for one after the other.
        """
        settle(self.experiments, store, share or partial(compute, n_processes=1), self._pilot_failed, fresh)
        opened = set()
        for experiment in self.experiments:
            for arm in experiment.runs:
                self._choose_engine(experiment, arm)
                experiment.keep_in(store, arm, needed=True)
                entry = experiment.kept[arm]
                if fresh and entry.key not in opened:
                    entry.remove()
                opened.add(entry.key)

    def _choose_engine(self, experiment: Experiment, arm: str) -> None:
        """What is compiled once serves all conditions."""
        run = experiment.runs[arm]
        engine = choose_engine(experiment.setting.asked_engine(arm), run.problem, run.n_paths * len(self.conditions))
        if engine != run.engine:
            experiment.runs[arm] = run.with_engine(engine)

    def _works(self, tally: Tally, shard: Shard | None) -> Iterator[Work]:
        """Those of blocks that are missing; arms that are the same in several conditions are computed once."""
        number, seen = count(), set()
        for condition, experiment in zip(self.conditions, self.experiments, strict=True):
            for arm, entry in experiment.kept.items():
                missing = []
                for first in entry.run.first_paths:
                    path = entry.path(first)
                    mine = path not in seen and (shard is None or shard.has(next(number)))
                    seen.add(path)
                    if mine and not path.exists():
                        missing.append(first)
                if missing:
                    tally.expect(entry.run, missing)
                    yield self._work(place_of(condition, arm), entry, missing, tally)

    def _work(self, place: str, entry: Entry, missing: list[int], tally: Tally) -> Work:
        def ended(first: int, block: BlockResult) -> None:
            if block.interrupted_at is None:
                entry.put(first, block)
                self.n_computed += 1
                tally.end(entry.run, first, block.escaped)

        def failed(error: Exception) -> None:
            self.errors[place] = self._failed[entry.key] = error

        return Work(entry.run, missing, ended, failed, report=partial(tally.report, entry.run))

    def write(self, destination: Destination, path_files: str | None = None) -> "Tables":
        """Writes the tables of what the store has; path_files: "csv" or "parquet" for files of the paths as well."""
        tables = Tables(self.grid.keys, self.conditions[0].config.run.common_noise)
        tables.unfinished |= {place: said(error) for place, error in self.errors.items() if place.endswith(", pilot")}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            for condition, experiment in zip(self.conditions, self.experiments, strict=True):
                self._read(condition, experiment, tables)
                tables.add(condition, experiment)
                if path_files is not None and experiment.results:
                    write_paths(experiment, destination.out / "paths" / f"{id_of(experiment)}.{path_files}")
                experiment.results.clear()
                experiment.rare.clear()
            if path_files is not None:
                own = {f"{id_of(experiment)}.{path_files}" for experiment in self.experiments}
                remove_other_paths(destination.out / "paths", own)
        notes = list(dict.fromkeys(str(each.message) for each in caught if each.category is UserWarning))
        tables.end()
        tables.warnings[:0] = notes
        destination.write(tables.frames(), self._record(tables))
        return tables

    def _read(self, condition: Condition, experiment: Experiment, tables: "Tables") -> None:
        """The results of a condition; a block that cannot be read is computed again."""
        for arm, entry in experiment.kept.items():
            place = place_of(condition, arm)
            absent = sum(not entry.has(first) for first in entry.run.first_paths)
            if entry.key in self._failed:
                tables.unfinished[place] = said(self._failed[entry.key])
                continue
            if absent:
                why = "interrupted" if self.interrupted else "not computed yet"
                tables.unfinished[place] = f"{why}, {absent} of {len(entry.run.first_paths)} blocks are missing"
                continue
            try:
                result = execute(entry.run, kept=entry)
                experiment.results[arm] = experiment.checked(arm, result, lambda arm, progress: None)
                if experiment.config.run.ends is not None:
                    experiment.judge(arm)
                if not self.interrupted:
                    split_arm(experiment, arm, lambda arm, progress: None, self._share)
            except InputError:
                raise  # the store cannot be written to
            except Exception as error:
                self.errors[place] = error
                tables.unfinished[place] = said(error)

    def _record(self, tables: "Tables") -> dict[str, Any]:
        common = make_record(
            "sweep",
            self.grid.document,
            self.folder,
            wall_time=self.wall_time,
            interrupted=self.interrupted,
            unfinished=tables.unfinished,
        )
        return common | {
            "keys": self.grid.keys,
            "in_common": in_common([condition.config.model_dump() for condition in self.conditions]),
            "engines": sorted({run.engine for experiment in self.experiments for run in experiment.runs.values()}),
            "conditions": len(self.conditions),
            "blocks_computed": self.n_computed,
            "warnings": tables.warnings,
        }


def place_of(condition: Condition, arm: str) -> str:
    """What a message calls an arm of a condition."""
    return f"{condition}, {arm}"


def sweep(
    config: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    fresh: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> pd.DataFrame:
    """All arms in each condition of a grid, as a tidy data frame: one row a condition and arm.

    Its columns are the swept keys, those of `EscapeResult.summary`, and those of `compare` (empty for the reference).

    config: a configuration file, or what would stand in one as a nested dictionary, with the section `sweep`.
    out: the folder where paths, tables and the record are kept, so that a second call computes what is missing alone;
        None keeps nothing.
    workers: processes that share the work; None for as many as torch would use threads where it is long. executor:
        stands in their place, anything with the interface of `concurrent.futures.Executor`.
    fresh: computes all again. progress: called with a `Progress` of all paths.

    Raises
        ConfigError: naming the conditions that cannot be run.
        Exception: what the first arm of a condition failed with; the others are kept.

    >>> sweep("configs/sweep_rho_batch.yaml", out="results/rho", workers=16)
    """
    if isinstance(config, Mapping):
        grid, folder = expand(dict(config)), Path()
    else:
        grid, folder = load_grid(Path(config)), Path(config).parent
    study = Study(grid, folder)
    with TemporaryDirectory(prefix="sam_sde-") if out is None else nullcontext(out) as place:
        destination = Destination(Path(place), "sweep")
        with Store(destination.out).alone() as store:
            study.execute(store, progress, workers=workers, executor=executor, fresh=fresh)
            tables = study.write(destination)
    if study.interrupted:
        raise KeyboardInterrupt
    for error in study.errors.values():
        raise error
    return tables.tidy()
