"""Commands that measure escape times: escape, sweep, merge."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sam_sde.cli.options import Changes, ConfigFile, Exact, Fresh, Out, PathFiles, app
from sam_sde.endings import end_as, reports_errors, results_of
from sam_sde.errors import ArgumentError
from sam_sde.terminal import print_caution, print_table, progress_report, say
from sam_sde.wording import comparison_text, ends_lines, summary_text

if TYPE_CHECKING:
    from sam_sde.jobs.conditions import Tables
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.results import Destination
    from sam_sde.jobs.sweep import Study

# Of a sweep: there may be some for each condition.
SHOWN_WARNINGS, SHOWN_ROWS = 5, 40


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
