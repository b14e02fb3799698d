"""Sample paths on the contours of a two-dimensional loss, with the region's boundary and the known points."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sam_sde.errors import InputError
from sam_sde.figures.paths import contour_levels
from sam_sde.report.drawing import INK, PAPER, SHADE, Drawing, lines_of, literal, new_figure
from sam_sde.report.words import listed
from sam_sde.wording import TextTable

VERTICES = 1000  # of one path
MOST_SHOWN = 3  # arms at first; of more only the first of each kind
SYMBOLS = {"minimum": "star", "saddle": "x-thin-open", "maximum": "triangle-up"}


def surface_drawing(
    sample_paths: pd.DataFrame, landscape: pd.DataFrame, critical_points: pd.DataFrame, kinds: Mapping[str, str]
) -> Drawing:
    """Whole paths of each arm over the loss, on axes of one scale; the view is that of the landscape.

    kinds: the optimizer of each arm. The contours are at quantiles of the loss in view, as in the other figures.

    Raises
        InputError: the landscape is no grid.
    """
    x, y, loss, level = _grid(landscape)
    figure = new_figure("w0", "w1")
    figure.update_xaxes(range=[x[0], x[-1]], constrain="domain", showgrid=False, zeroline=False)
    figure.update_yaxes(range=[y[0], y[-1]], constrain="domain", showgrid=False, scaleanchor="x")
    contours = contour_levels(loss[np.isfinite(loss)])
    if len(contours) > 1:
        figure.add_trace(_shades(x, y, loss, contours))
    boundary = (level < 0).any() and (level > 0).any()
    if boundary:
        figure.add_trace(_boundary(x, y, level))
    lines, arms = lines_of(list(kinds)), [arm for arm in kinds if (sample_paths["arm"] == arm).any()]
    for arm in arms:
        for trace in _paths(sample_paths[sample_paths["arm"] == arm], arm, lines[arm]):
            figure.add_trace(trace)
    points = critical_points[critical_points["x0"].between(x[0], x[-1]) & critical_points["x1"].between(y[0], y[-1])]
    for kind, rows in points.groupby("kind"):
        figure.add_trace(_points(rows, kind))
    marks = ["circles are starts", "squares ends"] + (["the black line is the region's boundary"] if boundary else [])
    return Drawing(
        "surface",
        "Where the paths go",
        f"Sample paths of {listed(arms)} over the contours of the loss in the plane of w0 and w1"
        + (", with the boundary of the region." if boundary else "."),
        figure,
        note=f"A few whole paths of each arm: {listed(marks)}. The darker, the higher the loss; contours are at its "
        "quantiles in view.",
        arms=arms,
        shown=arms if len(arms) <= MOST_SHOWN else _first_of_each_kind(arms, kinds),
        shape=(y[-1] - y[0]) / (x[-1] - x[0]),
    )


def _first_of_each_kind(arms: list[str], kinds: Mapping[str, str]) -> list[str]:
    return list({kinds[arm]: arm for arm in reversed(arms)}.values())


def points_table(critical_points: pd.DataFrame) -> TextTable:
    rows = [
        (f"{row.kind} {row.point}", f"({row.x0:.4g}, {row.x1:.4g})", f"{row.loss:.4g}")
        for row in critical_points.itertuples()
    ]
    return TextTable("Known critical points of the surface", ("point", "place", "loss"), rows)


def _grid(landscape: pd.DataFrame) -> tuple[np.ndarray, ...]:
    x, y = (np.unique(landscape[name]) for name in ("x0", "x1"))
    if min(len(x), len(y)) < 2 or len(x) * len(y) != len(landscape):
        raise InputError("the landscape is no grid of points (x0, x1)")
    rows = landscape.sort_values(["x1", "x0"])
    return x, y, *(rows[name].to_numpy("float32").reshape(len(y), -1) for name in ("loss", "level"))


def _shades(x: np.ndarray, y: np.ndarray, loss: np.ndarray, contours: np.ndarray) -> go.Contour:
    """Plotly's contours are equally spaced, so what is drawn is the number of the contour that a loss lies at."""
    ends = np.nanmin(loss), *contours, np.nanmax(loss)
    height = np.interp(loss, ends, np.arange(-1, len(contours) + 1)).astype("float32")
    height[~np.isfinite(loss)] = np.nan
    return go.Contour(
        x=x,
        y=y,
        z=height,
        customdata=loss,
        contours={"start": 0, "end": len(contours) - 1, "size": 1},
        colorscale=[[0, PAPER], [1, SHADE]],
        line={"color": SHADE, "width": 0.5},
        hovertemplate="w = (%{x:.4~g}, %{y:.4~g})<br>loss %{customdata:.5~g}<extra></extra>",
        showscale=False,
    )


def _boundary(x: np.ndarray, y: np.ndarray, level: np.ndarray) -> go.Contour:
    return go.Contour(
        x=x,
        y=y,
        z=level,
        contours={"start": 0, "end": 0, "size": 1, "coloring": "none"},
        line={"color": INK, "width": 1.5},
        showscale=False,
        hoverinfo="skip",
    )


def _paths(paths: pd.DataFrame, arm: str, line: dict) -> list[go.Scatter]:
    """All paths of an arm as one line with gaps, their starts and their ends."""
    pieces, ends = [], []
    for _, path in paths.groupby("path", sort=False):
        states = path[["time", "x0", "x1"]].to_numpy("float32")
        states = states[np.isfinite(states).all(axis=1)]
        if len(states):
            shown = states[np.unique(np.linspace(0, len(states) - 1, VERTICES).astype(int))]
            pieces += [shown, np.full((1, 3), np.nan, "float32")]
            ends.append(states[[0, -1]])
    if not pieces:
        return []
    time, x0, x1 = np.concatenate(pieces).T
    starts, ends = np.stack(ends, axis=1)
    shared = {"name": literal(arm), "legendgroup": arm}
    hover = "t = %{customdata:.4~g}<br>w = (%{x:.4~g}, %{y:.4~g})<extra>%{fullData.name}</extra>"
    marked = shared | {"mode": "markers", "hovertemplate": hover}
    return [
        go.Scatter(
            shared,
            x=x0,
            y=x1,
            customdata=time,
            mode="lines",
            line={"color": line["color"], "width": 1},
            opacity=0.85,
            hovertemplate=hover,
        ),
        go.Scatter(
            marked,
            x=starts[:, 1],
            y=starts[:, 2],
            customdata=starts[:, 0],
            marker={"symbol": "circle-open", "size": 9, "color": INK, "line": {"width": 1.5}},
        ),
        go.Scatter(
            marked,
            x=ends[:, 1],
            y=ends[:, 2],
            customdata=ends[:, 0],
            marker={"symbol": "square", "size": 6, "color": line["color"], "line": {"color": INK, "width": 1}},
        ),
    ]


def _points(points: pd.DataFrame, kind: str) -> go.Scatter:
    return go.Scatter(
        x=points["x0"],
        y=points["x1"],
        customdata=points["loss"],
        mode="markers",
        name=literal(kind),
        marker={"symbol": SYMBOLS.get(kind, "diamond"), "size": 10, "color": INK, "line": {"color": INK, "width": 2}},
        hovertemplate="w = (%{x:.4~g}, %{y:.4~g})<br>loss %{customdata:.5~g}<extra>%{fullData.name}</extra>",
    )
