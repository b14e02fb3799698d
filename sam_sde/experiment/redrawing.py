"""The figures of a finished run again, from what it wrote."""

import json
from pathlib import Path

from sam_sde.experiment.building import build_region, build_surface
from sam_sde.experiment.loading import ConfigError, check_config
from sam_sde.experiment.plotting import draw_all


def redraw(folder: Path) -> list[Path]:
    """Draws all figures of a results folder; returns the files written.

    The surface and the region under the sample paths come from the configuration in run.json.

    Raises
        ConfigError: the folder holds no results, or they do not fit together.
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
