"""The figures of a finished run again, from what it wrote."""

import json
from pathlib import Path

import pandas as pd

from sam_sde.config.building import build_region, build_surface
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.figures.folder import draw_all, save_figure
from sam_sde.figures.weak import draw_weak


def redraw(folder: Path) -> list[Path]:
    """Draws all figures of a results folder again, those of `escape` and of `weak`; returns the files written.

    Raises
        ConfigError: the folder holds no results, or they do not fit together.
    """
    weak = folder / "weak.csv"
    written = _redraw_weak(weak) if weak.exists() else []
    return written + (_redraw_escape(folder) if (folder / "run.json").exists() or not written else [])


def _redraw_weak(table: Path) -> list[Path]:
    try:
        figure = draw_weak(pd.read_csv(table))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"plot: {table} is no table of weak errors ({type(error).__name__}: {error}); run `sam-sde weak` again"
        ) from None
    return save_figure(figure, table.with_suffix(""))


def _redraw_escape(folder: Path) -> list[Path]:
    """The figures of an escape run.

    The surface and the region under the sample paths come from the configuration in run.json.
    """
    record = folder / "run.json"
    try:
        run = json.loads(record.read_text(encoding="utf-8"))
        config = check_config(run["config"])
        folder_of_config = Path(run["config_folder"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"plot: {folder} holds no results that can be read ({record.name}: {reason}); "
            f"run `sam-sde escape CONFIG --out {folder}` first"
        ) from None
    surface = build_surface(config.surface, folder_of_config)
    return draw_all(folder, surface, build_region(config.escape.region, surface))
