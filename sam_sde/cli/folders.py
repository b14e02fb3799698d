"""Commands about results, configurations and names: plot, report, validate, list."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sam_sde.cli.options import Changes, ConfigFile, app
from sam_sde.endings import reports_errors
from sam_sde.terminal import say


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
    from sam_sde.jobs.action import ActionExperiment
    from sam_sde.jobs.displacement import DisplacementExperiment
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
    if experiment.config.displacement is not None:
        DisplacementExperiment(experiment.setting)
    if experiment.config.action is not None:
        ActionExperiment(experiment.setting)
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
