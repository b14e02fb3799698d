"""The report of a reproduction, as Markdown and as one HTML file: what was said, what was run, what was found."""

import base64
import math
from dataclasses import dataclass
from pathlib import Path

from sam_sde.figures.folder import save_figure
from sam_sde.figures.reproduction import DRAWN
from sam_sde.files import write_text
from sam_sde.report.page import environment
from sam_sde.reproduction.registry import NOT_REPRODUCED
from sam_sde.reproduction.run import Reproduction
from sam_sde.reproduction.statement import VERDICT_RULE, Judgement, Row, Statement

MARKDOWN, HTML = "report.md", "report.html"
TITLE = "Statements on sharpness-aware minimization at saddles, run and judged"


@dataclass(frozen=True)
class Entry:
    """A statement with its judgement, and its figure where it has one: the file and what is said beneath."""

    statement: Statement
    judgement: Judgement
    figure: Path | None
    caption: str


def write_reproduction(reproduction: Reproduction) -> list[Path]:
    """Draws the figures and writes report.md and report.html into its folder; returns the two files.

    Raises
        InputError: they cannot be written.
    """
    entries = [_entry(reproduction, each) for each in reproduction.statements if each.name in reproduction.judged]
    said = {
        "title": TITLE,
        "entries": entries,
        "introduction": introduction(reproduction),
        "rule": VERDICT_RULE,
        "left_out": left_out(reproduction),
        "number": number,
        "interval": interval,
        "yes_no": lambda row: "yes" if row.holds else "no",
        "kind": lambda row: "finding" if row.finding else "claim",
    }
    written = []
    for name, more in ((MARKDOWN, {}), (HTML, {"embedded": embedded})):
        template = environment(escaping=name == HTML).get_template(f"reproduction{Path(name).suffix}")
        write_text(template.render(said | more), reproduction.out / name)
        written.append(reproduction.out / name)
    return written


def introduction(reproduction: Reproduction) -> list[str]:
    size, seconds = reproduction.size, sum(reproduction.seconds.values())
    return [
        f"Size: {size.name}; seed {size.seed}; the measurements took {seconds:.3g} s. Every number comes from the "
        "CSV files in the folder of its statement, and the verdicts are computed from these files.",
        "A reading of the papers with their numbers beside ours, and no more: where a statement does not hold as "
        "printed the reason is given, and most often what it says holds for a model next to the one that is run.",
    ]


def left_out(reproduction: Reproduction) -> list[tuple[str, str]]:
    """What is not in the report, each with the reason: statements that failed or were not run come first."""
    missing = [
        (each.name, f"failed: {reproduction.errors[each.name]}" if each.name in reproduction.errors else "not run")
        for each in reproduction.statements
        if each.name not in reproduction.judged
    ]
    return missing + list(NOT_REPRODUCED.items())


def number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def interval(row: Row) -> str:
    return "" if math.isnan(row.low) else f"{number(row.low)} to {number(row.high)}"


def embedded(path: Path) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _entry(reproduction: Reproduction, statement: Statement) -> Entry:
    judgement = reproduction.judged[statement.name]
    if statement.name not in DRAWN:
        return Entry(statement, judgement, None, "")
    name, draw, caption = DRAWN[statement.name]
    png, *_ = save_figure(draw(reproduction.kept(statement).read()), reproduction.out / name)
    return Entry(statement, judgement, png, caption)
