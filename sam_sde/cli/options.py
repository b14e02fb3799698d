"""The program, and the arguments and options that several of its commands have."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from sam_sde.terminal import say

app = typer.Typer(
    name="sam-sde",
    help="How long do SGD and SAM stay at a saddle? Optimizers as stochastic differential equations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
