"""Figures of a sweep: escape times against one swept key, a map of their ratio over two."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from sam_sde.figures.styles import EXACT, FONT, SMALL_FONT, WIDTH, add_legend, arm_styles, new_figure, plain, tidy
from sam_sde.figures.swept import are_numbers, followers, free_keys, in_order, spans_a_decade
from sam_sde.jobs.tables import best_ratios, best_times, is_split
from sam_sde.statistics import FEW_ESCAPES

MOST_CELLS_WITH_NUMBERS = 80
COLORS = "PuOr_r"


def draw_sweep(summary: pd.DataFrame, comparison: pd.DataFrame | None, keys: list[str]) -> Figure | None:
    """The figure of a sweep over one or two keys that vary freely; None for more, or where nothing is compared."""
    free = free_keys(summary, keys)
    labels = [_axis_label(summary, keys, key) for key in free]
    if len(free) == 1:
        return draw_times(summary, free[0], labels[0])
    if len(free) == 2 and comparison is not None:
        return draw_ratios(comparison, summary, free, labels)
    return None


def _axis_label(summary: pd.DataFrame, keys: list[str], key: str) -> str:
    """The key, and below it those that go with it."""
    linked = followers(summary, keys, key)
    return plain(key, 60) + (plain(f"\nwith {', '.join(linked)}", 80) if linked else "")


def draw_times(summary: pd.DataFrame, key: str, label: str) -> Figure:
    """The mean escape time of each arm against a key, with its 95 % band."""
    arms = list(dict.fromkeys(summary["arm"]))
    styles = arm_styles(arms)
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots()
    values = in_order(summary[key])
    is_number = are_numbers(values)
    lines = []
    for arm in arms:
        rows = summary[summary["arm"] == arm]
        rows = rows.sort_values(key) if is_number else rows
        x = rows[key] if is_number else [values.index(value) for value in rows[key]]
        lines.append(_draw_arm(axes, np.asarray(x, dtype=float), rows, styles[arm]))
    if is_number:
        axes.set_xscale(_scale(summary[key]))
    else:
        axes.set_xticks(range(len(values)), [plain(str(value), 24) for value in values])
    axes.set_yscale(_scale(best_times(summary)["time"].dropna()))
    tidy(axes)
    axes.set_xlabel(label, fontsize=FONT)
    axes.set_ylabel(_time_label(summary), fontsize=FONT)
    labels = [plain(arm, 30) for arm in arms]
    if "exact_mean_time" in summary.columns:
        lines.append(Line2D([], [], color="black", **EXACT))
        labels.append("exact")
    add_legend(figure, lines, labels)
    return figure


def _draw_arm(axes: Axes, x: np.ndarray, rows: pd.DataFrame, style: dict):
    """A line with its band; diamonds where splitting measured it, open marks where hardly any path escaped."""
    times, color = best_times(rows), style["color"]
    axes.fill_between(x, times["time_low"], times["time_high"], color=color, alpha=0.25, linewidth=0)
    (line,) = axes.plot(x, times["time"], marker="o", markersize=4, linewidth=1.5, **style)
    split = is_split(rows).to_numpy()
    axes.plot(x[split], times["time"][split], linestyle="", marker="D", markersize=5, color=color)
    if "exact_mean_time" in rows.columns:
        axes.plot(x, rows["exact_mean_time"], color="black", zorder=3, **EXACT)
    few = rows["fraction_escaped"].lt(FEW_ESCAPES).to_numpy() & ~split
    axes.plot(x[few], times["time"][few], linestyle="", marker="o", markersize=5, color=color, mfc="white")
    return line


def _time_label(summary: pd.DataFrame) -> str:
    split = is_split(summary)
    direct, notes = summary[~split], ["diamonds: splitting"] if split.any() else []
    if direct["n_censored"].any():
        notes.append("others up to t_max" if split.any() else "restricted to t_max")
        notes += ["open: under 5 % escaped"] if (direct["fraction_escaped"] < FEW_ESCAPES).any() else []
    return "mean escape time, t = lr · steps" + (f"\n({'; '.join(notes)})" if notes else "")


def _scale(values: pd.Series) -> str:
    return "log" if spans_a_decade(values) else "linear"


def draw_ratios(comparison: pd.DataFrame, summary: pd.DataFrame, keys: list[str], labels: list[str]) -> Figure:
    """For each arm a map of its mean escape time over that of the reference, with the line where they are equal."""
    arms, (key_x, key_y) = list(dict.fromkeys(comparison["arm"])), keys
    x, y = in_order(summary[key_x]), in_order(summary[key_y])
    figure = new_figure(WIDTH, 0.9 + len(arms) * max(2.2, 0.42 * len(y)))
    every = figure.subplots(len(arms), 1, squeeze=False)[:, 0]
    best = comparison[["arm", *keys]].join(best_ratios(comparison))
    ratios = {arm: _grid(best[best["arm"] == arm], "ratio", key_x, key_y, x, y) for arm in arms}
    direct = summary[~is_split(summary)]
    norm = _norm(list(ratios.values()))
    for axes, arm in zip(every, arms, strict=True):
        escaped = _grid(direct[direct["arm"] == arm], "fraction_escaped", key_x, key_y, x, y)
        mesh = _draw_map(axes, ratios[arm], escaped < FEW_ESCAPES, norm)
        axes.set_xticks(range(len(x)), [_label(value) for value in x], fontsize=SMALL_FONT)
        axes.set_yticks(range(len(y)), [_label(value) for value in y], fontsize=SMALL_FONT)
        axes.set_ylabel(labels[1], fontsize=FONT)
        axes.set_title(f"{plain(arm, 30)} over {plain(comparison['reference'].iloc[0], 30)}", fontsize=FONT, loc="left")
        bar = figure.colorbar(mesh, ax=axes)
        bar.set_label("ratio of mean escape times", fontsize=SMALL_FONT)
        ticks = _ticks(norm)
        bar.set_ticks(np.log(ticks), labels=[f"{tick:.3g}" for tick in ticks], fontsize=SMALL_FONT)
    few = (direct.loc[direct["arm"].isin(arms), "fraction_escaped"] < FEW_ESCAPES).any()
    note = "\nhatched: a lower bound, under 5 % of the arm's paths escaped" if few else ""
    every[-1].set_xlabel(labels[0] + note, fontsize=FONT)
    return figure


def _draw_map(axes: Axes, ratios: np.ndarray, bound: np.ndarray, norm: TwoSlopeNorm):
    """Cells with their ratios, hatched where that is a lower bound, and the line between those over and under 1."""
    logs = np.log(np.where(ratios > 0, ratios, np.nan))
    mesh = axes.imshow(logs, cmap=COLORS, norm=norm, origin="lower", aspect="auto")
    if ratios.size <= MOST_CELLS_WITH_NUMBERS:
        for (row, column), ratio in np.ndenumerate(ratios):
            # White on the dark ends of the colours, black between.
            dark = abs(norm(logs[row, column]) - 0.5) > 0.3
            text = "" if np.isnan(ratio) else ("≥ " if bound[row, column] else "") + f"{ratio:.3g}"
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL_FONT, color="w" if dark else "k")
    for row, column in np.argwhere(bound):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="0.55", linewidth=0))
    if np.nanmin(logs) < 0 < np.nanmax(logs) and min(logs.shape) > 1:
        axes.contour(logs, levels=[0.0], colors="black", linewidths=1.5)
    return mesh


def _norm(ratios: list[np.ndarray]) -> TwoSlopeNorm:
    """Colours for the logarithms, the same for all arms and as far from white for r as for 1/r."""
    known = np.concatenate([grid[grid > 0] for grid in ratios])
    most = max(np.abs(np.log(known)).max(initial=0.0), np.log(1.1))
    return TwoSlopeNorm(0.0, -most, most)


def _ticks(norm: TwoSlopeNorm) -> np.ndarray:
    """Ratios for the colour bar: 1, and a few round ones to both sides."""
    most = np.exp(norm.vmax)
    nice = np.array([1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1e3, 1e4, 1e6, 1e9, 1e12])
    over = nice[nice <= most * (1 + 1e-9)][-3:]
    return np.concatenate([1 / over[::-1], [1.0], over])


def _label(value) -> str:
    return plain(f"{value:.4g}" if isinstance(value, float) else str(value), 24)


def _grid(rows: pd.DataFrame, column: str, key_x: str, key_y: str, x: list, y: list) -> np.ndarray:
    """The column as (len(y), len(x)); NaN where there is no row."""
    return rows.pivot_table(index=key_y, columns=key_x, values=column).reindex(index=y, columns=x).to_numpy()
