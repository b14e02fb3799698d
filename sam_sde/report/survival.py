"""Survival curves with their bands, and what can be read off them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sam_sde.report.drawing import MUTED, Drawing, lines_of, literal, new_figure
from sam_sde.report.words import short
from sam_sde.wording import TextTable

BAND = "38"  # the opacity behind a colour: a fifth
TOP = 1.02  # of the axis, so that a curve at one is seen
SHARES = (0.9, 0.75, 0.5, 0.25, 0.1)


def survival_drawing(survival: pd.DataFrame, summary: pd.DataFrame) -> Drawing:
    """The fraction still inside against time, one step curve with its 95 % band an arm."""
    arms = list(summary["arm"])
    lines = lines_of(arms)
    figure = new_figure("time t = lr · steps", "fraction still inside", hovermode="x unified")
    figure.update_xaxes(unifiedhovertitle_text="t = %{x:.4~g}", rangemode="tozero")
    figure.update_yaxes(range=[0, TOP])
    for arm in arms:
        for trace in _curve(survival[survival["arm"] == arm], arm, lines[arm]):
            figure.add_trace(trace)
    censored = summary[summary["n_censored"] > 0]
    if len(censored):
        figure.add_trace(_mark(censored["t_max"].max()))
    return Drawing(
        "survival",
        "How many are still inside",
        f"Survival curves of {len(arms)} arms with 95 % bands: the fraction of the paths that are still inside against "
        "time.",
        figure,
        note="Lines are Kaplan–Meier estimates, bands their 95 % intervals at each time.",
        arms=arms,
        shown=arms,
        log_time=True,
    )


def _curve(curve: pd.DataFrame, arm: str, line: dict) -> list[go.Scatter]:
    """The lower edge of the band, the upper one filled down to it, and the curve, which alone answers the pointer."""
    shared = {"x": curve["time"], "name": literal(arm), "legendgroup": arm, "mode": "lines"}
    edge = shared | {"line": {"shape": "hv", "width": 0, "color": line["color"]}, "hoverinfo": "skip"}
    return [
        go.Scatter(edge, y=curve["low"]),
        go.Scatter(edge, y=curve["high"], fill="tonexty", fillcolor=line["color"] + BAND),
        go.Scatter(
            shared,
            y=curve["survival"],
            line=line | {"shape": "hv"},
            customdata=curve[["low", "high", "at_risk"]],
            hovertemplate="%{y:.3~g} (%{customdata[0]:.3~g}–%{customdata[1]:.3~g}), "
            "%{customdata[2]:,} at risk<extra>%{fullData.name}</extra>",
        ),
    ]


def _mark(t_max: float) -> go.Scatter:
    """A dotted line where the other paths were censored."""
    return go.Scatter(
        x=[t_max, t_max],
        y=[0, TOP],
        text=["", "t_max"],
        textposition="top center",
        textfont={"color": MUTED},
        mode="lines+text",
        line={"color": MUTED, "dash": "dot", "width": 1},
        cliponaxis=False,
        hoverinfo="skip",
    )


def survival_table(survival: pd.DataFrame, summary: pd.DataFrame) -> TextTable:
    """When so many of each arm's paths were still inside, read off its curve."""
    rows = []
    for arm in summary["arm"]:
        curve = survival[survival["arm"] == arm]
        rows.append((arm, *(_first_time(curve, part) for part in SHARES)))
    return TextTable(
        "Time by which the fraction inside has fallen to",
        ("arm", *(f"{100 * part:g} %" for part in SHARES)),
        rows,
    )


def _first_time(curve: pd.DataFrame, part: float) -> str:
    below = np.flatnonzero(curve["survival"].to_numpy() <= part)
    return short(curve["time"].iloc[below[0]]) if len(below) else "not reached"
