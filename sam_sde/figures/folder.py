"""Figures drawn from the CSV files of a results folder."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sam_sde.errors import ArgumentError
from sam_sde.figures.paths import draw_sample_paths
from sam_sde.figures.styles import arm_styles
from sam_sde.figures.times import draw_escape_times, draw_survival
from sam_sde.files import write_whole
from sam_sde.regions import Region
from sam_sde.surfaces import LossSurface

__all__ = ["arm_styles", "draw_all", "draw_escape_times", "draw_sample_paths", "draw_survival"]

DPI = 200
# Without dates, so that a figure drawn again from the same numbers is the same file.
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
COLUMNS = {
    "survival.csv": ["arm", "time", "survival", "low", "high", "at_risk"],
    "summary.csv": ["arm", "n_paths", "n_escaped", "n_censored", "n_failed", "t_max"],
    "paths.csv": ["arm", "outcome", "time"],
    "sample_paths.csv": ["arm", "path", "time", "x0", "x1"],
}


def draw_all(folder: Path, surface: LossSurface | None = None, region: Region | None = None) -> list[Path]:
    """Draws what the CSV files of `folder` hold; returns the paths of the figures, each as PNG and as PDF.

    The escape times are drawn where `paths.csv` exists; the sample paths where `sample_paths.csv` does and
    `surface` has two coordinates. All is drawn before the first file is written.

    Raises
        ValueError: survival.csv or summary.csv is missing, or a file lacks a column, arm or row.
    """
    folder = Path(folder)
    survival, summary = _read(folder, "survival.csv"), _read(folder, "summary.csv")
    _require_arms(survival, summary, folder)
    styles = arm_styles(list(summary["arm"]))
    figures = {"survival": draw_survival(survival, summary, styles)}
    if (folder / "paths.csv").exists():
        figures["escape_times"] = draw_escape_times(_read(folder, "paths.csv"), summary, styles)
    if surface is not None and surface.dim == 2 and (folder / "sample_paths.csv").exists():
        sample_paths = _read(folder, "sample_paths.csv")
        _require_arms(sample_paths, summary, folder)
        figures["sample_paths"] = draw_sample_paths(sample_paths, surface, region, styles=styles)
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def _read(folder: Path, name: str) -> pd.DataFrame:
    """One CSV file, checked for the columns that a figure needs."""
    try:
        # An arm may be called "1" or "NA".
        frame = pd.read_csv(folder / name, dtype={"arm": str}, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise ArgumentError(
            "plot", f"{folder} has no {name}; run `sam-sde escape CONFIG --out {folder}` first"
        ) from None
    except (OSError, UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ArgumentError("plot", f"cannot read {folder / name}: {error}") from None
    missing = [column for column in COLUMNS[name] if column not in frame.columns]
    if missing:
        raise ArgumentError(
            "plot", f"{folder / name} has no column {', '.join(missing)}; got {', '.join(frame.columns)}"
        )
    if frame.empty and name != "paths.csv":
        raise ArgumentError("plot", f"{folder / name} has no rows")
    return frame


def _require_arms(frame: pd.DataFrame, summary: pd.DataFrame, folder: Path) -> None:
    unknown = sorted(set(frame["arm"]) - set(summary["arm"]))
    if unknown:
        raise ArgumentError("plot", f"{folder / 'summary.csv'} has no row for the arm {unknown[0]!r}")


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Writes STEM.png and STEM.pdf, each whole or not at all."""
    written = []
    for kind, metadata in METADATA.items():
        path = stem.with_name(f"{stem.name}.{kind}")
        write_whole(path, lambda part, metadata=metadata: figure.savefig(part, dpi=DPI, metadata=metadata))
        written.append(path)
    return written
