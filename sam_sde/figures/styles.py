"""What all figures share: the colour and line of each arm, sizes, and how an arm's name is written."""

import re

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

EXACT = {"linestyle": (0, (4, 2)), "linewidth": 0.9}  # what is computed without random numbers

WIDTH = 5.5  # inches: one column of a page
FONT = 9
SMALL_FONT = 8

# The palette of Okabe and Ito (2008), which readers with any kind of colour vision tell apart. Grey stands in
# for its yellow, which vanishes as a line on white paper. Each has its own line for print without colour.
BLUE = ("#0072B2", "-")
VERMILLION = ("#D55E00", "--")
GREEN = ("#009E73", "-.")
PURPLE = ("#CC79A7", ":")
ORANGE = ("#E69F00", (0, (8, 2)))
SKY_BLUE = ("#56B4E9", (0, (5, 1, 1, 1, 1, 1)))
BLACK = ("#000000", (0, (3, 1, 1, 1)))
GREY = ("#7F7F7F", (0, (1, 2.5)))

FAMILIES = {"SGD": BLUE, "SAM": VERMILLION, "USAM": GREEN, "DNSAM": PURPLE}
# Other arms take what no family has claimed; last blue and vermillion, which readers know as SGD and SAM.
PALETTE = [ORANGE, SKY_BLUE, BLACK, GREY, GREEN, PURPLE, VERMILLION, BLUE]


def arm_styles(arms: list[str]) -> dict[str, dict]:
    """The `color` and `linestyle` of each arm, in the order of `arms`.

    The arm called SGD, or else the first whose name starts so, is always blue; the same holds for SAM
    (vermillion), USAM (green) and DNSAM (purple). The others take the remaining colours in order.
    An arm called as another one with the word "discrete" added, as "SGD (discrete)" beside "SGD", has that one's
    colour and a dotted line.
    """
    partners = _discrete_partners(list(dict.fromkeys(arms)))
    styles = _own_styles([arm for arm in dict.fromkeys(arms) if arm not in partners])
    for i, (arm, partner) in enumerate(partners.items()):
        # Dots in a row; for the second such arm in pairs, for the third in threes, and so on.
        dots = (0, (1, 1)) if i == 0 else (0, (1, 1) * i + (1, 3))
        styles[arm] = {"color": styles[partner]["color"], "linestyle": dots}
    return {arm: styles[arm] for arm in arms}


def _discrete_partners(arms: list[str]) -> dict[str, str]:
    """The arms that are called as another one but for the word "discrete", and that other one."""
    return {arm: _optimizer(arm) for arm in arms if _optimizer(arm) != arm and _optimizer(arm) in arms}


def _optimizer(arm: str) -> str:
    """An arm's name without the word "discrete"."""
    return re.sub(r"\W*\bdiscrete\b\W*", " ", arm, flags=re.IGNORECASE).strip()


def _own_styles(arms: list[str]) -> dict[str, dict]:
    """A colour and a line for each of the arms."""
    chosen = {}
    for family, style in FAMILIES.items():
        members = [arm for arm in arms if _optimizer(arm).upper().startswith(family)]
        if members:
            chosen[min(members, key=lambda arm: _optimizer(arm).upper() != family)] = style
    unclaimed = [style for style in PALETTE if style not in chosen.values()]
    unclaimed += [(color, PALETTE[(i + turn) % 8][1]) for turn in range(1, 8) for i, (color, _) in enumerate(PALETTE)]
    for i, arm in enumerate(arm for arm in arms if arm not in chosen):
        chosen[arm] = unclaimed[i % len(unclaimed)]
    return {arm: dict(zip(("color", "linestyle"), chosen[arm], strict=True)) for arm in arms}


def plain(text: str, longest: int | None = None) -> str:
    """A name as matplotlib writes it literally: no mathematics between dollars, and cut where too long."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    return text.replace("$", r"\$")


def new_figure(width: float, height: float, layout: str = "constrained") -> Figure:
    """A figure outside of pyplot, in inches, that can be drawn without a display."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def small_ticks(axes: Axes) -> None:
    """Tick labels, and the power of ten beside them, in the small font."""
    axes.tick_params(which="both", labelsize=SMALL_FONT)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(SMALL_FONT)


def tidy(axes: Axes) -> None:
    """Two spines instead of four, and small tick labels."""
    axes.spines[["top", "right"]].set_visible(False)
    small_ticks(axes)


def add_legend(figure: Figure, handles: list, labels: list[str], loc: str = "outside upper center") -> None:
    """A legend outside of the axes, where it hides nothing; the figure grows by its height.

    It has as many columns as there is room for, judged by the number of letters.
    """
    letters = [len(label) + 8 for label in labels]  # the handle and the gap are as wide as 8
    room = 15 * figure.get_figwidth()
    columns = len(labels) if sum(letters) <= room else max(1, int(room / max(letters)))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * rows)
    figure.legend(
        handles,
        labels,
        loc=loc,
        ncols=columns,
        fontsize=SMALL_FONT,
        frameon=False,
        handlelength=3.2,  # long enough to show a whole period of a dashed line
        columnspacing=1.5,
    )
