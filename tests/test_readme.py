"""What the README shows is true: its example runs, and it names what exists."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.statistics import Sample, summarize
from sam_sde.statistics.comparison import COLUMNS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_example_runs(code, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("100_000", "2_000"), "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_the_example_with_ones_own_loss_has_at_most_ten_lines_of_code():
    code = [line for line in blocks("python")[0].splitlines() if line.strip() and not line.startswith(("#", "import"))]
    assert len(code) <= 10


@pytest.mark.parametrize(
    "path", re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r"bash (scripts/\S+\.sh)", README)
)
def test_files_that_are_named_exist(path):
    assert (ROOT / path).exists()


def test_every_command_and_column_is_explained():
    for command in CliRunner().invoke(app, ["--help"]).output.split():
        if command in {"escape", "simulate", "plot", "validate", "list"}:
            assert f"sam-sde {command}" in README
    for column in [*summarize(Sample(np.ones(1), np.zeros(1, int), t_max=1.0, lr=1.0)), *COLUMNS]:
        assert f"`{column}`" in README, column
