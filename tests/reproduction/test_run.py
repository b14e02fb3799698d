"""Statements are computed once, judged from their files, and stop no other where they fail."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.errors import ArgumentError
from sam_sde.reproduction import registry
from sam_sde.reproduction.registry import STATEMENTS, chosen
from sam_sde.reproduction.run import Reproduction
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import HOLDS, IN_PART, NOT_AS_PRINTED, Judgement, Row, Statement

MEASURED = []


def measure(bench):
    MEASURED.append(bench.size.name)
    return {"numbers": pd.DataFrame({"name": ["a", "<b>"], "value": [0.1 + 0.2, 2.0]})}


def judge(tables):
    values = tables["numbers"]["value"]
    rows = [Row("first | one", "0.3", values[0], bool(values[0] == 0.1 + 0.2)), Row("second", "<2>", values[1], True)]
    return Judgement(rows, f"The first is {values[0]:g} <script>.")


def fails(bench):
    raise ZeroDivisionError("of the test")


def is_interrupted(bench):
    raise KeyboardInterrupt


PLAIN = Statement("plain", "a paper", "a claim", "a run", "a rule", measure, judge)
FAILING = replace(PLAIN, name="failing", measure=fails)
INTERRUPTED = replace(PLAIN, name="interrupted", measure=is_interrupted)
THIN = Size("thin")


@pytest.fixture(autouse=True)
def _none_measured():
    MEASURED.clear()


def run(out, *statements, size=THIN):
    reproduction = Reproduction(list(statements), size, out)
    reproduction.execute(lambda line: None)
    return reproduction


def test_a_second_run_computes_nothing_and_judges_the_same(tmp_path):
    first, second = run(tmp_path, PLAIN), run(tmp_path, PLAIN)
    assert (first.computed, second.computed, MEASURED) == (["plain"], [], ["thin"])
    assert first.judged == second.judged


@pytest.mark.parametrize("other", [Size("quick"), Size("thin", seed=1)])
def test_another_size_or_seed_is_computed(tmp_path, other):
    run(tmp_path, PLAIN)
    assert run(tmp_path, PLAIN, size=other).computed == ["plain"]


@pytest.mark.parametrize("broken", ["tables.json", "numbers.csv"])
def test_tables_that_are_not_whole_are_computed_again(tmp_path, broken):
    run(tmp_path, PLAIN)
    (tmp_path / "plain" / broken).unlink()
    assert run(tmp_path, PLAIN).computed == ["plain"]


def test_the_verdict_is_computed_from_the_file(tmp_path):
    assert run(tmp_path, PLAIN).judged["plain"].verdict == HOLDS
    path = tmp_path / "plain" / "numbers.csv"
    path.write_text(path.read_text().replace("0.30000000000000004", "0.4"))
    again = run(tmp_path, PLAIN)
    assert again.judged["plain"].verdict == IN_PART
    assert again.computed == []
    assert pd.read_csv(tmp_path / "statements.csv")["verdict"].eq(IN_PART).all()


def test_an_error_is_told_and_the_others_go_on(tmp_path):
    reproduction = run(tmp_path, FAILING, PLAIN)
    assert list(reproduction.judged) == ["plain"]
    record = json.loads((tmp_path / "reproduce.json").read_text())
    assert record["unfinished"] == {"failing": "ZeroDivisionError: of the test"}
    assert record["statements"] == {"plain": HOLDS}


def test_one_alone_is_reported_beside_those_that_are_there(tmp_path):
    other, absent = replace(PLAIN, name="other"), replace(PLAIN, name="absent")
    run(tmp_path, PLAIN)
    one = Reproduction([other], THIN, tmp_path, beside=[PLAIN, absent, other])
    one.execute(lambda line: None)
    assert (list(one.judged), one.computed) == (["plain", "other"], ["other"])


def test_an_interrupt_keeps_what_was_finished(tmp_path):
    reproduction = run(tmp_path, PLAIN, INTERRUPTED)
    assert reproduction.interrupted
    assert set(pd.read_csv(tmp_path / "statements.csv")["statement"]) == {"plain"}
    assert json.loads((tmp_path / "reproduce.json").read_text())["unfinished"] == {"interrupted": "not run"}


def test_the_verdict_follows_from_the_claims_alone():
    yes, no = Row("", "", 1.0, True), Row("", "", 1.0, False)
    finding = replace(no, finding=True)
    verdicts = [Judgement(rows, "").verdict for rows in ([yes, finding], [yes, no], [no, finding])]
    assert verdicts == [HOLDS, IN_PART, NOT_AS_PRINTED]


def test_statements_come_in_the_order_of_the_papers():
    assert [each.name for each in chosen([])] == list(STATEMENTS)
    assert [each.name for each in chosen(["beale", "theorem-1"])] == ["theorem-1", "beale"]
    with pytest.raises(ArgumentError, match="did you mean 'theorem-1'"):
        chosen(["theorem1"])


@pytest.fixture
def command(monkeypatch, tmp_path):
    def call(*arguments, statements=(PLAIN,)):
        monkeypatch.setattr(registry, "STATEMENTS", {each.name: each for each in statements})
        return CliRunner().invoke(app, ["reproduce", "--thin", "--out", str(tmp_path), *arguments])

    return call


@pytest.mark.parametrize(
    ("statements", "code"),
    [((PLAIN,), 0), ((FAILING, PLAIN), 1), ((PLAIN, INTERRUPTED), 130)],
    ids=["done", "failed", "interrupted"],
)
def test_the_exit_code_tells_how_it_ended(command, tmp_path, statements, code):
    result = command(statements=statements)
    assert result.exit_code == code, result.output
    assert "plain: The first is 0.3" in result.output
    page, text = (tmp_path / name for name in ("report.html", "report.md"))
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()
    assert "first \\| one" in text.read_text()
    assert all(each.name in text.read_text() for each in statements)


def test_bad_arguments_end_the_command_before_any_work(command):
    cluster = ["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"]
    for arguments, said in (
        (["--only", "plane"], "did you mean 'plain'"),
        (["--quick"], "at most one of"),
        (cluster, "has its own"),
    ):
        result = command(*arguments)
        assert result.exit_code == 2
        assert said in result.output
    assert not MEASURED
