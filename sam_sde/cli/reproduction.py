"""The command that runs the papers' statements: reproduce."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam_sde.cli.options import app
from sam_sde.endings import end_as, reports_errors
from sam_sde.terminal import print_table, say
from sam_sde.wording import verdicts_text

if TYPE_CHECKING:
    from sam_sde.reproduction.run import Reproduction

Thin = Annotated[bool, typer.Option("--thin", help="The least of each, in a minute or two; most numbers are rough.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer paths and conditions, in minutes instead of hours.")]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="One statement; may be given often.")]
Workers = Annotated[int | None, typer.Option(min=1, help="How many share the paths; default 1.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A running Dask cluster that shares the paths in their place.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of all random numbers.")]


@app.command()
@reports_errors
def reproduce(
    quick: Quick = False,
    thin: Thin = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("results/reproduction"),
    only: Only = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """Run the papers' statements and judge each: tables, figures, and a report with verdicts and their reasons.

    Run again after an interrupt, it computes just what is missing.
    """
    from sam_sde.errors import ArgumentError
    from sam_sde.escape.cluster import cluster
    from sam_sde.reproduction.registry import chosen
    from sam_sde.reproduction.run import Reproduction
    from sam_sde.reproduction.size import Size

    if quick and thin:
        raise ArgumentError("--thin", "expected at most one of --quick and --thin, got both")
    if scheduler is not None and workers is not None:
        raise ArgumentError("--workers", "the cluster has its own; leave it or --scheduler out")
    size = Size("thin" if thin else "quick" if quick else "full", seed)
    statements = chosen(only or ())
    with nullcontext() if scheduler is None else cluster(scheduler) as executor:
        reproduction = Reproduction(statements, size, out, workers or 1, executor, beside=chosen(()))
        reproduction.execute(lambda line: say(line, error=True))
    if reproduction.judged:
        write_report(reproduction)
        print_table(verdicts_text({name: each.verdict for name, each in reproduction.judged.items()}))
        for name, judgement in reproduction.judged.items():
            say(f"{name}: {judgement.reason}")
    say(f"written to {out}")
    end_as(reproduction)


def write_report(reproduction: "Reproduction") -> None:
    from sam_sde.errors import InputError

    try:
        from sam_sde.report.reproduction import write_reproduction
    except ModuleNotFoundError as error:
        raise InputError(
            f'the tables are in {reproduction.out}; a report needs {error.name}, try pip install "sam_sde[report]"'
        ) from None
    write_reproduction(reproduction)
