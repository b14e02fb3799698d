"""All statements one after another: what is on disk is not computed again, and what fails stops no other."""

import json
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from sam_sde.files import make_folder, used_by_one, write_csv, write_text
from sam_sde.interrupts import interrupts_wait
from sam_sde.jobs.record import PACKAGES
from sam_sde.reproduction.kept import Kept, read_code
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Statement

RECORD = "reproduce.json"
TABLE = "statements.csv"
COLUMNS = ("statement", "where", "what", "kind", "expected", "measured", "low", "high", "holds", "verdict", "reason")


@dataclass
class Reproduction:
    """Statements to be run at a size, with their tables in `out`, and what came out.

    judged: the judgement of each statement that has ended; computed: those that were not on disk. errors: of those that
    failed. seconds: that their measurements took. interrupted: whether an interrupt ended the run. beside: statements
    in their order, of which those are judged as well whose tables are there. workers, executor: see `Bench`.
    """

    statements: list[Statement]
    size: Size
    out: Path
    workers: int = 1
    executor: Executor | None = None
    beside: list[Statement] = field(default_factory=list)
    judged: dict[str, Judgement] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False

    def execute(self, report: Callable[[str], None], done: Callable[[], None] = lambda: None) -> None:
        """Runs the statements; `report` is told of each, `done` is called after each, the last one on an interrupt.

        Raises
            ArgumentError: `out` cannot be written to. InputError: another process uses it.
        """
        read_code([*self.statements, *self.beside])
        make_folder(self.out)
        with used_by_one(self.out):
            if self.beside:
                asked = {each.name for each in self.statements}
                self.statements = [s for s in self.beside if s.name in asked or self.kept(s).record() is not None]
            try:
                for statement in self.statements:
                    self._run(statement, report)
                    with interrupts_wait():
                        self.write()
                        done()
            except KeyboardInterrupt:
                self.interrupted = True
                self.write()

    def kept(self, statement: Statement) -> Kept:
        return Kept(self.out / statement.name, statement, self.size)

    def _run(self, statement: Statement, report: Callable[[str], None]) -> None:
        kept = self.kept(statement)
        try:
            if kept.record() is None:
                report(f"{statement.name}: running")
                self._measure(statement, kept)
                self.computed.append(statement.name)
            else:
                report(f"{statement.name}: kept of an earlier run")
            record = kept.record()
            self.seconds[statement.name], self.warnings[statement.name] = record["seconds"], record["warnings"]
            self.judged[statement.name] = statement.judge(kept.read())
        except Exception as error:  # reported at the end, and the others go on
            self.errors[statement.name] = error
            report(f"{statement.name}: failed")
        else:
            report(f"{statement.name}: {self.judged[statement.name].verdict}")

    def _measure(self, statement: Statement, kept: Kept) -> None:
        begin = time.perf_counter()
        with _collected() as said:
            tables = statement.measure(Bench(self.size, kept.work, kept.key, self.workers, self.executor))
        with interrupts_wait():
            kept.write(tables, time.perf_counter() - begin, said)

    def table(self) -> pd.DataFrame:
        """A row for each number of each statement, with the verdict on the statement."""
        rows = []
        for statement in self.statements:
            judgement = self.judged.get(statement.name)
            for row in judgement.rows if judgement else ():
                kind = "finding" if row.finding else "claim"
                numbers = (row.expected, row.measured, row.low, row.high, int(row.holds))
                said = (judgement.verdict, judgement.reason)
                rows.append((statement.name, statement.where, row.what, kind, *numbers, *said))
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def write(self) -> None:
        """statements.csv, and reproduce.json with what they were made from."""
        write_csv(self.table(), self.out / TABLE)
        unfinished = {
            s.name: f"{type(self.errors[s.name]).__name__}: {self.errors[s.name]}"
            if s.name in self.errors
            else "not run"
            for s in self.statements
            if s.name not in self.judged
        }
        record = {
            "command": "reproduce",
            "command_line": shlex.join(sys.argv),
            "size": self.size.name,
            "seed": self.size.seed,
            "statements": {name: judgement.verdict for name, judgement in self.judged.items()},
            "seconds": self.seconds,
            "warnings": self.warnings,
            "unfinished": unfinished,
            "interrupted": self.interrupted,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        }
        write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", self.out / RECORD)


@contextmanager
def _collected() -> Iterator[list[str]]:
    """The texts of the package's warnings inside, each once."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield said
    said += dict.fromkeys(str(each.message) for each in caught if issubclass(each.category, UserWarning))
