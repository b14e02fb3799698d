"""The phase portrait of a two-dimensional loss: where each optimizer's flow goes, and where its algorithm ends."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sam_sde.errors import InputError
from sam_sde.figures.paths import CRITICAL
from sam_sde.figures.styles import (
    BLUE,
    FONT,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    WIDTH,
    add_legend,
    arm_styles,
    new_figure,
    plain,
    small_ticks,
)

TINT = 0.3  # of a colour on white
# Minima have these in turn; whatever else holds a path is in the colour of SAM, which is what traps.
MINIMA = [SKY_BLUE, GREEN, ORANGE, PURPLE, BLUE]
COLORS = {"trapped": VERMILLION[0], "moving": "#FFFFFF", "lost": "#8A8A8A"}
MEANING = {"trapped": "trapped", "moving": "still moving", "lost": "lost"}
TRAPS = ("saddle", "maximum", "stall")
NULLCLINES = {
    "velocity0": {"colors": "black", "linestyles": "--", "linewidths": 0.8},
    "velocity1": {"colors": "black", "linestyles": ":", "linewidths": 1.0},
}
STREAMS = {"color": "#4D4D4D", "linewidth": 0.5, "density": 0.9, "arrowsize": 0.6}
STALL = {"marker": "D", "markersize": 3.5, "markerfacecolor": "white", "markeredgecolor": "black", "linestyle": "none"}
MOST_COLUMNS = 2


def draw_portrait(
    portrait: pd.DataFrame, starts: pd.DataFrame, points: pd.DataFrame, stalls: pd.DataFrame, styles: dict | None = None
) -> Figure:
    """One panel an arm: streamlines and nullclines of its flow, critical points by class, stalls, basins in colour.

    A start has the tint of the point at which the algorithm ends from there, without noise.

    Raises
        InputError: the portrait or the starts are no grid.
    """
    arms = list(dict.fromkeys(portrait["arm"]))
    styles = styles or arm_styles(arms)
    view = [(portrait[name].min(), portrait[name].max()) for name in ("x0", "x1")]
    figure, panels = _panels(len(arms), view)
    shown: dict[str, str] = {}
    for panel, arm in zip(panels, arms, strict=True):
        shown |= _draw_basins(panel, starts[starts["arm"] == arm])
        _draw_flow(panel, portrait[portrait["arm"] == arm])
        for stall in stalls[stalls["arm"] == arm].itertuples():
            panel.plot(stall.x0, stall.x1, **STALL, zorder=5.5)
        for point in points.itertuples():
            panel.plot(point.x0, point.x1, **CRITICAL[point.kind])
        panel.set(xlim=view[0], ylim=view[1], aspect="equal")
        panel.set_title(plain(arm, 30), fontsize=FONT, color=styles[arm]["color"])
        panel.set_xlabel("w0", fontsize=FONT)
        small_ticks(panel)
    panels[0].set_ylabel("w1", fontsize=FONT)
    _draw_legend(figure, set(points["kind"]), len(stalls) > 0, shown)
    return figure


def _panels(count: int, view: list[tuple[float, float]]) -> tuple[Figure, list[Axes]]:
    columns = min(count, MOST_COLUMNS)
    rows = -(-count // columns)
    (x_low, x_high), (y_low, y_high) = view
    shape = (y_high - y_low) / (x_high - x_low)
    width = min((WIDTH - 0.7) / columns, 4.0 / shape)
    figure = new_figure(columns * width + 0.7, rows * (width * shape + 0.55) + 0.2)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for empty in panels[count:]:
        empty.set_visible(False)
    return figure, list(panels[:count])


def _grid(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x0, x1 and a column on the grid of them (x1, x0)."""
    x, y = (np.unique(frame[column]) for column in ("x0", "x1"))
    if min(len(x), len(y)) < 2 or len(x) * len(y) != len(frame):
        raise InputError("the portrait is no grid of points (x0, x1)")
    return x, y, frame.sort_values(["x1", "x0"])[name].to_numpy().reshape(len(y), len(x))


def _draw_flow(axes: Axes, field: pd.DataFrame) -> None:
    x, y, horizontal = _grid(field, "velocity0")
    _, _, vertical = _grid(field, "velocity1")
    axes.streamplot(x, y, np.ma.masked_invalid(horizontal), np.ma.masked_invalid(vertical), **STREAMS, zorder=2)
    for values, style in zip((horizontal, vertical), NULLCLINES.values(), strict=True):
        if np.nanmin(values) < 0 < np.nanmax(values):
            axes.contour(x, y, np.ma.masked_invalid(values), [0.0], **style, zorder=2.5)


def _draw_basins(axes: Axes, starts: pd.DataFrame) -> dict[str, str]:
    """Tints the starts; returns the groups that are not minima, with their tints."""
    group = np.where(starts["kind"].isin(TRAPS), "trapped", starts["kind"])
    names = {("minimum", number): _tint(_of_minimum(number)) for number in starts["point"][group == "minimum"].unique()}
    names |= {(name, None): _tint(color) for name, color in COLORS.items() if (group == name).any()}
    keys = list(names)
    found = [
        next(i for i, (name, number) in enumerate(keys) if name == kind and (number is None or _same(number, point)))
        for kind, point in zip(group, starts["point"], strict=True)
    ]
    x, y, shade = _grid(starts.assign(shade=found), "shade")
    colors = ListedColormap([names[key] for key in keys])
    axes.pcolormesh(x, y, shade, cmap=colors, vmin=-0.5, vmax=len(keys) - 0.5, shading="nearest", rasterized=True)
    return {name: tint for (name, number), tint in names.items() if number is None}


def _same(first: float, second: float) -> bool:
    return first == second or (np.isnan(first) and np.isnan(second))


def _of_minimum(number: float) -> str:
    """The colour of a minimum; of those in a valley, which have no number, the first."""
    return MINIMA[0 if np.isnan(number) else int(number) % len(MINIMA)][0]


def _tint(color: str) -> tuple[float, ...]:
    return tuple(1.0 - TINT * (1.0 - part) for part in to_rgb(color))


def _draw_legend(figure: Figure, kinds: set[str], stalled: bool, shown: dict[str, tuple]) -> None:
    marks = {kind: Line2D([], [], **mark) for kind, mark in CRITICAL.items() if kind in kinds}
    if stalled:
        marks["stall"] = Line2D([], [], **STALL)
    for label, style in zip(("w0 at rest", "w1 at rest"), NULLCLINES.values(), strict=True):
        marks[label] = Line2D([], [], color="black", linestyle=style["linestyles"], linewidth=style["linewidths"])
    for name, tint in shown.items():
        marks[MEANING[name]] = Patch(facecolor=tint, edgecolor="#8A8A8A", linewidth=0.4)
    add_legend(figure, list(marks.values()), list(marks), loc="outside lower center")
