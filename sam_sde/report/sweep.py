"""Figures of a sweep: escape times against one swept key, or the ratio to the reference over two."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sam_sde.figures.swept import are_numbers, free_keys, in_order, spans_a_decade
from sam_sde.jobs.tables import best_ratios, best_times, is_split
from sam_sde.report.drawing import (
    COOL,
    INK,
    PAPER,
    WARM,
    Drawing,
    lines_of,
    literal,
    new_figure,
)
from sam_sde.report.survival import BAND
from sam_sde.report.verdict import few_escaped
from sam_sde.report.words import short

LOWER_BOUND, IN_DOUBT = "≥ ", "? "  # before a ratio
LONGEST_LABEL = 16
MOST_NUMBERS = 80  # on a map; of more cells the signs stand alone
LARGEST_RATIO = 100.0  # from here on the colour is the deepest one


def sweep_figures(frames: Mapping[str, pd.DataFrame], keys: list[str]) -> list[Drawing]:
    """For one swept key the mean time of each arm against it; for two a map of the ratio to the reference, one an arm.

    frames: "summary" and, for two keys, "comparison", the tables of the escape command with the swept keys as leading
    columns, named as in the configuration ("arms.SAM.rho"). Keys that only follow another one do not count; of more
    than two nothing is drawn.
    """
    keys = free_keys(frames["summary"], keys)
    if len(keys) == 1:
        return [_times(frames["summary"], keys[0])]
    if len(keys) == 2 and "comparison" in frames:
        direct = frames["summary"][~is_split(frames["summary"])]
        few = {_of(row, keys, row["arm"]) for row in direct.to_dict("records") if few_escaped(row)}
        rows = frames["comparison"].copy()
        rows[["rmst_ratio", "ratio_low", "ratio_high"]] = best_ratios(rows)
        rows = rows.assign(sign=[_sign(row, keys, few) for row in rows.to_dict("records")])
        arms = list(dict.fromkeys(rows["arm"]))
        return [_ratios(rows[rows["arm"] == arm], keys, arm, f"ratio-{i}") for i, arm in enumerate(arms)]
    return []


def _times(summary: pd.DataFrame, key: str) -> Drawing:
    """Axes are logarithmic where their values span a decade or more; words stand side by side."""
    summary = summary.copy()
    summary[["rmst", "rmst_low", "rmst_high"]] = best_times(summary)
    arms = list(dict.fromkeys(summary["arm"]))
    lines = lines_of(arms)
    figure = new_figure(literal(key), "mean time inside")
    figure.update_xaxes(type=_axis(list(summary[key])))
    figure.update_yaxes(type="log" if spans_a_decade(list(summary["rmst"].dropna())) else "linear")
    for arm in arms:
        rows = summary[summary["arm"] == arm]
        if are_numbers(list(rows[key])):
            rows = rows.sort_values(key)
        for trace in _line(rows, _positions(list(rows[key])), arm, lines[arm]):
            figure.add_trace(trace)
    return Drawing(
        "times",
        f"Mean time against {key}",
        f"The mean time inside of {len(arms)} arms against {key}, with 95 % bands.",
        figure,
        note="Bands are 95 % intervals. An open mark is a lower bound: hardly any path escaped before t_max.",
        arms=arms,
        shown=arms,
    )


def _line(rows: pd.DataFrame, x: list, arm: str, line: dict) -> list[go.Scatter]:
    shared = {"x": x, "name": literal(arm), "legendgroup": arm}
    edge = shared | {"mode": "lines", "line": {"width": 0, "color": line["color"]}, "hoverinfo": "skip"}
    bound = [few_escaped(row) and row.get("measured") != "splitting" for row in rows.to_dict("records")]
    symbols = ["circle-open" if each else "circle" for each in bound]
    return [
        go.Scatter(edge, y=rows["rmst_low"]),
        go.Scatter(edge, y=rows["rmst_high"], fill="tonexty", fillcolor=line["color"] + BAND),
        go.Scatter(
            shared,
            y=rows["rmst"],
            mode="lines+markers",
            line=line,
            marker={"size": 8, "symbol": symbols, "color": line["color"], "line": {"width": 2, "color": line["color"]}},
            customdata=np.column_stack([rows["rmst_low"], rows["rmst_high"], rows["fraction_escaped"]]),
            text=["at least " if each else "" for each in bound],
            hovertemplate="%{x}: %{text}%{y:.4~g} (%{customdata[0]:.4~g}–%{customdata[1]:.4~g}), "
            "%{customdata[2]:.3~p} escaped<extra>%{fullData.name}</extra>",
        ),
    ]


def _ratios(rows: pd.DataFrame, keys: list[str], arm: str, name: str) -> Drawing:
    """Cells of one size whatever the spacing of the values, which stand beside them; blue below 1, orange above.

    The contour at 1 is where the arm stays as long as the reference.
    """
    sides = [in_order(rows[key]) for key in keys]
    places = (
        tuple([sides[1].index(value) for value in rows[keys[1]]]),
        tuple([sides[0].index(value) for value in rows[keys[0]]]),
    )
    shape = len(sides[1]), len(sides[0])
    logs, texts, hover = np.full(shape, np.nan), np.full(shape, "", object), np.full(shape, "", object)
    for row, i, j in zip(rows.to_dict("records"), *places, strict=True):
        if row["rmst_ratio"] == row["rmst_ratio"]:
            sign = row["sign"]
            logs[i, j] = math.log10(row["rmst_ratio"])
            texts[i, j] = sign + (short(row["rmst_ratio"], 2) if logs.size <= MOST_NUMBERS else "")
            interval = f"{short(row['ratio_low'])}–{short(row['ratio_high'])}"
            hover[i, j] = f"{sign}{short(row['rmst_ratio'])} ({interval})"
    reference = " or ".join(dict.fromkeys(rows["reference"]))
    figure = new_figure(literal(keys[0]), literal(keys[1]))
    figure.add_trace(_map(logs, texts, hover))
    if min(shape) > 1:
        figure.add_trace(_contour_at_one(logs))
    figure.update_xaxes(_ticks(sides[0]))
    figure.update_yaxes(_ticks(sides[1]))
    return Drawing(
        name,
        f"{arm}: how many times as long as {reference}",
        f"A map of the ratio of the mean time of {arm} to that of {reference} over {keys[0]} and {keys[1]}.",
        figure,
        note=_note(arm, reference, set(rows["sign"]), crosses=np.nanmin(logs) < 0 < np.nanmax(logs)),
    )


def _note(arm: str, reference: str, signs: set[str], *, crosses: bool) -> str:
    """What the colours mean, and the line and the signs that are on the map."""
    told = [f"Orange is where {arm} stays longer, blue where it leaves sooner."]
    if crosses:
        told.append("The line is where both stay equally long.")
    if LOWER_BOUND in signs:
        told.append(f"{LOWER_BOUND}marks a lower bound: hardly any path of {arm} escaped.")
    if IN_DOUBT in signs:
        told.append(f"{IN_DOUBT}marks a ratio that says little: hardly any path of {reference} escaped.")
    return " ".join(told)


def _map(logs: np.ndarray, texts: np.ndarray, hover: np.ndarray) -> go.Heatmap:
    deepest = min(np.nanmax(np.abs(logs), initial=math.log10(2)), math.log10(LARGEST_RATIO))
    return go.Heatmap(
        z=logs,
        text=texts,
        customdata=hover,
        texttemplate="%{text}",
        textfont={"color": INK},
        hovertemplate="%{y}<br>%{x}<br>ratio %{customdata}<extra></extra>",
        colorscale=[[0, COOL], [0.5, PAPER], [1, WARM]],
        zmin=-deepest,
        zmax=deepest,
        xgap=1,
        ygap=1,
        showscale=False,
    )


def _contour_at_one(logs: np.ndarray) -> go.Contour:
    return go.Contour(
        z=logs,
        contours={"start": 0, "end": 0, "size": 1, "coloring": "none"},
        line={"color": INK, "width": 2},
        showscale=False,
        hoverinfo="skip",
    )


def _of(row: Mapping, keys: list[str], arm: str) -> tuple:
    """One arm under one condition."""
    return *(row[key] for key in keys), arm


def _sign(row: Mapping, keys: list[str], few: set[tuple]) -> str:
    """What stands before a ratio, where few holds the arms of which hardly any path escaped."""
    if _of(row, keys, row["reference"]) in few:
        return IN_DOUBT
    return LOWER_BOUND if _of(row, keys, row["arm"]) in few else ""


def _ticks(values: list) -> dict:
    return {"tickvals": list(range(len(values))), "ticktext": _positions(values, as_text=True), "showgrid": False}


def _positions(values: list, as_text: bool = False) -> list:
    """Numbers as they are, or as text; anything else as text."""
    if are_numbers(values) and not as_text:
        return values
    return [f"{value:.6g}" if are_numbers([value]) else literal(_cut(str(value))) for value in values]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _axis(values: list) -> str:
    if not are_numbers(values):
        return "category"
    return "log" if spans_a_decade(values) else "linear"
