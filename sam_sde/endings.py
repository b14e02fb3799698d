"""How a command ends: with one message and an exit code, see `sam_sde.cli`."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from sam_sde.errors import InputError
from sam_sde.terminal import say

if TYPE_CHECKING:
    from sam_sde.jobs.arms import ArmByArm
    from sam_sde.jobs.results import Destination
    from sam_sde.jobs.sweep import Study
    from sam_sde.reproduction.run import Reproduction

# What torch's allocator for the CPU says, on Linux and on Windows: it has no error of its own.
ALLOCATOR_WORDS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory: you tried to allocate",
)

OUT_OF_MEMORY = "out of memory; try a smaller run.block_size or run.n_paths"


def reports_errors(command: Callable) -> Callable:
    """Ends a command with one message and exit code 2 for bad input, and with 130 on Ctrl-C and SIGTERM."""

    @functools.wraps(command)
    def run(*arguments, **options):
        errors = Console(stderr=True, soft_wrap=True)
        try:
            return command(*arguments, **options)
        except InputError as error:
            errors.print(f"error: {error}", style="bold red", markup=False, highlight=False)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            errors.print(f"error: {OUT_OF_MEMORY}", style="bold red")
            raise typer.Exit(2) from None
        except KeyboardInterrupt as interrupt:
            say(f"interrupted; {interrupt if interrupt.args else 'nothing was written'}", error=True)
            raise typer.Exit(130) from None

    run.__signature__ = inspect.signature(command)
    return run


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that an allocation failed: a RuntimeError may be about memory in other ways."""
    torch = sys.modules.get("torch")
    kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in ALLOCATOR_WORDS)


@contextmanager
def results_of(command: str, out: Path | None, config: Path) -> Iterator["Destination"]:
    """Where a command writes; an interrupt says what it has written."""
    from sam_sde.jobs.results import Destination

    destination = Destination(out or Path("results") / config.stem, command)
    try:
        yield destination
    except KeyboardInterrupt:
        raise KeyboardInterrupt(destination.told) from None


def end_as(*runs: "ArmByArm | Study | Reproduction") -> None:
    """Says which arms or statements failed, each with its traceback, and ends the command where not all is done."""
    for name, error in [item for run in runs for item in run.errors.items()]:
        known = isinstance(error, InputError) or out_of_memory(error)
        if not known:
            say("".join(traceback.format_exception(error)).rstrip(), error=True)
        reason = OUT_OF_MEMORY if out_of_memory(error) else error if known else f"{type(error).__name__}, see above"
        Console(stderr=True, soft_wrap=True).print(
            f"error: {name} failed: {reason}", style="bold red", markup=False, highlight=False
        )
    if any(run.interrupted for run in runs):
        raise typer.Exit(130)
    if any(run.errors for run in runs):
        raise typer.Exit(1)
