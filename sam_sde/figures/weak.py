"""The figure of weak errors: how fast the difference of an optimizer and its SDE vanishes with the learning rate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sam_sde.figures.styles import FONT, SMALL_FONT, WIDTH, add_legend, arm_styles, new_figure, plain, tidy
from sam_sde.jobs.tables import ABLATION

COLUMNS = 2
SLOPES = {1: (0, (1, 1)), 2: (0, (4, 2))}
MOST_NUMBERS = 4.5  # on an axis
ROOM = 1.4  # the factor between the data and the edges of the axes


def weak_styles(arms: list[str]) -> dict[str, dict]:
    """The usual colour and line of each arm; an ablation has the colour of its arm, a dotted line, open circles."""
    styles = arm_styles([arm for arm in arms if arm.removesuffix(ABLATION) == arm])
    return {
        arm: {**styles[arm], "marker": "o", "markersize": 3.5}
        if arm in styles
        else {
            "color": styles[arm.removesuffix(ABLATION)]["color"],
            "linestyle": ":",
            "marker": "o",
            "markersize": 4.5,
            "markerfacecolor": "white",
        }
        for arm in arms
    }


def draw_weak(errors: pd.DataFrame) -> Figure:
    """|E g(w_k) - E g(W_t)| against the learning rate, a panel for each test function g, with 95 % bars.

    An error that may be zero is drawn as a bar that ends at the foot of the axes, without a mark. Grey lines have the
    slopes 1 and 2.
    """
    arms, names = (list(dict.fromkeys(errors[column])) for column in ("arm", "test_function"))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(WIDTH, 2.3 * rows)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
    styles = weak_styles(arms)
    for axes, name in zip(panels, names, strict=False):
        handles = _draw_panel(axes, errors[errors["test_function"] == name], styles)
        axes.set_title(plain(name.replace("_", " "), 30), fontsize=FONT)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("learning rate", fontsize=FONT)
    figure.supylabel("weak error (95 % bars)", fontsize=FONT)
    add_legend(figure, handles, [*(plain(arm, 30) for arm in arms), *(f"slope {slope}" for slope in SLOPES)])
    return figure


def _draw_panel(axes: Axes, errors: pd.DataFrame, styles: dict[str, dict]) -> list:
    axes.set(xscale="log", yscale="log")
    told = errors[errors["error_low"] > 0]
    shown = told if len(told) else errors[errors["error_high"] > 0]
    low, high = (shown["error"].min(), shown["error_high"].max()) if len(shown) else (0.1, 1.0)
    bottom, top = low / ROOM, high * ROOM
    handles = [_draw_arm(axes, errors[errors["arm"] == arm], style, bottom) for arm, style in styles.items()]
    lrs = np.array([errors["lr"].min(), errors["lr"].max()])
    handles += [
        axes.plot(lrs, high * (lrs / lrs[1]) ** slope, color="#AAAAAA", linestyle=line, linewidth=0.9, zorder=0)[0]
        for slope, line in SLOPES.items()
    ]
    axes.set(xlim=(lrs[0] / ROOM, lrs[1] * ROOM), ylim=(bottom, top))
    tidy(axes)
    axes.xaxis.set_major_locator(FixedLocator(_apart(sorted(errors["lr"].unique(), reverse=True))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda lr, _: f"{lr:.3g}"))
    axes.tick_params(which="both", labelsize=SMALL_FONT)
    return handles


def _apart(lrs: list[float]) -> list[float]:
    """Those of the falling learning rates that have room for a number each."""
    room = (lrs[0] / lrs[-1]) ** (1 / MOST_NUMBERS)
    kept = lrs[:1]
    for lr in lrs[1:]:
        if kept[-1] / lr >= room:
            kept.append(lr)
    return kept


def _draw_arm(axes: Axes, errors: pd.DataFrame, style: dict, bottom: float):
    errors = errors.sort_values("lr")
    told = errors["error_low"] > 0
    axes.vlines(
        errors["lr"],
        errors["error_low"].clip(lower=bottom / 10),
        errors["error_high"].clip(lower=bottom / 10),
        color=style["color"],
        linewidth=0.9,
    )
    (line,) = axes.plot(errors["lr"], errors["error"].where(told), linewidth=1.3, **style)
    return line
