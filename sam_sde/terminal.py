"""The tables and the progress that a terminal shows."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from sam_sde.wording import TextTable

if TYPE_CHECKING:
    from sam_sde.escape import Progress

SECONDS_BETWEEN_LINES = 10.0


def say(text: str, *, error: bool = False) -> None:
    """One line as it is, whatever brackets it holds."""
    Console(stderr=error, soft_wrap=True).print(text, markup=False, highlight=False)


def print_table(table: TextTable) -> None:
    """A table as wide as the terminal allows; a file has room for whole numbers."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 120)
    shown = Table(title=_escaped(table.title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        shown.add_column(_escaped(column), justify="left" if column == "arm" else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(_escaped, row))
    console.print(shown)


def print_caution(sentence: str) -> None:
    Console(soft_wrap=True).print(f"[yellow]warning:[/yellow] {_escaped(sentence)}", highlight=False)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


@contextmanager
def progress_report(console: Console) -> Iterator[Callable[[str, "Progress"], None]]:
    """A function to be told of (arm, progress): a bar an arm on a terminal, now and then a line elsewhere."""
    if not console.is_terminal:
        yield _line_report()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[escaped]} escaped, {task.fields[rate]:.0f} paths/s"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console) as bar:
        tasks = {}

        def report(arm: str, progress: "Progress") -> None:
            if arm not in tasks:
                tasks[arm] = bar.add_task(_escaped(arm), total=1.0, escaped=0, rate=0.0)
            elapsed = bar.tasks[tasks[arm]].elapsed or 1.0
            rate = progress.finished / elapsed
            bar.update(tasks[arm], completed=progress.fraction, escaped=progress.escaped, rate=rate)

        yield report


def _line_report() -> Callable[[str, "Progress"], None]:
    last = {"time": time.monotonic()}
    finished = {}

    def report(arm: str, progress: "Progress") -> None:
        now = time.monotonic()
        # The last chunk ends before its paths are counted, and only then is it time for the last line.
        done = progress.fraction >= 1.0 and progress.finished != finished.get(arm, 0)
        finished[arm] = progress.finished
        if not done and (progress.fraction >= 1.0 or now - last["time"] < SECONDS_BETWEEN_LINES):
            return
        last["time"] = now
        print(f"{arm}: {100 * progress.fraction:.0f} % done, {progress.escaped} escaped", file=sys.stderr, flush=True)

    return report
