"""What the README shows is true: its example runs, and it names what exists."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.jobs.record import RECORDS
from sam_sde.jobs.tables import TABLES
from sam_sde.reproduction.run import COLUMNS, RECORD, TABLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_example_runs(code, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    fewer = code.replace("100_000", "2_000").replace('"n_paths": 500', '"n_paths": 40')
    fewer = fewer.replace("walkers=2000", "walkers=100, repeats=2").replace(
        "lr=0.01, batch_size=32, rho", "lr=0.05, batch_size=60, rho"
    )
    exec(compile(fewer, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize(("example", "most"), [(0, 10), (1, 12)])
def test_the_examples_are_as_short_as_they_are_said_to_be(example, most):
    lines = blocks("python")[example].splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith(("#", "import"))]) <= most


@pytest.mark.parametrize(
    "path", re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r"bash (scripts/\S+\.sh)", README)
)
def test_files_that_are_named_exist(path):
    assert (ROOT / path).exists()


def test_every_configuration_is_named():
    for path in (ROOT / "configs").iterdir():
        assert f"(configs/{path.name})" in README


def test_every_command_is_explained():
    for command in CliRunner().invoke(app, ["--help"]).output.split():
        if command in {
            "escape",
            "simulate",
            "weak",
            "exact",
            "stability",
            "displacement",
            "action",
            "reproduce",
            "plot",
            "report",
            "validate",
            "list",
        }:
            assert f"sam-sde {command}" in README


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_and_column_is_explained(table):
    for name in (table.file, RECORDS[table.command], *table.columns, *table.optional):
        assert f"`{name}`" in README, name


def test_every_column_of_a_reproduction_is_explained():
    for name in (TABLE, RECORD, *COLUMNS):
        assert f"`{name}`" in README, name
