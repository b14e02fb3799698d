"""The figures of a folder of results, drawn from its tables."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sam_sde.errors import InputError
from sam_sde.figures.displacement import draw_displacement
from sam_sde.figures.paths import draw_sample_paths, draw_ways
from sam_sde.figures.portrait import draw_portrait
from sam_sde.figures.rare import draw_levels
from sam_sde.figures.styles import arm_styles
from sam_sde.figures.sweep import draw_sweep
from sam_sde.figures.times import draw_escape_times, draw_exact_survival, draw_survival
from sam_sde.figures.weak import draw_weak
from sam_sde.files import write_whole
from sam_sde.jobs.record import RECORDS
from sam_sde.jobs.results import read_record, settle
from sam_sde.jobs.tables import FIGURE_KINDS, TABLES, tables_of

DPI = 200
# For each of FIGURE_KINDS; without dates, so that a figure drawn again from the same numbers is the same file.
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def draw_result(folder: Path, command: str) -> list[Path]:
    """Draws what a command has just written into `folder`; returns the files, each figure as PNG and as PDF.

    Raises
        InputError: the record or a table is missing, or not what the command writes.
    """
    return _save(folder, _figures(folder, command, read_record(folder, command)))


def redraw(folder: Path) -> tuple[list[Path], list[str]]:
    """Draws all figures of `folder` again, whichever commands wrote their tables; all are drawn before any is written.

    Returns the files, and a sentence for each result of which something is unfinished.

    Raises
        InputError: there are no results, or one is not what its record says.
    """
    settle(folder)
    records = {command: read_record(folder, command) for command in _commands(folder)}
    figures = {}
    for command, record in records.items():
        figures |= _figures(folder, command, record)
    notes = [
        f"{folder / RECORDS[command]} is of a run that did not end: {what}: {why}"
        for command, record in records.items()
        for what, why in record["unfinished"].items()
    ]
    return _save(folder, figures), notes


def _commands(folder: Path) -> list[str]:
    """The commands that have written into a folder."""
    recorded = [command for command, record in RECORDS.items() if (folder / record).exists()]
    theirs = {table.file for command in recorded for table in tables_of(command).values()}
    # Tables without their record; sweep and escape share names.
    left = [
        command
        for command in RECORDS
        if any(table.file not in theirs and (folder / table.file).exists() for table in tables_of(command).values())
    ]
    found = [command for command in RECORDS if command in recorded or command in left]
    if not found:
        raise InputError(f"{folder} holds no results; run `sam-sde escape CONFIG --out {folder}` first")
    return found


def _figures(folder: Path, command: str, record: dict) -> dict[str, Figure]:
    """The figures of one command, by name: those whose tables it wrote."""
    drawn = [table.figure for table in tables_of(command).values() if table.figure and table.file in record["tables"]]
    figures = {name: DRAW[name](folder) for name in drawn}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _survival(folder: Path) -> Figure:
    survival, summary = TABLES["survival"].read(folder), TABLES["summary"].read(folder)
    _require_arms(survival, summary, folder)
    exact = TABLES["exact_curves"].read(folder) if (folder / TABLES["exact_curves"].file).exists() else None
    return draw_survival(survival, summary, arm_styles(list(summary["arm"])), exact)


def _exact_survival(folder: Path) -> Figure:
    return draw_exact_survival(TABLES["exact_survival"].read(folder))


def _escape_times(folder: Path) -> Figure:
    paths, summary = TABLES["paths"].read(folder), TABLES["summary"].read(folder)
    _require_arms(paths, summary, folder)
    return draw_escape_times(paths, summary, arm_styles(list(summary["arm"])))


def _sample_paths(folder: Path) -> Figure:
    sample_paths, summary = TABLES["sample_paths"].read(folder), TABLES["summary"].read(folder)
    _require_arms(sample_paths, summary, folder)
    beneath = TABLES["landscape"].read(folder), TABLES["critical_points"].read(folder)
    return draw_sample_paths(sample_paths, *beneath, arm_styles(list(summary["arm"])))


def _trajectories(folder: Path) -> Figure:
    names = "trajectories", "trajectories_landscape", "trajectories_critical_points"
    return draw_sample_paths(*(TABLES[name].read(folder) for name in names))


def _action(folder: Path) -> Figure:
    names = "action", "action_landscape", "action_critical_points"
    action, *beneath = (TABLES[name].read(folder) for name in names)
    return draw_ways(action, *beneath)


def _sweep(folder: Path) -> Figure | None:
    table = TABLES["sweep_summary"]
    summary, comparison = table.read(folder), None
    if (folder / TABLES["sweep_comparison"].file).exists():
        comparison = TABLES["sweep_comparison"].read(folder)
    return draw_sweep(summary, comparison, table.keys(summary))


def _weak(folder: Path) -> Figure:
    return draw_weak(TABLES["weak"].read(folder))


def _rare_levels(folder: Path) -> Figure:
    levels, summary = TABLES["rare_levels"].read(folder), TABLES["summary"].read(folder)
    _require_arms(levels, summary, folder)
    return draw_levels(levels, arm_styles(list(summary["arm"])))


def _portrait(folder: Path) -> Figure:
    names = "portrait", "basin_starts", "stability_points", "stability_stalls"
    return draw_portrait(*(TABLES[name].read(folder) for name in names))


def _displacement(folder: Path) -> Figure:
    return draw_displacement(TABLES["displacement"].read(folder))


# How each figure that a table names is drawn from the tables of a folder.
DRAW: dict[str, Callable[[Path], Figure | None]] = {
    "survival": _survival,
    "escape_times": _escape_times,
    "sample_paths": _sample_paths,
    "trajectories": _trajectories,
    "weak": _weak,
    "action": _action,
    "rare_levels": _rare_levels,
    "exact_survival": _exact_survival,
    "sweep": _sweep,
    "portrait": _portrait,
    "displacement": _displacement,
}


def _require_arms(frame: pd.DataFrame, summary: pd.DataFrame, folder: Path) -> None:
    unknown = sorted(set(frame["arm"]) - set(summary["arm"]))
    if unknown:
        raise InputError(f"{folder / 'summary.csv'} has no row for the arm {unknown[0]!r}")


def _save(folder: Path, figures: dict[str, Figure]) -> list[Path]:
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Writes STEM.png and STEM.pdf, each whole or not at all."""
    written = []
    for kind in FIGURE_KINDS:
        path = stem.with_name(f"{stem.name}.{kind}")
        write_whole(path, lambda part, kind=kind: figure.savefig(part, dpi=DPI, metadata=METADATA[kind]))
        written.append(path)
    return written
