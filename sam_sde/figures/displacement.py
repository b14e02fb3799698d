"""The figure of displacement: paths, exact moments and formulas, and where and by how much the formulas depart."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from sam_sde.figures.styles import EXACT, FONT, WIDTH, add_legend, arm_styles, new_figure, plain, tidy

MOST_DIRECTIONS = 2
HOLDS, FAILS = {"linestyle": "-", "linewidth": 1.3}, {"linestyle": (0, (1, 1.2)), "linewidth": 1.3}
# Of the ratios that are shown; a formula that is further off leaves the panel.
FARTHEST = 30.0
WITHIN = 0.05


def draw_displacement(displacement: pd.DataFrame) -> Figure:
    """Above, the mean-squared displacement against time; below, formulas and paths over what is exact.

    A column for the smallest and one for the largest eigenvalue. A formula is a full line where it holds and dotted
    where not. Exact is that of the SDE, and of the algorithm where no SDE is known.
    """
    directions = sorted(displacement["direction"].unique())
    shown = directions if len(directions) <= MOST_DIRECTIONS else [directions[0], directions[-1]]
    styles = arm_styles(list(dict.fromkeys(displacement["arm"])))
    figure = new_figure(WIDTH, 4.6)
    panels = figure.subplots(2, len(shown), sharex=True, squeeze=False, height_ratios=(1.25, 1.0))
    for (above, below), direction in zip(panels.T, shown, strict=True):
        rows = displacement[displacement["direction"] == direction]
        above.set_title(f"direction {direction}, λ = {rows['eigenvalue'].iloc[0]:.4g}", fontsize=FONT)
        for arm, style in styles.items():
            _draw_arm(above, below, rows[rows["arm"] == arm], style["color"])
        _finish(above, below, rows)
    panels[0, 0].set_ylabel("mean-squared\ndisplacement", fontsize=FONT)
    panels[1, 0].set_ylabel("over the exact one", fontsize=FONT)
    figure.supxlabel("time t = lr · steps", fontsize=FONT)
    add_legend(figure, *_legend(styles))
    return figure


def _draw_arm(above: Axes, below: Axes, rows: pd.DataFrame, color: str) -> None:
    time, exact = rows["time"], rows["exact"].fillna(rows["discrete"])
    above.plot(time, exact, color=color, **EXACT)
    for axes, unit in ((above, 1.0), (below, exact)):
        for style, valid in ((HOLDS, 1), (FAILS, 0)):
            axes.plot(time, (rows["formula"] / unit).where(rows["formula_valid"] == valid), color=color, **style)
        value, low, high = ((rows[name] / unit).to_numpy() for name in ("msd", "msd_low", "msd_high"))
        axes.errorbar(
            time.to_numpy(),
            value,
            yerr=[value - low, high - value],
            color=color,
            linestyle="none",
            marker="o",
            markersize=2.2,
            elinewidth=0.8,
        )


def _finish(above: Axes, below: Axes, rows: pd.DataFrame) -> None:
    above.set(xscale="log", yscale="log")
    below.set(xscale="log", yscale="log")
    numbers = rows[["msd", "exact", "discrete"]].stack()
    numbers = numbers[numbers > 0]
    if len(numbers):
        above.set_ylim(numbers.min() / 3, numbers.max() * 3)
    below.axhline(1.0, color="0.3", linewidth=0.7, zorder=0)
    below.axhspan(1 - WITHIN, 1 + WITHIN, color="0.9", linewidth=0, zorder=-1)
    exact = rows["exact"].fillna(rows["discrete"])
    ratios = pd.concat([rows["formula"] / exact, rows["msd"] / exact]).dropna()
    ratios = ratios[ratios > 0]
    widest = max([*ratios, *(1 / ratios)], default=1.0)
    reach = min(FARTHEST, max(1.15, 1.1 * widest))
    below.set_ylim(1 / reach, reach)
    subs = (1, 1.1, 1.2, 1.5, 2, 5) if reach < 3 else (1, 3)
    below.yaxis.set_major_locator(LogLocator(subs=subs))
    below.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:.3g}"))
    below.yaxis.set_minor_locator(NullLocator())
    below.yaxis.set_minor_formatter(NullFormatter())
    tidy(above)
    tidy(below)


def _legend(styles: dict[str, dict]) -> tuple[list[Line2D], list[str]]:
    handles = [Line2D([], [], color=style["color"], linewidth=2.5) for style in styles.values()]
    kinds = {
        "paths (95 %)": {"linestyle": "none", "marker": "o", "markersize": 3},
        "exact": EXACT,
        "formula, where it holds": HOLDS,
        "formula, elsewhere": FAILS,
    }
    handles += [Line2D([], [], color="0.2", **kind) for kind in kinds.values()]
    return handles, [*(plain(arm, 30) for arm in styles), *kinds]
