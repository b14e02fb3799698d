"""The command line: arguments in, one call, an exit code out.

0: done; 1: an arm failed or a shard is missing, the others are done; 2: bad input, or nowhere to write to;
130: interrupted.

What a command needs is imported inside of it: help, and figures drawn from tables, do without torch.
"""

import sys
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sam_sde.endings import end_as, reports_errors, results_of
from sam_sde.errors import ArgumentError
from sam_sde.interrupts import end_as_on_ctrl_c
from sam_sde.terminal import print_caution, print_table, progress_report, say
from sam_sde.wording import (
    basins_lines,
    comparison_text,
    ends_lines,
    exact_text,
    stability_text,
    summary_text,
    weak_text,
)

if TYPE_CHECKING:
    from sam_sde.jobs.conditions import Tables
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.results import Destination
    from sam_sde.jobs.stability import StabilityExperiment
    from sam_sde.jobs.sweep import Study

app = typer.Typer(
    name="sam-sde",
    help="How long do SGD and SAM stay at a saddle? Optimizers as stochastic differential equations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Of a sweep: there may be some for each condition.
SHOWN_WARNINGS, SHOWN_ROWS = 5, 40

PathFiles = Annotated[
    str | None, typer.Option("--paths", metavar="csv|parquet", help="Write the paths of each condition as well.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file that describes the experiment.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as run.n_paths=1000; may be given often."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Compute all again, whatever was kept of earlier runs.")]
Exact = Annotated[bool, typer.Option("--exact", help="The exact times of the SDEs as well, in one and two dimensions.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the results; default results/CONFIG.")]


def show_version(wanted: bool) -> None:
    if wanted:
        say(version("sam_sde"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What may stand before a command."""


@app.command()
@reports_errors
def escape(
    config: ConfigFile,
    out: Out = None,
    changes: Changes = None,
    all_paths: Annotated[
        bool, typer.Option(help="Write paths.csv above a million paths too, and all coordinates.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many share the paths; default all cores for long runs.")
    ] = None,
    check_dt: Annotated[
        bool, typer.Option("--check-dt", help="Some paths again at dt and dt/2: what the step does to each figure.")
    ] = False,
    exact: Exact = False,
    fresh: Fresh = False,
) -> None:
    """Run all arms: escape times, their comparison, CSV files and figures.

    Run again after an interrupt, or with more paths or arms, it computes just what is missing.
    """
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.store import Store

    changes = [*(changes or ()), *(["run.check_dt=true"] if check_dt else ())]
    experiment = Experiment(Setting(load_config(config, changes), config.parent), workers)
    if exact:
        experiment.solve_exactly(lambda arm: say(f"{arm}: exact times", error=True))
    with results_of("escape", out, config) as destination, Store(destination.out).alone() as store:
        with progress_report(Console(stderr=True)) as report:
            experiment.execute(report, destination, store, fresh)
        try:
            experiment.write(destination, all_paths)
        finally:  # on a full disk the numbers are shown at least
            print_escape(experiment)
        draw_result(destination.written, "escape")
        say(f"written to {destination.written}")
    end_as(experiment.arms, experiment.judged)


def print_escape(experiment: "Experiment") -> None:
    comparison = experiment.comparison()
    print_table(summary_text(experiment.summary()))
    if comparison is not None:
        print_table(comparison_text(comparison, paired=experiment.config.run.common_noise))
    for sentence in experiment.cautions(comparison):
        print_caution(sentence)
    for line in [] if experiment.ends is None else ends_lines(experiment.ends):
        say(line)


@app.command()
@reports_errors
def sweep(
    config: ConfigFile,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the results; default results/CONFIG-sweep.")
    ] = None,
    changes: Changes = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes share the work; default all cores for long runs.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A running Dask cluster that shares the work.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Compute the I-th of N parts, for `sam-sde merge`.")
    ] = None,
    paths: PathFiles = None,
    exact: Exact = False,
    fresh: Fresh = False,
) -> None:
    """Run all arms in each condition of the section `sweep`: their tables, and figures against the swept keys.

    Run again after an interrupt, or with more values, arms or paths, it computes just what is missing.
    """
    from sam_sde.config.grid import load_grid
    from sam_sde.escape.cluster import cluster
    from sam_sde.jobs.conditions import require_path_files
    from sam_sde.jobs.shards import shard_of, write_note
    from sam_sde.jobs.store import Store
    from sam_sde.jobs.sweep import Study

    require_path_files(paths)
    part = None if shard is None else shard_of(shard)
    if scheduler is not None and workers is not None:
        raise ArgumentError("--workers", "the cluster has its own; leave it or --scheduler out")
    if part is not None and fresh:
        raise ArgumentError(
            "--fresh", "shards would remove each other's paths; remove DIR/store before the first begins"
        )
    study = Study(load_grid(config, changes or ()), config.parent)
    if exact and part is None:
        study.solve_exactly(lambda place: say(f"{place}: exact times", error=True))
    with ExitStack() as stack:
        destination = stack.enter_context(results_of("sweep", out or Path("results") / f"{config.stem}-sweep", config))
        store = stack.enter_context(Store(destination.out).alone(shard))
        if part is not None:
            write_note(destination.out, study.grid.document, study.folder)
        executor = None if scheduler is None else stack.enter_context(cluster(scheduler))
        with progress_report(Console(stderr=True)) as report:
            told = partial(report, "sweep"), partial(report, "splitting")
            study.execute(store, *told, workers=workers, executor=executor, shard=part, fresh=fresh)
        if part is None:
            finish(study, destination, paths)
        else:
            say(f"shard {shard}: {study.n_computed} blocks computed; `sam-sde merge {destination.out}` ends the study")
    end_as(study)


@app.command()
@reports_errors
def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder in which shards of a sweep have computed.")],
    paths: PathFiles = None,
) -> None:
    """Write the tables and figures of a sweep whose shards have ended."""
    from sam_sde.config.grid import expand
    from sam_sde.jobs.conditions import require_path_files
    from sam_sde.jobs.results import Destination
    from sam_sde.jobs.shards import read_note
    from sam_sde.jobs.store import Store
    from sam_sde.jobs.sweep import Study

    require_path_files(paths)
    document, config_folder = read_note(folder)
    study, destination = Study(expand(document), config_folder), Destination(folder, "sweep")
    with Store(folder).alone() as store:
        study.open(store)
        tables = finish(study, destination, paths)
    end_as(study)
    if tables.unfinished:
        raise typer.Exit(1)


def finish(study: "Study", destination: "Destination", paths: str | None) -> "Tables":
    """Writes and prints what a study has found."""
    from sam_sde.figures.folder import draw_result

    tables = study.write(destination, paths)
    draw_result(destination.written, "sweep")
    print_sweep(tables)
    say(f"written to {destination.written}")
    return tables


def print_sweep(tables: "Tables") -> None:
    """The comparison, or without one the summary, where that is short; the files have both."""
    frame, words = tables.frame("comparison"), partial(comparison_text, paired=tables.paired)
    if frame is None:
        frame, words = tables.frame("summary"), summary_text
    if frame is not None:
        print_table(words(frame[:SHOWN_ROWS], tables.keys))
        if len(frame) > SHOWN_ROWS:
            say(f"and {len(frame) - SHOWN_ROWS} rows more in the files")
    for sentence in tables.warnings[:SHOWN_WARNINGS]:
        print_caution(sentence)
    if len(tables.warnings) > SHOWN_WARNINGS:
        print_caution(f"{len(tables.warnings) - SHOWN_WARNINGS} more, see `warnings` in sweep.json")
    for what, why in tables.unfinished.items():
        print_caution(f"{what}: {why}")


@app.command()
@reports_errors
def simulate(
    config: ConfigFile,
    paths: Annotated[int, typer.Option(min=1, help="How many paths of each arm.")] = 5,
    replay: Annotated[int | None, typer.Option(min=0, metavar="ID", help="One path of an escape run, alone.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Keep every so-manieth state.")] = 1,
    out: Out = None,
    changes: Changes = None,
) -> None:
    """Write whole trajectories (trajectories.csv) and, in two dimensions, their picture on the surface."""
    from sam_sde import checks
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.simulate import Simulation

    experiment = Experiment(Setting(load_config(config, changes or ()), config.parent))
    for run in experiment.runs.values():
        checks.whole("--replay", replay or 0, low=0, high=run.n_paths - 1)
    simulation = Simulation(experiment, paths=paths, replay=replay, every=every)
    with results_of("simulate", out, config) as destination:
        simulation.execute()
        written = simulation.write(destination)
        written += draw_result(destination.written, "simulate")
        for line in simulation.lines():
            say(line)
        say(f"written: {', '.join(map(str, written))}")
    end_as(simulation.arms)


@app.command()
@reports_errors
def weak(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Compare each optimizer with its SDE: weak errors at several learning rates, and the order they vanish in."""
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.weak import WeakExperiment

    experiment = WeakExperiment(Setting(load_config(config, changes or ()), config.parent))
    with results_of("weak", out, config) as destination:
        experiment.execute(lambda arm, lr: say(f"{arm}: lr {lr:g}", error=True), destination)
        try:
            experiment.write(destination)
        finally:
            print_table(weak_text(experiment.errors, experiment.orders))
        draw_result(destination.written, "weak")
        say(f"written to {destination.written}")
    end_as(experiment.arms)


@app.command()
@reports_errors
def exact(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Compute escape times without paths, in one or two dimensions: mean, deviation, rate, survival, exits by side."""
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.exact import ExactExperiment

    experiment = ExactExperiment(Setting(load_config(config, changes or ()), config.parent))
    with results_of("exact", out, config) as destination:
        experiment.execute(lambda arm: say(arm, error=True), destination)
        try:
            experiment.write(destination)
        finally:
            print_table(exact_text(experiment.summary))
        draw_result(destination.written, "exact")
        say(f"written to {destination.written}")
    end_as(experiment.arms)


@app.command()
@reports_errors
def stability(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Critical points and stalls, which optimizers they attract, and from where; draws no random numbers."""
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.stability import StabilityExperiment

    experiment = StabilityExperiment(Setting(load_config(config, changes or ()), config.parent))
    with results_of("stability", out, config) as destination:
        experiment.execute(lambda what: say(what, error=True))
        experiment.write(destination)
        print_stability(experiment)
        draw_result(destination.written, "stability")
        say(f"written to {destination.written}")


def print_stability(experiment: "StabilityExperiment") -> None:
    lr, momentum, rho = experiment.compared_at
    print_table(stability_text(experiment.points_table(), f"lr {lr:g}, momentum {momentum:g}, ρ {rho:g}"))
    for arm, each in experiment.stalls.items():
        if each:
            say(f"{arm}: {len(each)} stalls that are no critical points, see stability_stalls.csv")
    for line in basins_lines(experiment.basins_table()) if experiment.ends else []:
        say(line)
    for sentence in experiment.cautions:
        print_caution(sentence)
    for arm, found in experiment.critical_rhos.items():
        say(f"{arm}: critical rho {found}" if isinstance(found, str) else f"{arm}: trapped from rho = {found:.4g} on")


@app.command()
@reports_errors
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that a command has written.")],
) -> None:
    """Draw the figures of a folder again, from its CSV files."""
    from sam_sde.figures.folder import redraw

    written, notes = redraw(folder)
    for path in written:
        say(str(path))
    for note in notes:
        say(note, error=True)


@app.command("report")
@reports_errors
def write_report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that escape or sweep has written.")],
) -> None:
    """Write report.html into a folder of results: one page, to read without anything else."""
    from sam_sde.report.folder import write_report

    say(f"written to {write_report(folder)}")


@app.command()
@reports_errors
def validate(config: ConfigFile, changes: Changes = None) -> None:
    """Check a configuration without running it."""
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.stability import StabilityExperiment
    from sam_sde.jobs.weak import WeakExperiment

    experiment = Experiment(Setting(load_config(config, changes or ()), config.parent))
    for arm, run in experiment.runs.items():
        say(
            f"{arm}: {run.n_paths} paths of at most {run.problem.n_steps} steps, dt {run.problem.dt:g}, "
            f"{run.problem.dynamics.noise_type} noise, {run.engine} on {run.device}"
        )
    if experiment.config.weak is not None:
        WeakExperiment(experiment.setting)
    if experiment.config.stability is not None:
        StabilityExperiment(experiment.setting)
    say(f"{config} is valid")


@app.command("list")
@reports_errors
def list_names() -> None:
    """List the surfaces, noises, optimizers and regions, with their parameters."""
    from sam_sde.deferred import defer

    defer("torch")  # signatures are enough for a list
    from sam_sde.config.catalogue import catalogue

    for title, entries in catalogue().items():
        Console().print(f"{title}:", style="bold")
        for entry in entries:
            say(f"  {entry}")


def main() -> None:
    end_as_on_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without Greek letters shows a ? for ρ
    app()
