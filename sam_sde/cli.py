"""The command line: arguments in, one call, an exit code out (0 done, 2 bad input, 130 interrupted)."""

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sam_sde import checks
from sam_sde.config.catalogue import catalogue
from sam_sde.config.loading import load_config
from sam_sde.errors import InputError
from sam_sde.figures.folder import draw_all
from sam_sde.figures.redrawing import redraw
from sam_sde.jobs.escape import Experiment, make_folder
from sam_sde.jobs.simulate import simulate_paths
from sam_sde.jobs.weak import WeakExperiment
from sam_sde.terminal import print_ends, print_tables, print_weak, progress_report

app = typer.Typer(
    name="sam-sde",
    help="How long do SGD and SAM stay at a saddle? Optimizers as stochastic differential equations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file that describes the experiment.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as run.n_paths=1000; may be given often."),
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the results; default results/CONFIG.")]


def reports_errors(command: Callable) -> Callable:
    """Ends a command with one message and exit code 2 for bad input, and with 130 on Ctrl-C."""

    @functools.wraps(command)
    def run(*arguments, **options):
        errors = Console(stderr=True, soft_wrap=True)
        try:
            return command(*arguments, **options)
        except InputError as error:
            errors.print(f"error: {error}", style="bold red", markup=False, highlight=False)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error):
                raise
            errors.print("error: out of memory; try a smaller run.block_size or run.n_paths", style="bold red")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            errors.print("interrupted; nothing was written", markup=False)
            raise typer.Exit(130) from None

    run.__signature__ = inspect.signature(command)
    return run


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
        int | None, typer.Option(min=1, help="Processes that share the paths; default all cores for long runs.")
    ] = None,
) -> None:
    """Run all arms: escape times, their comparison, CSV files and figures."""
    experiment = Experiment(load_config(config, changes or ()), config.parent, workers)
    out = out or Path("results") / config.stem
    make_folder(out)
    with progress_report(Console(stderr=True)) as report:
        experiment.execute(report)
    if not experiment.results:
        raise KeyboardInterrupt
    experiment.write(out, all_paths)
    comparison = experiment.comparison()
    console = Console()
    warnings, paired = experiment.warnings(comparison), experiment.config.run.common_noise
    print_tables(console, experiment.summary(), comparison, warnings, paired=paired)
    print_ends(console, experiment.ends)
    draw_all(out, experiment.surface, experiment.region)
    console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)
    if not experiment.complete:
        raise typer.Exit(130)


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
    experiment = Experiment(load_config(config, changes or ()), config.parent)
    for run in experiment.runs.values():
        checks.whole("--replay", replay or 0, low=0, high=run.n_paths - 1)
    out = out or Path("results") / config.stem
    make_folder(out)
    written, ends = simulate_paths(experiment, out, paths=paths, replay=replay, every=every)
    console = Console(soft_wrap=True)
    for end in ends:
        console.print(end, markup=False, highlight=False)
    console.print(f"written: {', '.join(map(str, written))}", markup=False, highlight=False)


@app.command()
@reports_errors
def weak(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Compare each optimizer with its SDE: weak errors at several learning rates, and the order they vanish in."""
    experiment = WeakExperiment(load_config(config, changes or ()), config.parent)
    out = out or Path("results") / config.stem
    make_folder(out)
    errors = Console(stderr=True, soft_wrap=True)
    experiment.execute(lambda arm, lr: errors.print(f"{arm}: lr {lr:g}", markup=False, highlight=False))
    experiment.write(out)
    console = Console()
    print_weak(console, experiment.errors, experiment.orders)
    console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
@reports_errors
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that escape or weak has written.")],
) -> None:
    """Draw the figures of a folder again, from its CSV files."""
    for path in redraw(folder):
        Console(soft_wrap=True).print(str(path), markup=False, highlight=False)


@app.command()
@reports_errors
def validate(config: ConfigFile, changes: Changes = None) -> None:
    """Check a configuration without running it."""
    experiment = Experiment(load_config(config, changes or ()), config.parent)
    console = Console(soft_wrap=True)
    for arm, run in experiment.runs.items():
        console.print(
            f"{arm}: {run.n_paths} paths of at most {run.problem.n_steps} steps, dt {run.problem.dt:g}, "
            f"{run.problem.dynamics.noise_type} noise, {run.engine} on {run.device}",
            markup=False,
            highlight=False,
        )
    if experiment.config.weak is not None:
        WeakExperiment(experiment.config, config.parent)
    console.print(f"{config} is valid", markup=False, highlight=False)


@app.command("list")
@reports_errors
def list_names() -> None:
    """List the surfaces, noises, optimizers and regions, with their parameters."""
    console = Console(soft_wrap=True)
    for title, entries in catalogue().items():
        console.print(f"{title}:", style="bold")
        for entry in entries:
            console.print(f"  {entry}", markup=False, highlight=False)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without Greek letters shows a ? for ρ
    app()
