"""Runs all arms of a configuration and writes what they found."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pandas as pd

from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.schema import Config
from sam_sde.engines import ENGINES, fitting_engines
from sam_sde.escape import (
    EscapeInterrupted,
    EscapeResult,
    EscapeRun,
    Plan,
    Progress,
    Recorder,
    StepCheck,
    checked,
    compare,
    compute,
    execute,
    plan,
)
from sam_sde.escape.result import MAX_COORDINATES
from sam_sde.jobs.arms import ArmByArm
from sam_sde.jobs.cautions import changing_rates, find_cautions, hardly_escapes, least_exponent
from sam_sde.jobs.escape_record import escape_record
from sam_sde.jobs.escape_tables import escape_tables, picture_tables
from sam_sde.jobs.exact import exact_where_possible, with_exact_means
from sam_sde.jobs.identity import identity_of
from sam_sde.jobs.rare import measured, split_arm, with_mean_ratios
from sam_sde.jobs.results import Destination
from sam_sde.jobs.stopping import Choice, settle, unmet
from sam_sde.jobs.store import Entry, Store
from sam_sde.jobs.tables import by_arm
from sam_sde.rare import RareResult, RareRun
from sam_sde.theory.exact import ExactEscape

MAX_PATH_ROWS = 10**6
MAX_KEPT_ROWS = 10**5  # of what is written after each arm, in under a second
SAMPLE_PATHS = 5
SAMPLE_STATES = 2000


@dataclass
class Experiment:
    """What a configuration describes with its checked runs, and the results of the arms that were executed.

    workers: how many share the paths; None for as many as there are cores where the work is worth it.
    exact: the exact escape times of arms, where they are asked for; not_exact: why others have none.
    exponents: of the escape times of arms that hardly escape, where they are quickly had.
    choices: of t_max and n_paths, where a pilot makes them. kept: where the paths of each arm are kept, if they are.
    rare: what splitting found of arms that hardly leave.
    arms: what became of the arms; judged: of the end states of each, where they are asked for.
    """

    setting: Setting
    workers: int | None = None
    runs: dict[str, EscapeRun] = field(init=False)
    rare_runs: dict[str, RareRun] = field(init=False)
    results: dict[str, EscapeResult] = field(default_factory=dict)
    recorders: dict[str, Recorder] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    kept: dict[str, Entry] = field(default_factory=dict)
    rare: dict[str, RareResult] = field(default_factory=dict)
    ends_of: dict[str, pd.DataFrame] = field(default_factory=dict)
    arms: ArmByArm = field(init=False)
    judged: ArmByArm = field(init=False)
    exact: dict[str, ExactEscape] = field(default_factory=dict)
    not_exact: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    exponents: dict[str, float | None] = field(default_factory=dict)
    wall_time: float = 0.0

    def __post_init__(self):
        self.take(self.setting)
        self.arms = ArmByArm(self.runs)
        self.judged = ArmByArm(self.runs if self.config.run.ends is not None else [])

    def take(self, setting: Setting) -> None:
        """Has the runs of another setting from now on."""
        self.setting, self.runs = setting, setting.runs(self.workers)
        asked = setting.config.rare
        split = asked is not None and asked.when != "never"
        self.rare_runs = {arm: setting.rare(arm, self.workers) for arm in self.runs} if split else {}

    def choose(self, choices: dict[str, Choice]) -> None:
        """Has as many paths as a pilot has chosen."""
        self.choices = choices
        self.runs = {arm: self.setting.run(arm, self.workers, n_paths=each.n_paths) for arm, each in choices.items()}

    def solve_exactly(self, report: Callable[[str], None]) -> None:
        """Finds the exact escape times of the arms that have such; `report` is called with each.

        Raises
            ConfigError: none has, with the reason of the first.
        """
        self.exact, self.not_exact = exact_where_possible(self.setting, report)
        if not self.exact:
            raise ConfigError(next(iter(self.not_exact.values())))

    def execute(
        self,
        report: Callable[[str, Progress], None],
        destination: Destination | None = None,
        store: Store | None = None,
        fresh: bool = False,
    ) -> None:
        """Runs arm after arm; one that fails is left behind, an interrupt ends it with what was finished.

        destination: where the results of the arms that have ended are kept as long as others have not.
        store: keeps the paths, and has those of earlier runs, which are not computed again; unless fresh.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm has a result.
        """
        begin = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)

            def tell() -> None:
                self.notes = list(dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning))
                self.wall_time = time.perf_counter() - begin

            def ended() -> None:
                tell()
                if destination is not None and self.unfinished:
                    self._keep(destination)

            try:
                if store is not None:
                    settle([self], store, compute, _raise, fresh)
                self.arms.run(lambda arm: self._run(arm, report, store, fresh), ended)
            except KeyboardInterrupt:  # while the processes came to their end
                self.arms.interrupted = True
            tell()
        if not self.results:
            self.arms.raise_the_first()
        if self.config.run.ends is not None and not self.arms.interrupted:
            self.judged = ArmByArm(self.results)
            self.judged.run(self.judge)

    def _run(self, arm: str, report: Callable[[str, Progress], None], store: Store | None, fresh: bool) -> None:
        asked = self.config.run
        if asked.accuracy is not None:
            pilot = f"{arm}, pilot"
            self.plans[arm] = plan(self.runs[arm], asked.accuracy, lambda progress: report(pilot, progress))
            chosen = {"dt": self.plans[arm].dt, "n_paths": self.plans[arm].n_paths}
            self.runs[arm] = self.plans[arm].run_of(self.setting.run(arm, self.workers, **chosen))
        if store is not None:
            self.keep_in(store, arm, fresh)
        run, self.recorders[arm] = self.runs[arm], _recorder(self.runs[arm])
        try:
            result = execute(run, lambda progress: report(arm, progress), self.recorders[arm], kept=self.kept.get(arm))
        except EscapeInterrupted as interrupt:
            if interrupt.result is not None:
                self.results[arm] = interrupt.result
            raise
        self.results[arm] = result
        if asked.accuracy is None:
            self.results[arm] = self.checked(arm, result, report)
        else:
            longer = f"{arm}, longer steps"
            self.results[arm] = self.plans[arm].completed(result, lambda progress: report(longer, progress))
        split_arm(self, arm, report)

    def keep_in(self, store: Store, arm: str, fresh: bool = False, needed: bool = False) -> None:
        """Opens what the store has of an arm."""
        self.kept[arm] = self.entry(store, arm, self.runs[arm], fresh, needed)
        self.runs[arm] = self.kept[arm].run

    def entry(self, store: Store, arm: str, run: EscapeRun, fresh: bool = False, needed: bool = False) -> Entry:
        """What the store has of a run, by another engine if it has that and nobody asks for one."""
        fitting = fitting_engines(self.setting.asked_engine(arm), run.problem)
        others = {engine for engine in fitting if ENGINES[engine].suits(run.problem)} - {run.engine}
        choices = [run, *map(run.with_engine, sorted(others))]
        identities = [(identity_of(self.setting, arm, choice), choice) for choice in choices]
        there = [pair for pair in identities if store.holds(pair[0])]
        return store.entry(*(there or identities)[0], fresh, needed)

    def checked(self, arm: str, result: EscapeResult, report: Callable[[str, Progress], None]) -> EscapeResult:
        """The result with what dt does to it, where that is asked for; as it was kept, if it was."""
        asked, kept, halved = self.config.run.check_dt, self.kept.get(arm), f"{arm}, dt and dt/2"
        name = f"step_check-{asked}"
        frame = None if kept is None else kept.read_table(name)
        if frame is not None:
            return replace(result, step_check=StepCheck.of_frame(frame))
        result = checked(result, asked, lambda progress: report(halved, progress))
        if kept is not None and result.step_check is not None:
            kept.write_table(name, result.step_check.to_frame())
        return result

    def judge(self, arm: str) -> None:
        """Finds what the states are in which the arm's paths ended."""
        self.ends_of[arm] = self.results[arm].ends(self.config.run.ends)

    def _keep(self, destination: Destination) -> None:
        """The tables of what has ended so far; those of the picture can wait."""
        few = sum(map(len, self.results.values())) <= MAX_KEPT_ROWS
        comparison = self.comparison()
        tables = escape_tables(self, comparison, MAX_COORDINATES if few else 0, {})
        destination.keep(tables, escape_record(self, comparison))

    @property
    def unfinished(self) -> dict[str, str]:
        """What the configuration asks for and is not there, and why."""
        found = {
            arm: why + (", so its paths that are still inside are censored there" if self._is_cut(arm) else "")
            for arm, why in self.arms.unfinished.items()
        }
        return found | {f"end states of {arm}": why for arm, why in self.judged.unfinished.items()}

    def _is_cut(self, arm: str) -> bool:
        """Whether a result has not all paths, or not to the end."""
        result, run = self.results.get(arm), self.runs[arm]
        return result is not None and (len(result) < run.n_paths or result.t_max < run.problem.t_max)

    @property
    def interrupted(self) -> bool:
        return self.arms.interrupted or self.judged.interrupted

    @property
    def ends(self) -> pd.DataFrame | None:
        return by_arm(self.ends_of) if self.ends_of else None

    @property
    def config(self) -> Config:
        return self.setting.config

    def summary(self) -> pd.DataFrame:
        frame = pd.DataFrame([{"arm": arm, **result.summary()} for arm, result in self.results.items()])
        frame = measured(frame, self.rare) if self.rare_runs else frame
        return with_exact_means(frame, self.exact) if self.exact else frame

    def comparison(self) -> pd.DataFrame | None:
        """None where there is nothing to compare: one arm, or no result of the reference."""
        reference = self.config.reference or next(iter(self.config.arms))
        results = dict(self.results)
        if self.config.run.common_noise:  # the paths of an arm that did not end have no partners
            results = {arm: result for arm, result in results.items() if arm not in self.arms.unfinished}
        if len(results) < 2 or reference not in results:
            return None
        comparison = compare(results, reference)
        return with_mean_ratios(comparison, self.summary()) if self.rare_runs else comparison

    def cautions(self, comparison: pd.DataFrame | None) -> list[str]:
        """One sentence for each thing that is missing, or limits what the results say."""
        missing = [f"{what}: {why}" for what, why in self.unfinished.items()]
        missing += [f"no exact times of {arm}: {why}" for arm, why in self.not_exact.items()]
        rates = changing_rates(self.results)
        for arm in self.results.keys() - self.exponents.keys() - self.rare.keys():
            if hardly_escapes(self.results[arm]):
                self.exponents[arm] = least_exponent(self.runs[arm])
        return missing + self.notes + self.limits(comparison) + ([rates] if rates else [])

    def limits(self, comparison: pd.DataFrame | None) -> list[str]:
        """One sentence for each thing that limits what the results say, but for rates that are not constant."""
        of_splitting = [
            f"{arm}, by splitting: {sentence}" for arm, each in self.rare.items() for sentence in each.warnings
        ]
        cautions = find_cautions(self.runs, self.results, comparison, self.rare, bool(self.rare_runs), self.exponents)
        return unmet(self.config, self.choices) + cautions + of_splitting

    def write(self, destination: Destination, all_paths: bool = False) -> None:
        """Writes the tables and run.json."""
        picture = picture_tables(self)
        few = sum(map(len, self.results.values())) <= MAX_PATH_ROWS
        coordinates = self.setting.surface.dim if all_paths else MAX_COORDINATES if few else 0
        comparison = self.comparison()
        destination.write(escape_tables(self, comparison, coordinates, picture), escape_record(self, comparison))


def _recorder(run: EscapeRun) -> Recorder:
    every = max(1, run.problem.n_steps // SAMPLE_STATES)
    return Recorder(list(range(min(SAMPLE_PATHS, run.n_paths))), every)


def _raise(experiment: Experiment, arm: str, error: Exception) -> None:
    raise error
