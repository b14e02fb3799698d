"""Sample paths on the contours of a two-dimensional loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sam_sde.errors import InputError
from sam_sde.figures.styles import FONT, SMALL_FONT, WIDTH, add_legend, arm_styles, new_figure, plain, small_ticks

VERTICES = 3000  # of one path; more would not show, and fill a PDF with megabytes
CONTOURS = 11
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
    landscape: pd.DataFrame,
    critical_points: pd.DataFrame,
    styles: dict | None = None,
    linewidth: float = 0.6,
) -> Figure:
    """Whole paths over the contours of the loss, one panel an arm, with the boundary of the region.

    The view is that of the landscape, and the same in all panels. The contours are at quantiles of the loss in view,
    so every grey covers about the same area however large the range of the loss is.

    Raises
        InputError: no path has a finite state, or the landscape is no grid.
    """
    sample_paths = sample_paths[np.isfinite(sample_paths[["x0", "x1"]]).all(axis=1)]
    if sample_paths.empty:
        raise InputError("the sample paths have no finite states")
    arms = list(dict.fromkeys(sample_paths["arm"]))
    styles = styles or arm_styles(arms)
    grid = _Grid(landscape)
    figure, panels = _panels(len(arms), grid.view)
    letters = int(38 / panels[0].get_gridspec().ncols)  # what a title has room for
    points = _in_view(critical_points, grid.view)
    for panel, arm in zip(panels, arms, strict=True):
        shades = grid.draw(panel)
        _draw_paths(panel, sample_paths[sample_paths["arm"] == arm], styles[arm], linewidth)
        for point in points.itertuples():
            panel.plot(point.x0, point.x1, **CRITICAL[point.kind])
        panel.set(xlim=grid.view[0], ylim=grid.view[1], aspect="equal")
        panel.set_title(plain(arm, letters), fontsize=FONT, color=styles[arm]["color"])
        small_ticks(panel)
    _label_axes(panels)
    if shades is not None:
        _draw_colorbar(figure, panels, shades)
    _draw_legend(figure, set(points["kind"]), grid.boundary_in_view)
    return figure


def draw_ways(ways: pd.DataFrame, landscape: pd.DataFrame, critical_points: pd.DataFrame) -> Figure:
    """The most likely ways out over the contours of the loss, one panel an arm."""
    return draw_sample_paths(ways.assign(path=0), landscape, critical_points, linewidth=1.6)


class _Grid:
    """The loss and the region's level on the grid of a landscape, arranged once for all panels."""

    def __init__(self, landscape: pd.DataFrame):
        self.x, self.y = (np.unique(landscape[name]) for name in ("x0", "x1"))
        if min(len(self.x), len(self.y)) < 2 or len(self.x) * len(self.y) != len(landscape):
            raise InputError("the landscape is no grid of points (x0, x1)")
        self.view: View = tuple((float(side[0]), float(side[-1])) for side in (self.x, self.y))
        rows = landscape.sort_values(["x1", "x0"])
        loss, self.level = (rows[name].to_numpy(float).reshape(len(self.y), -1) for name in ("loss", "level"))
        self.loss = np.ma.masked_invalid(loss)
        self.contours = contour_levels(self.loss.compressed())

    @property
    def boundary_in_view(self) -> bool:
        return bool((self.level < 0).any() and (self.level > 0).any())

    def draw(self, axes: Axes):
        """Draws on one panel; returns the shades for a colour bar, or None where the loss is constant."""
        if self.boundary_in_view:
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


def _draw_paths(axes: Axes, sample_paths: pd.DataFrame, style: dict, linewidth: float) -> None:
    for _, path in sample_paths.groupby("path", sort=False):
        states = path[["x0", "x1"]].to_numpy(float)
        shown = states[np.unique(np.linspace(0, len(states) - 1, VERTICES).astype(int))]
        axes.plot(*shown.T, color=style["color"], linewidth=linewidth, alpha=0.8)
        axes.plot(*states[0], **START)
        axes.plot(*states[-1], **END, markerfacecolor=style["color"])


def _in_view(points: pd.DataFrame, view: View) -> pd.DataFrame:
    return points[points["x0"].between(*view[0]) & points["x1"].between(*view[1])]


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


def _label_axes(panels: list[Axes]) -> None:
    """Names at the left and at the lowest panel of each column, which need not be in the last row."""
    columns = panels[0].get_gridspec().ncols
    for i, panel in enumerate(panels):
        panel.tick_params(labelbottom=i + columns >= len(panels))
        if i + columns >= len(panels):
            panel.set_xlabel("w0", fontsize=FONT)
        if i % columns == 0:
            panel.set_ylabel("w1", fontsize=FONT)


def _draw_colorbar(figure: Figure, panels: list[Axes], shades) -> None:
    thin = 10 * figure.get_figheight()  # the ratio of its sides that makes it a tenth of an inch wide
    bar = figure.colorbar(shades, ax=panels, ticks=shades.levels, fraction=0.07, pad=0.02, aspect=thin)
    bar.ax.set_yticklabels([f"{level:.6g}" for level in shades.levels])
    bar.ax.tick_params(labelsize=SMALL_FONT)
    bar.set_label("loss ℓ(w)", fontsize=FONT)


def _draw_legend(figure: Figure, kinds: set[str], boundary: bool) -> None:
    """Under the panels: what the marks mean, only those that are in the picture."""
    marks = {"start": START, "end": END | {"markerfacecolor": "white"}}
    if boundary:
        marks["region's boundary"] = {"color": "black", "linewidth": 1.2}
    marks |= {kind: mark for kind, mark in CRITICAL.items() if kind in kinds}
    handles = [Line2D([], [], **mark) for mark in marks.values()]
    add_legend(figure, handles, list(marks), loc="outside lower center")
