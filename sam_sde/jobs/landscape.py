"""What a picture of paths shows beneath them: the loss and the region on a grid over the view, and known points."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from sam_sde.regions import Region
from sam_sde.surfaces import LossSurface

GRID = 151  # points along each side of the view: contours look smooth at any size of a page, in 1 MB of text
DIGITS = 9
MARGIN = 0.06
RAYS = 64
AT_ONCE = 1024  # points whose loss is evaluated together, which bounds the memory

View = tuple[tuple[float, float], tuple[float, float]]


def landscape_tables(
    paths: pd.DataFrame, surface: LossSurface, region: Region, prefix: str = ""
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The two tables beneath paths with the columns x0 and x1, with their names in TABLES after `prefix`."""
    yield f"{prefix}landscape", landscape(view_of(paths, region), surface, region)
    yield f"{prefix}critical_points", critical_points(surface)


def landscape(view: View, surface: LossSurface, region: Region) -> pd.DataFrame:
    """One row a point of the grid, x0 running first: x0, x1, loss, and level, the region's, negative inside."""
    x0, x1 = (np.linspace(*side, GRID) for side in view)
    points = np.stack(np.meshgrid(x0, x1), axis=-1).reshape(-1, 2)
    columns = {
        "x0": points[:, 0],
        "x1": points[:, 1],
        "loss": _on(points, surface.value),
        "level": _on(points, lambda w: region.levels(w).amax(-1)),
    }
    return pd.DataFrame({name: _rounded(values) for name, values in columns.items()})


def critical_points(surface: LossSurface) -> pd.DataFrame:
    """The known points of a surface of two coordinates: point (its number), kind, x0, x1, loss."""
    known = surface.critical_points
    locations = np.array([point.location for point in known], dtype=float).reshape(-1, 2)
    return pd.DataFrame(
        {
            "point": np.arange(len(known)),
            "kind": [point.kind for point in known],
            "x0": locations[:, 0],
            "x1": locations[:, 1],
            "loss": _on(locations, surface.value) if len(known) else np.empty(0),
        }
    )


def view_of(paths: pd.DataFrame, region: Region) -> View:
    """What to show: all of the paths and of the region, with a margin, and not narrower than 1 to 2.

    The region is what rays from the start reach of it; one that is more than ten times as long as it is
    wide, such as a slab, is shown in part; the far branches of one that is open to a side are not.
    """
    points = paths[["x0", "x1"]].to_numpy(float)
    points = points[np.isfinite(points).all(axis=1)]
    points = np.concatenate([points, _boundary_points(points, region)])
    low, high = points.min(axis=0), points.max(axis=0)
    sides = high - low
    longest = sides.max() or max(1.0, np.abs(points).max()) * 0.1  # one point alone gets some room
    half = np.maximum(sides, longest / 2) / 2 + MARGIN * longest
    centre = (low + high) / 2
    (x_low, y_low), (x_high, y_high) = (centre - half).tolist(), (centre + half).tolist()
    return (x_low, x_high), (y_low, y_high)


def _boundary_points(points: np.ndarray, region: Region) -> np.ndarray:
    """Where rays from the first point leave the region, as far as the region is to be shown."""
    start = points[0]
    scale = np.linalg.norm(points - start, axis=1).max() or 1.0
    angles = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = region.extent(start, torch.from_numpy(directions), 1e3 * scale).numpy()
    width = reach + np.roll(reach, RAYS // 2)  # from boundary to boundary, through the start
    shown = np.isfinite(width) & ((width.max() <= 10 * width.min()) | (width <= 1.5 * width.min()))
    one_sided = np.isfinite(reach) & ~np.isfinite(width)
    if one_sided.any():
        shown &= width <= 2 * reach[one_sided].min()
    return start + reach[shown, None] * directions[shown]


def _on(points: np.ndarray, function: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    """A function of states (paths, 2) at points of any shape (…, 2)."""
    states = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64)).reshape(-1, 2)
    with torch.no_grad():
        values = torch.cat([function(piece) for piece in states.split(AT_ONCE)])
    return values.double().cpu().numpy().reshape(points.shape[:-1])


def _rounded(values: np.ndarray) -> np.ndarray:
    """To so many digits as a picture needs, for a short file."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values])
