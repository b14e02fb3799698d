"""Figures of times: survival curves over the numbers at risk, and histograms of the escape times."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sam_sde.figures.styles import (
    EXACT,
    FONT,
    SMALL_FONT,
    WIDTH,
    add_legend,
    arm_styles,
    new_figure,
    plain,
    tidy,
)

BINS_FEWEST, BINS_MOST = 15, 80


def draw_survival(
    survival: pd.DataFrame, summary: pd.DataFrame, styles: dict | None = None, exact: pd.DataFrame | None = None
) -> Figure:
    """The fraction still inside against time with 95 % bands, over a table of the numbers at risk.

    exact: arm, time, survival of the SDEs, which are drawn in thin dashes.
    """
    arms = list(dict.fromkeys(survival["arm"]))
    styles = styles or arm_styles(arms)
    figure = new_figure(WIDTH, 3.2 + 0.18 * len(arms))
    axes, table = figure.subplots(2, 1, height_ratios=[2.5, 0.18 * len(arms)])
    curves = {arm: survival[survival["arm"] == arm] for arm in arms}
    lines = [_draw_curve(axes, curve, styles[arm]) for arm, curve in curves.items()]
    last = survival["time"].max() or summary["t_max"].max()
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, last)
    ticks = ticks[ticks <= last * (1 + 1e-9)]
    axes.set(xlim=(0, last), ylim=(0, 1), xticks=ticks)
    tidy(axes)
    axes.set_ylabel("fraction still inside (95 % bands)", fontsize=FONT)
    axes.set_xlabel(_time_label(summary), fontsize=FONT)
    _draw_table(table, curves, ticks, last, styles)
    labels = [plain(arm, 30) + _failed_note(summary, arm) for arm in arms]
    if exact is not None:
        for arm, curve in exact[exact["arm"].isin(arms)].groupby("arm", sort=False):
            axes.plot(curve["time"], curve["survival"], color=styles[arm]["color"], **EXACT)
        lines.append(Line2D([], [], color="black", **EXACT))
        labels.append("exact")
    add_legend(figure, lines, labels)
    return figure


def draw_exact_survival(survival: pd.DataFrame) -> Figure:
    """The probability to be inside against time, on a logarithmic axis from where some arm has lost 1 in 1000."""
    arms = list(dict.fromkeys(survival["arm"]))
    styles = arm_styles(arms)
    figure = new_figure(WIDTH, 2.9)
    axes = figure.subplots()
    later = survival[survival["time"] > 0]
    first = later.loc[later["survival"] < 0.999, "time"].min()
    lines = []
    for arm in arms:
        curve = later[later["arm"] == arm]
        lines += axes.plot(curve["time"], curve["survival"], linewidth=1.5, **styles[arm])
    _log_time_axis(axes, first, later["time"].max())
    axes.set_ylim(0, 1)
    tidy(axes)
    axes.set_ylabel("probability to be inside", fontsize=FONT)
    axes.set_xlabel("time t = lr · steps", fontsize=FONT)
    add_legend(figure, lines, [plain(arm, 30) for arm in arms])
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, style: dict):
    """One step curve with its band; an arm whose paths all failed has neither, but keeps its legend entry."""
    axes.fill_between(
        curve["time"], curve["low"], curve["high"], step="post", color=style["color"], alpha=0.25, linewidth=0
    )
    # A level curve at 0 or 1 lies on the edge of the axes and would lose half of its width there.
    (line,) = axes.step(curve["time"], curve["survival"], where="post", linewidth=1.5, clip_on=False, **style)
    return line


def _draw_table(axes: Axes, curves: dict, ticks: np.ndarray, last: float, styles: dict) -> None:
    """One row an arm, the name at the left and a number under every time tick."""
    axes.set(xlim=(0, last), ylim=(len(curves) - 0.5, -0.5), xticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title("number at risk (inside and followed)", fontsize=SMALL_FONT, loc="left", pad=3)
    numbers = {arm: numbers_at_risk(curve, ticks) for arm, curve in curves.items()}
    widest = max(len(f"{count:,}") for row in numbers.values() for count in row)
    # The numbers are centred under their ticks, so half of the first one stands left of the axes.
    axes.tick_params(left=False, pad=4 + 0.32 * SMALL_FONT * widest)
    axes.set_yticks(range(len(curves)), [plain(arm, 18) for arm in curves], fontsize=SMALL_FONT)
    for row, (arm, label) in enumerate(zip(curves, axes.get_yticklabels(), strict=True)):
        color = styles[arm]["color"]
        label.set_color(color)
        for tick, count in zip(ticks, numbers[arm], strict=True):
            axes.text(tick, row, f"{count:,}", ha="center", va="center_baseline", fontsize=SMALL_FONT, color=color)


def numbers_at_risk(curve: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    """`at_risk` of one arm at each of `times`: that of the first row not before it, and 0 after the last row.

    This is exact unless the curve was thinned; then up to one row's worth of paths too low.
    """
    # A tick is a product of floats and may lie a rounding error above the row that it means.
    index = np.searchsorted(curve["time"].to_numpy(), times * (1 - 1e-9))
    return np.append(curve["at_risk"].to_numpy(), 0)[index].astype(int)


def draw_escape_times(paths: pd.DataFrame, summary: pd.DataFrame, styles: dict | None = None) -> Figure:
    """Histograms of the escape times on a logarithmic axis; the area under one is the fraction that escaped.

    The legend counts the paths behind each. The dotted line is t_max, where the others were censored.
    """
    arms = list(summary["arm"])
    styles = styles or arm_styles(arms)
    escaped = paths[(paths["outcome"] == "escaped") & (paths["time"] > 0)]  # a logarithm has no place for 0
    logs = {arm: np.log10(escaped.loc[escaped["arm"] == arm, "time"].to_numpy()) for arm in arms}
    t_max = summary["t_max"].max()
    edges = _log_edges(list(logs.values()), np.log10(t_max))
    figure = new_figure(WIDTH, 2.9)
    axes = figure.subplots()
    lines = [
        _draw_histogram(axes, logs[arm], edges, n_paths, styles[arm], filled=len(arms) <= 4)
        for arm, n_paths in zip(arms, summary["n_paths"], strict=True)
    ]
    low, high = 10 ** edges[0], 10 ** edges[-1]
    if (summary["n_censored"] > 0).any():
        high = max(high, t_max)
        _mark_t_max(axes, t_max)
    _log_time_axis(axes, low, high)
    axes.set_ylim(0, None if len(escaped) else 1)
    tidy(axes)
    axes.set_ylabel("fraction of all paths per decade", fontsize=FONT)
    axes.set_xlabel(_time_label(summary), fontsize=FONT)
    if not len(escaped):
        axes.text(0.5, 0.5, "no path escaped", transform=axes.transAxes, ha="center", fontsize=FONT)
    add_legend(figure, lines, [_escape_label(row) for row in summary.to_dict("records")])
    return figure


def _log_edges(logs: list[np.ndarray], log_t_max: float) -> np.ndarray:
    """Edges of bins for all arms, in decades: as narrow as the narrowest arm asks for, within reason."""
    present = [values for values in logs if len(values)]
    if not present:
        return np.array([log_t_max - 2, log_t_max])
    low, high = min(values.min() for values in present), max(values.max() for values in present)
    # The rule of Freedman and Diaconis (1981); an arm with one path, or all at one time, has no spread.
    widths = [2 * np.subtract(*np.percentile(values, [75, 25])) / len(values) ** (1 / 3) for values in present]
    width = max(min((width for width in widths if width > 0), default=0.1), *map(_grid_width, present))
    bins = int(np.clip((high - low) / width, BINS_FEWEST, BINS_MOST))
    # The outer edges are the extremes themselves, so that no bin reaches beyond t_max.
    return np.linspace(low, high, bins + 1) if high - low > 1e-6 else np.array([low - 0.05, high + 0.05])


def _grid_width(logs: np.ndarray) -> float:
    """Two steps of times that are whole steps, 0 for others: narrower bins would be empty by where their edges fall."""
    distinct = np.unique(logs)
    return 2 * float(np.median(np.diff(distinct))) if 1 < len(distinct) < len(logs) / 2 else 0.0


def _draw_histogram(axes: Axes, logs: np.ndarray, edges: np.ndarray, n_paths: int, style: dict, filled: bool):
    """One arm, from its first to its last escape: elsewhere the outline would lie along the axis."""
    counts, _ = np.histogram(logs, edges)
    occupied = np.flatnonzero(counts)
    if len(occupied):
        first, last = occupied[0], occupied[-1] + 1
        density = (counts / n_paths / np.diff(edges))[first:last]
        bins = 10 ** edges[first : last + 1]
        if filled:
            axes.stairs(density, bins, fill=True, color=style["color"], alpha=0.25, linewidth=0)
        axes.stairs(density, bins, linewidth=1.3, **style)
    return Line2D([], [], linewidth=1.5, **style)


def _mark_t_max(axes: Axes, t_max: float) -> None:
    axes.axvline(t_max, color="black", linestyle=":", linewidth=1)
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (0, 3)}
    axes.annotate("t_max", (t_max, 1), **place, ha="center", va="bottom", fontsize=SMALL_FONT)


def _log_time_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis whose ticks are plain numbers, as many as there is room for."""
    decades = np.log10(high / low)
    margin = 10 ** max(0.03 * decades, 0.05)
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    if decades < 0.7:  # too short for the steps 1, 2, 5
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_minor_locator(NullLocator())
    elif decades < 4:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _escape_label(row: dict) -> str:
    """How many of an arm's paths are in the picture, how many failed, and the mean where both its errors are known."""
    failed = f", {row['n_failed']:,} failed" if row["n_failed"] else ""
    share = _percentage(row["n_escaped"], row["n_paths"])
    escaped = f"{row['n_escaped']:,} of {row['n_paths']:,} escaped ({share}{failed})"
    return f"{plain(row['arm'], 30)}: {escaped}{_mean_with_errors(row)}"


def _mean_with_errors(row: dict) -> str:
    if math.isnan(row["dt_change"]):
        return ""
    statistical = (row["rmst_high"] - row["rmst_low"]) / 2
    return f",\nmean {row['rmst']:.4g} ± {statistical:.2g} statistical ± {abs(row['dt_change']):.2g} step"


def _percentage(part: int, whole: int) -> str:
    """To one decimal, but 0 % only for none and 100 % only for all."""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if 0 < percent < 100 else f"{percent:.0f} %"


def _failed_note(summary: pd.DataFrame, arm: str) -> str:
    row = summary[summary["arm"] == arm].iloc[0]
    return f" ({row['n_failed']:,} of {row['n_paths']:,} failed)" if row["n_failed"] else ""


def _time_label(summary: pd.DataFrame) -> str:
    """The label of a time axis, which says so where paths were followed only to t_max."""
    censored = summary[summary["n_censored"] > 0]
    restricted = f", restricted to t ≤ {censored['t_max'].max():.4g}" if len(censored) else ""
    return f"time t = lr · steps{restricted}"
