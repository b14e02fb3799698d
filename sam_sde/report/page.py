"""A page of parts as one HTML file that needs no other: style, script and Plotly's bundle stand in it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from sam_sde.report.drawing import DARK, Drawing, lines_of
from sam_sde.wording import TextTable

CODE = re.compile(r"`([^`]+)`")
UNBROKEN = re.compile(r"95 % interval|p (&lt;|=) \d[\d.e-]*\d|\w+ = -?[\d.]+\b|\([-\d., ]+\)|[\d.,]+–[\d.,]*\d")
INTERVAL = re.compile(r"(?P<value>\S+) \((?P<interval>[^()]+(?:–| to )[^()]+)\)(?P<rest>.*)")


@dataclass(frozen=True)
class Part:
    """A section of a page: its sentences, its figure, and tables, those of the figure's numbers too."""

    name: str
    title: str
    sentences: list[str] = field(default_factory=list)
    drawing: Drawing | None = None
    tables: list[TextTable] = field(default_factory=list)


@dataclass(frozen=True)
class Repeat:
    """All that is needed to do it again."""

    config: str
    command: str
    sentences: list[str]
    how: TextTable


@dataclass(frozen=True)
class Page:
    """What a report says, in the order in which it says it.

    arms: in the order of the tables; their lines stand beside their names. warnings_elsewhere: how many more there are
    in the record.
    """

    heading: str
    verdicts: list[str]
    question: list[str]
    arms: list[str]
    parts: list[Part]
    warnings: list[str]
    repeat: Repeat
    warnings_elsewhere: int = 0


def environment(*, escaping: bool = True) -> Environment:
    """The templates of this room."""
    return Environment(
        loader=PackageLoader("sam_sde.report"),
        autoescape=escaping,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> str:
    """The page as HTML; every text is escaped."""
    drawings = [part.drawing for part in page.parts if part.drawing is not None]
    return (
        environment()
        .get_template("report.html")
        .render(
            page=page,
            lines=lines_of(page.arms),
            dark=DARK,
            figures={drawing.name: json.loads(drawing.figure.to_json()) for drawing in drawings},
            plotly=get_plotlyjs() if drawings else "",
            with_interval=with_interval,
            prose=prose,
        )
    )


def prose(sentence: str) -> Markup:
    """A sentence as HTML: what stands between backticks is code, and a p-value or an interval is not broken."""
    text = UNBROKEN.sub(r'<span class="unbroken">\g<0></span>', str(escape(sentence)))
    return Markup(CODE.sub(r"<code>\1</code>", text))


def with_interval(cell: str) -> dict[str, Any] | None:
    """The parts of a cell such as "0.18 (0.17–0.19)"; None for any other."""
    found = INTERVAL.fullmatch(cell)
    return found and found.groupdict()
