"""What all figures of a page share: their colours in light and dark, the lines of the arms, axes and room."""

import html
from dataclasses import dataclass, field

import plotly.graph_objects as go

from sam_sde.figures.styles import arm_styles

INK, MUTED, RULE = "#1F2328", "#59636E", "#DDE1E6"
PAPER, SHADE = "#FFFFFF", "#B4BAC2"
COOL, WARM = "#8EC1E4", "#F3B48B"

# The colour of a dark page for each of a light one; those of the arms are those of the other figures, only lighter.
DARK = {
    INK: "#E6EAEE",
    MUTED: "#A3ADB8",
    RULE: "#333B44",
    PAPER: "#14181D",
    SHADE: "#4A535E",
    COOL: "#1E5C85",
    WARM: "#8C4617",
    "#0072B2": "#4BA3E3",
    "#D55E00": "#F5803A",
    "#009E73": "#2CC295",
    "#CC79A7": "#DF95BE",
    "#E69F00": "#F2B93B",
    "#56B4E9": "#A5DAF8",
    "#000000": "#FFFFFF",
    "#7F7F7F": "#A0A0A0",
}

LINE_WIDTH = 2
DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}


@dataclass(frozen=True)
class Drawing:
    """A figure with what a page says of it.

    name: its id on the page. description: what it shows, for those who do not see it. note: a line under it.
    arms: those that can be shown and hidden; shown: those that are shown at first. log_time: whether its first axis
    may be logarithmic. shape: height over width, where that counts.
    """

    name: str
    title: str
    description: str
    figure: go.Figure
    note: str = ""
    arms: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    log_time: bool = False
    shape: float | None = None


def lines_of(arms: list[str]) -> dict[str, dict]:
    """The colour, dash and width of each arm's line in Plotly's words."""
    return {
        arm: {"color": style["color"], "dash": _dash(style["linestyle"]), "width": LINE_WIDTH}
        for arm, style in arm_styles(arms).items()
    }


def _dash(linestyle: str | tuple) -> str:
    """matplotlib's lengths are in line widths."""
    if isinstance(linestyle, str):
        return DASHES[linestyle]
    return ",".join(f"{LINE_WIDTH * length:g}px" for length in linestyle[1])


def literal(text: str) -> str:
    """A name as Plotly writes it literally: it knows some of HTML's tags."""
    return html.escape(text, quote=False)


def new_figure(x: str, y: str, **layout) -> go.Figure:
    """An empty figure with the names of its axes."""
    axis = {
        "gridcolor": RULE,
        "linecolor": MUTED,
        "tickcolor": MUTED,
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "zeroline": False,
        "automargin": True,
        "exponentformat": "power",
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        showlegend=False,
        hoverlabel={"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK, "size": 13}},
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        xaxis=axis | {"title": {"text": x, "standoff": 8}},
        yaxis=axis | {"title": {"text": y, "standoff": 8}},
    )
    return figure.update_layout(**layout)
