"""The tables and the progress that a terminal shows."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from sam_sde.escape import Progress, count_states

SECONDS_BETWEEN_LINES = 10.0


def print_tables(
    console: Console, summary: pd.DataFrame, comparison: pd.DataFrame | None, warnings: list[str], *, paired: bool
) -> None:
    """Summary, comparison and warnings; intervals are 95 %. paired: the arms saw the same noise."""
    if not console.is_terminal:
        console.width = max(console.width, 120)  # a file has room for whole numbers
    console.print(_summary(summary))
    if comparison is not None:
        console.print(_comparison(comparison, paired))
    for warning in warnings:
        console.print(f"[yellow]warning:[/yellow] {_escaped(warning)}", highlight=False, soft_wrap=True)


def print_ends(console: Console, ends: pd.DataFrame | None) -> None:
    """One line an arm that counts the classes of its end states, where they were judged."""
    if ends is None:
        return
    for arm, rows in ends.groupby("arm", sort=False):
        counts = count_states(rows)
        places = f"{counts['minimum']} at a minimum, {counts['saddle']} at a saddle"
        line = f"{arm}, end states of {len(rows)}: {places}, {counts['stalled']} stalled, {counts['moving']} moving"
        console.print(_escaped(line), highlight=False, soft_wrap=True)


def print_weak(console: Console, errors: pd.DataFrame, orders: pd.DataFrame) -> None:
    """The weak errors at the largest and the smallest learning rate, and the fitted orders; intervals are 95 %."""
    if not console.is_terminal:
        console.width = max(console.width, 120)
    ends = errors["lr"].max(), errors["lr"].min()
    table = _table(
        "Weak errors |E g(w) - E g(W)| (95 % intervals)",
        ("arm", "test function", *(f"error at lr {lr:g}" for lr in ends), "order"),
    )
    of = errors.set_index(["arm", "test_function", "lr"])
    for row in orders.itertuples():
        found = [of.loc[(row.arm, row.test_function, lr)] for lr in ends]
        table.add_row(
            _escaped(row.arm),
            row.test_function,
            *(_interval(each["error"], each["error_low"], each["error_high"]) for each in found),
            _interval(row.order, row.order_low, row.order_high, missing="not shown"),
        )
    console.print(table)


def _summary(summary: pd.DataFrame) -> Table:
    restricted = summary["n_escaped"].lt(summary["n_paths"]).any()
    note = f", restricted to t_max = {summary['t_max'].min():g}" if restricted else ""
    table = _table(
        f"Escape times{note} (time = lr · steps, 95 % intervals)",
        ("arm", "paths", "escaped", "failed", "mean time", "median", "rate"),
    )
    for row in summary.itertuples():
        table.add_row(
            _escaped(row.arm),
            f"{row.n_paths}",
            f"{100 * row.fraction_escaped:.4g} %",
            f"{row.n_failed}",
            _interval(row.rmst, row.rmst_low, row.rmst_high, missing="not known"),
            _interval(row.median, row.median_low, row.median_high),
            _interval(row.rate, row.rate_low, row.rate_high),
        )
    return table


def _comparison(comparison: pd.DataFrame, paired: bool) -> Table:
    title = f"Compared with {comparison['reference'].iloc[0]}" + (" (paired: common noise)" if paired else "")
    table = _table(title, ("arm", "mean difference", "mean ratio", "rate ratio", "log-rank p (Holm)"))
    for row in comparison.itertuples():
        table.add_row(
            _escaped(row.arm),
            _interval(row.rmst_difference, row.difference_low, row.difference_high, missing="not known"),
            _interval(row.rmst_ratio, row.ratio_low, row.ratio_high, missing="not known"),
            _interval(row.rate_ratio, row.rate_ratio_low, row.rate_ratio_high, missing="not known"),
            "" if pd.isna(row.p_adjusted) else f"{row.p_adjusted:.2g}",
        )
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column == "arm" else "right", overflow="fold")
    return table


def _interval(value: float, low: float, high: float, missing: str = "not reached") -> str:
    if pd.isna(value):
        return missing
    return f"{value:.4g}" if pd.isna(low) or pd.isna(high) else f"{value:.4g} ({low:.4g}–{high:.4g})"


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


@contextmanager
def progress_report(console: Console) -> Iterator[Callable[[str, Progress], None]]:
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

        def report(arm: str, progress: Progress) -> None:
            if arm not in tasks:
                tasks[arm] = bar.add_task(_escaped(arm), total=1.0, escaped=0, rate=0.0)
            elapsed = bar.tasks[tasks[arm]].elapsed or 1.0
            rate = progress.finished / elapsed
            bar.update(tasks[arm], completed=progress.fraction, escaped=progress.escaped, rate=rate)

        yield report


def _line_report() -> Callable[[str, Progress], None]:
    last = {"time": time.monotonic()}
    finished = {}

    def report(arm: str, progress: Progress) -> None:
        now = time.monotonic()
        # The last chunk ends before its paths are counted, and only then is it time for the last line.
        done = progress.fraction >= 1.0 and progress.finished != finished.get(arm, 0)
        finished[arm] = progress.finished
        if not done and (progress.fraction >= 1.0 or now - last["time"] < SECONDS_BETWEEN_LINES):
            return
        last["time"] = now
        print(f"{arm}: {100 * progress.fraction:.0f} % done, {progress.escaped} escaped", file=sys.stderr, flush=True)

    return report
