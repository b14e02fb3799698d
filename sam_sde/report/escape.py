"""The page of an escape run: its tables and its record in, what the page says out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.jobs.results import read_record
from sam_sde.jobs.tables import TABLES
from sam_sde.report.page import Page, Part
from sam_sde.report.question import heading, question
from sam_sde.report.repeat import repeat
from sam_sde.report.surface import points_table, surface_drawing
from sam_sde.report.survival import survival_drawing, survival_table
from sam_sde.report.verdict import verdicts
from sam_sde.report.words import arm_label, number, short
from sam_sde.wording import TextTable, comparison_text, summary_text

READ = ("summary", "survival", "comparison", "ends", "sample_paths", "landscape", "critical_points")
OF_RECORD = ("command_line", "seed", "engine", "engines", "device", "workers", "block_size", "dt", "accuracy")
OF_RECORD += ("path_steps", "warnings")
STATES = ("minimum", "saddle", "stalled", "moving")


def escape_page(folder: Path) -> Page:
    """What there is to say of a folder that `sam-sde escape` has written.

    Raises
        InputError: it holds no whole result, or a table is not what the command wrote.
    """
    record = read_record(folder, "escape")
    missing = [key for key in OF_RECORD if key not in record]
    if missing:
        raise InputError(f"{folder / 'run.json'} has no {missing[0]}; run `sam-sde escape CONFIG --out {folder}` again")
    frames = {name: TABLES[name].read(folder) for name in READ if TABLES[name].file in record["tables"]}
    summary = frames["summary"]
    arms = list(summary["arm"])
    _require_arms(frames, arms, folder)
    config = record["config"]
    labels = {arm: arm_label(arm, config["arms"].get(arm, {})) for arm in [*config["arms"], *arms]}
    return Page(
        heading=heading(arms),
        verdicts=verdicts(summary, frames.get("comparison"), labels, record["unfinished"]),
        question=question(config, [labels[arm] for arm in arms], summary, set(record["engines"].values())),
        arms=arms,
        parts=list(_parts(frames, record)),
        warnings=record["warnings"],
        repeat=repeat(record),
    )


def _require_arms(frames: dict[str, pd.DataFrame], arms: list[str], folder: Path) -> None:
    path = folder / "summary.csv"
    for name, frame in frames.items():
        for column in frame.columns.intersection(["arm", "reference"]):
            unknown = sorted(set(frame[column]) - set(arms))
            if unknown:
                raise InputError(f"{path} has no row for the arm {unknown[0]!r} of {TABLES[name].file}")


def _parts(frames: dict[str, pd.DataFrame], record: dict[str, Any]) -> Iterator[Part]:
    summary, sections = frames["summary"], record["config"]["arms"]
    comparison = frames.get("comparison")
    tables = [summary_text(summary)]
    if comparison is not None:
        tables.append(comparison_text(comparison, paired=record["config"]["run"]["common_noise"]))
    yield Part("times", "Escape times", tables=tables)
    drawing = survival_drawing(frames["survival"], summary)
    yield Part("survival", drawing.title, drawing=drawing, tables=[survival_table(frames["survival"], summary)])
    if "landscape" in frames:
        points = frames["critical_points"]
        kinds = {arm: sections.get(arm, {}).get("kind", arm) for arm in summary["arm"]}
        drawing = surface_drawing(frames["sample_paths"], frames["landscape"], points, kinds)
        yield Part("surface", drawing.title, drawing=drawing, tables=[points_table(points)] if len(points) else [])
    yield _errors(summary, record)
    if "ends" in frames:
        yield Part("ends", "Where the paths end", tables=[_ends(frames["ends"])])


def _errors(summary: pd.DataFrame, record: dict[str, Any]) -> Part:
    """The statistical error beside that of the step, where the step was looked at."""
    told = summary[summary["dt_change"].notna()]
    if told.empty:
        sentences = [
            "The intervals are statistical. What the step dt adds was not looked at: with `--check-dt` some paths "
            "are integrated again at dt/2."
        ]
        return Part("errors", "Error budget", sentences)
    sentences = [
        "± statistical is half of the 95 % interval of the mean time; ± step is how far it moves with a step of dt/2, "
        "for the same Brownian motion."
    ]
    if record["accuracy"]:
        asked = number(record["config"]["run"]["accuracy"])
        sentences.append(f"dt and the number of paths were chosen so that both together are {asked} of the mean.")
    rows = [
        (
            row.arm,
            number(record["dt"][row.arm]),
            short(row.rmst, 4),
            f"± {short((row.rmst_high - row.rmst_low) / 2, 2)}",
            f"± {short(abs(row.dt_change), 2)}",
            f"{short(row.dt_change, 2)} ({short(row.dt_change_low, 2)} to {short(row.dt_change_high, 2)})",
        )
        for row in told.itertuples()
    ]
    columns = ("arm", "dt", "mean time", "statistical", "step", "change with dt/2")
    return Part("errors", "Error budget", sentences, tables=[TextTable("Errors of the mean time", columns, rows)])


def _ends(ends: pd.DataFrame) -> TextTable:
    rows = [
        (arm, *(str((states == state).sum()) for state in STATES))
        for arm, states in ends.groupby("arm", sort=False)["state"]
    ]
    return TextTable("States in which the first paths of each arm ended", ("arm", *STATES), rows)
