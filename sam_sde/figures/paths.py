"""Sample paths on the contours of a two-dimensional loss."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sam_sde.errors import ArgumentError
from sam_sde.figures.styles import FONT, SMALL_FONT, WIDTH, add_legend, arm_styles, new_figure, plain, small_ticks
from sam_sde.regions import Region
from sam_sde.surfaces import LossSurface

GRID = 201  # points along each side of the view
VERTICES = 3000  # of one path; more would not show, and fill a PDF with megabytes
CONTOURS = 11
MARGIN = 0.06
# Greys too light to compete with the paths.
GREYS = LinearSegmentedColormap.from_list("light greys", ["#FFFFFF", "#A8A8A8"])
# The start is hollow: it is often the saddle, whose cross has to be seen inside it.
START = {
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.1,
    "linestyle": "none",
    "zorder": 4,
}
END = {
    "marker": "s",
    "markersize": 4,
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "linestyle": "none",
    "zorder": 5,
}
CRITICAL = {
    "minimum": {"marker": "*", "markersize": 8, "color": "black", "linestyle": "none", "zorder": 6},
    "saddle": {"marker": "x", "markersize": 5, "color": "black", "linestyle": "none", "zorder": 6},
    "maximum": {"marker": "^", "markersize": 5, "color": "black", "linestyle": "none", "zorder": 6},
}

View = tuple[tuple[float, float], tuple[float, float]]


def draw_sample_paths(
    sample_paths: pd.DataFrame,
    surface: LossSurface,
    region: Region | None = None,
    axes_names: tuple[str, str] = ("w0", "w1"),
    *,
    styles: dict | None = None,
) -> Figure:
    """Whole paths over the contours of the loss, one panel an arm, with the boundary of the region.

    The view holds the paths and the region, and is the same in all panels. The contours are at quantiles of
    the loss in view, so every grey covers about the same area however large the range of the loss is.

    Raises
        ValueError: the surface has not two coordinates, or no row has finite ones.
    """
    if surface.dim != 2:
        raise ArgumentError("plot", f"sample paths are drawn for two coordinates, the surface has {surface.dim}")
    sample_paths = sample_paths[np.isfinite(sample_paths[["x0", "x1"]]).all(axis=1)]
    if sample_paths.empty:
        raise ArgumentError("plot", "the sample paths have no finite states")
    arms = list(dict.fromkeys(sample_paths["arm"]))
    styles = styles or arm_styles(arms)
    view = view_of(sample_paths, region)
    figure, panels = _panels(len(arms), view)
    letters = int(38 / panels[0].get_gridspec().ncols)  # what a title has room for
    grid = _Grid(view, surface, region)
    for panel, arm in zip(panels, arms, strict=True):
        shades = grid.draw(panel)
        _draw_paths(panel, sample_paths[sample_paths["arm"] == arm], styles[arm])
        _draw_critical_points(panel, surface, view)
        panel.set(xlim=view[0], ylim=view[1], aspect="equal")
        panel.set_title(plain(arm, letters), fontsize=FONT, color=styles[arm]["color"])
        small_ticks(panel)
    _label_axes(panels, axes_names)
    if shades is not None:
        _draw_colorbar(figure, panels, shades)
    _draw_legend(figure, surface, view, region)
    return figure


def view_of(sample_paths: pd.DataFrame, region: Region | None) -> View:
    """What to show: all of the paths and of the region, with a margin, and not narrower than 1 to 2.

    The region is what rays from the start reach of it; one that is more than ten times as long as it is
    wide, such as a slab, is shown in part; the far branches of one that is open to a side are not.
    """
    points = sample_paths[["x0", "x1"]].to_numpy(float)
    if region is not None:
        points = np.concatenate([points, _boundary_points(points, region)])
    low, high = points.min(axis=0), points.max(axis=0)
    sides = high - low
    longest = sides.max() or max(1.0, np.abs(points).max()) * 0.1  # one point alone gets some room
    half = np.maximum(sides, longest / 2) / 2 + MARGIN * longest
    centre = (low + high) / 2
    (x_low, y_low), (x_high, y_high) = (centre - half).tolist(), (centre + half).tolist()
    return (x_low, x_high), (y_low, y_high)


def _boundary_points(points: np.ndarray, region: Region) -> np.ndarray:
    """Where 64 rays from the first point leave the region, as far as the region is to be shown."""
    start = points[0]
    scale = np.linalg.norm(points - start, axis=1).max() or 1.0
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distances = scale * np.geomspace(1e-3, 1e3, 600)
    inside = _on(start + distances[:, None, None] * directions, lambda w: region.levels(w).amax(-1)) < 0
    reach = np.where(inside.all(axis=0), np.inf, distances[inside.argmin(axis=0)])
    width = reach + np.roll(reach, 32)  # from boundary to boundary, through the start
    shown = np.isfinite(width) & ((width.max() <= 10 * width.min()) | (width <= 1.5 * width.min()))
    one_sided = np.isfinite(reach) & ~np.isfinite(width)
    if one_sided.any():
        shown &= width <= 2 * reach[one_sided].min()
    return start + reach[shown, None] * directions[shown]


def _on(points: np.ndarray, function) -> np.ndarray:
    """A function of states (paths, 2) at points of any shape (…, 2), in pieces that bound the memory."""
    states = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64)).reshape(-1, 2)
    with torch.no_grad():
        values = torch.cat([function(piece) for piece in states.split(1024)])
    return values.double().cpu().numpy().reshape(points.shape[:-1])


class _Grid:
    """The loss and the region's level on a grid over the view, computed once for all panels."""

    def __init__(self, view: View, surface: LossSurface, region: Region | None):
        self.x, self.y = (np.linspace(*side, GRID) for side in view)
        points = np.stack(np.meshgrid(self.x, self.y), axis=-1)
        self.loss = np.ma.masked_invalid(_on(points, surface.value))
        self.level = None if region is None else _on(points, lambda w: region.levels(w).amax(-1))
        self.contours = contour_levels(self.loss.compressed())

    def draw(self, axes: Axes):
        """Draws on one panel; returns the shades for a colour bar, or None where the loss is constant."""
        if self.level is not None and np.nanmin(self.level) < 0 < np.nanmax(self.level):
            axes.contour(self.x, self.y, self.level, [0.0], colors="black", linewidths=1.2, zorder=2.5)
        if len(self.contours) < 2:
            return None
        norm = BoundaryNorm(self.contours, GREYS.N, extend="both")
        filled = {"cmap": GREYS, "norm": norm, "extend": "both"}
        shades = axes.contourf(self.x, self.y, self.loss, self.contours, **filled)
        axes.contour(self.x, self.y, self.loss, self.contours, colors="#8A8A8A", linestyles="-", linewidths=0.4)
        return shades


def contour_levels(loss: np.ndarray) -> np.ndarray:
    """Quantiles of the finite losses in view, rounded to as few digits as keep them apart."""
    if not len(loss):
        return np.empty(0)
    levels = np.unique(np.quantile(loss, np.linspace(0, 1, CONTOURS + 2)[1:-1]))
    for digits in range(2, 13):
        rounded = np.unique([float(f"{level:.{digits}g}") for level in levels])
        if len(rounded) == len(levels):
            return rounded
    return levels[:1]  # differences of rounding errors: a constant


def _draw_paths(axes: Axes, sample_paths: pd.DataFrame, style: dict) -> None:
    for _, path in sample_paths.groupby("path", sort=False):
        states = path[["x0", "x1"]].to_numpy(float)
        shown = states[np.unique(np.linspace(0, len(states) - 1, VERTICES).astype(int))]
        axes.plot(*shown.T, color=style["color"], linewidth=0.6, alpha=0.8)
        axes.plot(*states[0], **START)
        axes.plot(*states[-1], **END, markerfacecolor=style["color"])


def _in_view(surface: LossSurface, view: View) -> list:
    return [
        point
        for point in surface.critical_points
        if all(low <= x <= high for x, (low, high) in zip(point.location, view, strict=True))
    ]


def _draw_critical_points(axes: Axes, surface: LossSurface, view: View) -> None:
    for point in _in_view(surface, view):
        axes.plot(*point.location, **CRITICAL[point.kind])


def _panels(count: int, view: View) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in the shape of the view, in rows of at most three."""
    columns = {4: 2}.get(count, min(count, 3))
    rows = -(-count // columns)
    (x_low, x_high), (y_low, y_high) = view
    shape = (y_high - y_low) / (x_high - x_low)
    # Inches beside the panels: 1.5 for tick labels and the colour bar, 0.1 between, 0.6 over and under all rows.
    width = min((WIDTH - 1.5 - 0.1 * (columns - 1)) / columns, 3.4, 3.6 / shape)
    size = columns * width + 0.1 * (columns - 1) + 1.5, rows * (width * shape + 0.27) + 0.6
    figure = new_figure(*size, "compressed")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    panels[0].xaxis.set_major_locator(MaxNLocator(max(1, int(width / 0.4)), steps=[1, 2, 5, 10]))
    for empty in panels[count:]:
        empty.set_visible(False)
    return figure, list(panels[:count])


def _label_axes(panels: list[Axes], names: tuple[str, str]) -> None:
    """Names at the left and at the lowest panel of each column, which need not be in the last row."""
    columns = panels[0].get_gridspec().ncols
    for i, panel in enumerate(panels):
        panel.tick_params(labelbottom=i + columns >= len(panels))
        if i + columns >= len(panels):
            panel.set_xlabel(names[0], fontsize=FONT)
        if i % columns == 0:
            panel.set_ylabel(names[1], fontsize=FONT)


def _draw_colorbar(figure: Figure, panels: list[Axes], shades) -> None:
    thin = 10 * figure.get_figheight()  # the ratio of its sides that makes it a tenth of an inch wide
    bar = figure.colorbar(shades, ax=panels, ticks=shades.levels, fraction=0.07, pad=0.02, aspect=thin)
    bar.ax.set_yticklabels([f"{level:.6g}" for level in shades.levels])
    bar.ax.tick_params(labelsize=SMALL_FONT)
    bar.set_label("loss ℓ(w)", fontsize=FONT)


def _draw_legend(figure: Figure, surface: LossSurface, view: View, region: Region | None) -> None:
    """Under the panels: what the marks mean, only those that are in the picture."""
    marks = {"start": START, "end": END | {"markerfacecolor": "white"}}
    if region is not None:
        marks["region's boundary"] = {"color": "black", "linewidth": 1.2}
    kinds = [point.kind for point in _in_view(surface, view)]
    marks |= {kind: mark for kind, mark in CRITICAL.items() if kind in kinds}
    handles = [Line2D([], [], **mark) for mark in marks.values()]
    add_legend(figure, handles, list(marks), loc="outside lower center")
