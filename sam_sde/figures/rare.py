"""The figure of splitting: how the probability to come further falls over the levels, repeat by repeat."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sam_sde.figures.styles import FONT, WIDTH, add_legend, new_figure, plain, tidy


def draw_levels(levels: pd.DataFrame, styles: dict[str, dict]) -> Figure:
    """For each arm a panel: the probability to come from the first level to each other one, and to the exit.

    A thin line is a repeat; the thick one is the mean of all. Lines that part show that repeats disagree.
    """
    arms = list(dict.fromkeys(levels["arm"]))
    figure = new_figure(WIDTH, 0.6 + 2.2 * len(arms))
    panels = figure.subplots(len(arms), 1, squeeze=False)[:, 0]
    handles = []
    for axes, arm in zip(panels, arms, strict=True):
        of_arm = levels[levels["arm"] == arm]
        fractions = of_arm.pivot_table(index="repeat", columns="level", values="probability").to_numpy()
        reached = np.cumprod(np.insert(fractions, 0, 1.0, axis=1), axis=1)
        stages = np.arange(1, reached.shape[1] + 1)
        shown = np.where(reached > 0, reached, np.nan)
        for line in shown:
            axes.plot(stages, line, color="0.6", linewidth=0.7, zorder=1)
        mean = reached.mean(axis=0)
        axes.plot(stages, np.where(mean > 0, mean, np.nan), linewidth=1.8, **styles[arm])
        axes.set_yscale("log")
        axes.set_title(plain(arm, 40), fontsize=FONT, loc="left")
        axes.set_xlim(1, stages[-1])
        tidy(axes)
        handles = [axes.lines[-1], axes.lines[0]]
    figure.supylabel("probability to come so far\nbefore the core is reached again", fontsize=FONT)
    panels[-1].set_xlabel("level; the last one is the exit", fontsize=FONT)
    add_legend(figure, handles, ["mean of the repeats", "a repeat"])
    return figure
