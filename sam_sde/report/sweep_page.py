"""The page of a sweep: its tables and its record in, what the page says out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.figures.swept import free_keys, in_order
from sam_sde.jobs.common import VARIES
from sam_sde.jobs.results import read_record
from sam_sde.jobs.tables import TABLES
from sam_sde.report.drawing import Drawing
from sam_sde.report.page import Page, Part
from sam_sde.report.question import heading, question
from sam_sde.report.repeat import repeat_sweep
from sam_sde.report.sweep import sweep_figures
from sam_sde.report.sweep_verdict import sweep_verdicts
from sam_sde.report.words import arm_label, listed, values_words
from sam_sde.wording import TextTable, comparison_text, summary_text

READ = ("conditions", "summary", "comparison")
OF_RECORD = ("command_line", "in_common", "engines", "conditions", "blocks_computed", "warnings")

ALONE = (
    "Each interval and p-value is that of its condition alone, not adjusted for their number; an arm has the same "
    "Brownian motion under all conditions."
)

NOT_DRAWN = "Figures are drawn where one or two keys vary."
UNFINISHED = "What did not end"

MOST_ROWS, MOST_WARNINGS, MOST_UNFINISHED = 200, 50, 50


def sweep_page(folder: Path) -> Page:
    """What there is to say of a folder that `sam-sde sweep` has written.

    Raises
        InputError: no condition has ended, or a table or the record is not what the command wrote.
    """
    record = read_record(folder, "sweep")
    again = f"run `sam-sde sweep CONFIG --out {folder}` again"
    missing = [key for key in OF_RECORD if key not in record]
    if missing:
        raise InputError(f"{folder / 'sweep.json'} has no {missing[0]}; {again}")
    tables = {name: TABLES[f"sweep_{name}"] for name in READ}
    frames = {name: table.read(folder) for name, table in tables.items() if table.file in record["tables"]}
    if "summary" not in frames:
        raise InputError(f"no condition of the sweep in {folder} has ended; {again}")
    keys = tables["conditions"].keys(frames["conditions"])
    _require_summary(frames, keys, folder)
    summary, comparison = frames["summary"], frames.get("comparison")
    arms = _arms(summary)
    config = spelled(record["in_common"])
    free = free_keys(frames["conditions"], keys) or keys
    return Page(
        heading=f"{heading(arms).removesuffix('?')}, under {len(frames['conditions'])} conditions?",
        verdicts=[*sweep_verdicts(summary, comparison, free), *_unfinished_verdict(record)],
        question=_question(config, frames, keys, record),
        arms=arms,
        parts=list(_parts(frames, keys, record)),
        warnings=record["warnings"][:MOST_WARNINGS],
        warnings_elsewhere=max(0, len(record["warnings"]) - MOST_WARNINGS),
        repeat=repeat_sweep(record, str(config["run"]["seed"])),
    )


def _require_summary(frames: Mapping[str, pd.DataFrame], keys: list[str], folder: Path) -> None:
    """Every arm that is compared, and what it is compared with, has a row under the same condition."""
    if "comparison" not in frames:
        return
    known = pd.MultiIndex.from_frame(frames["summary"][[*keys, "arm"]])
    for column in ("arm", "reference"):
        named = pd.MultiIndex.from_frame(frames["comparison"][[*keys, column]])
        if not named.isin(known).all():
            arm = frames["comparison"][column][~named.isin(known)].iloc[0]
            raise InputError(f"{folder / 'summary.csv'} has no row for the arm {arm!r} of a row of comparison.csv")


def spelled(config: Any) -> Any:
    """What the conditions have in common, in words where they differ: "0.1, 0.2 or 0.3"."""
    if not isinstance(config, dict):
        return config
    if list(config) == [VARIES]:
        return values_words(config[VARIES])
    return {key: spelled(value) for key, value in config.items()}


def _question(
    config: Mapping[str, Any], frames: Mapping[str, pd.DataFrame], keys: list[str], record: Mapping[str, Any]
) -> list[str]:
    summary = frames["summary"]
    # An arm that some conditions have not is told by its name alone.
    arms = {arm: section for arm, section in config["arms"].items() if isinstance(section, dict)}
    labels = [arm_label(arm, arms.get(arm, {})) for arm in _arms(summary)]
    asked, *how = question({**config, "arms": arms}, labels, summary, set(record["engines"]))
    return [asked, _grid(frames["conditions"], keys), *how]


def _grid(conditions: pd.DataFrame, keys: list[str]) -> str:
    """Which keys take which values."""
    free = free_keys(conditions, keys)
    if not free:
        return "It is asked under one condition."
    said = [f"`{key}` ({values_words(in_order(conditions[key]), 'and')})" for key in free]
    others = [f"`{key}`" for key in keys if key not in free and conditions[key].nunique() > 1]
    beside = f"; {listed(others)} changes with them" if others else ""
    return f"It is asked under {len(conditions)} conditions, by {listed(said)}{beside}."


def _unfinished_verdict(record: Mapping[str, Any]) -> list[str]:
    count = len(record["unfinished"])
    return [f"{count} result{'s are' if count > 1 else ' is'} missing, listed under “{UNFINISHED}”."] if count else []


def _parts(frames: Mapping[str, pd.DataFrame], keys: list[str], record: Mapping[str, Any]) -> Iterator[Part]:
    """Figures come first, each with its table: the times against one key, or the ratios over two, a map an arm."""
    summary, comparison = frames["summary"], frames.get("comparison")
    drawings = {drawing.name: drawing for drawing in sweep_figures(frames, keys)}
    times = _part("times", "Escape times", summary_text, summary, keys, "summary.csv", drawings.get("times"))
    if times.drawing is not None:
        yield times
    if comparison is not None:
        words = partial(comparison_text, paired=record["in_common"]["run"]["common_noise"] is True)
        rows = {f"ratio-{i}": comparison[comparison["arm"] == arm] for i, arm in enumerate(_arms(comparison))}
        maps = drawings.keys() & rows.keys()
        for name, own in rows.items() if maps else [("ratios", comparison)]:
            part = _part(name, "How many times as long", words, own, keys, "comparison.csv", drawings.get(name))
            yield replace(part, sentences=[*part.sentences, ALONE, *([] if drawings else [NOT_DRAWN])])
    if times.drawing is None:
        yield times
    if record["unfinished"]:
        yield _unfinished(record["unfinished"])


def _part(
    name: str,
    title: str,
    words: Callable[..., TextTable],
    rows: pd.DataFrame,
    keys: list[str],
    file: str,
    drawing: Drawing | None,
) -> Part:
    """The first rows of a table in words, a sentence that says where the others are, and a figure with its title."""
    more = len(rows) - MOST_ROWS
    sentences = [f"The table has the first {MOST_ROWS} rows; {more} more are in `{file}`."] if more > 0 else []
    title = title if drawing is None else drawing.title
    return Part(name, title, sentences, drawing, [words(rows[:MOST_ROWS], keys)])


def _arms(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["arm"]))


def _unfinished(unfinished: Mapping[str, str]) -> Part:
    rows, more = list(unfinished.items()), len(unfinished) - MOST_UNFINISHED
    sentences = [f"{more} more are in `sweep.json`, under `unfinished`."] if more > 0 else []
    table = TextTable("Results that are missing", ("condition and arm", "why"), rows[:MOST_UNFINISHED])
    return Part("unfinished", UNFINISHED, sentences, tables=[table])
