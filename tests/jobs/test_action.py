"""The command `action`: its files, what they say of the quadratic saddle, and what it refuses."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app

CONFIG = """
surface: {name: quadratic, eigenvalues: [1.0, -2.0]}
noise: {kind: isotropic, sigma: 0.5}
optimizer: {lr: 0.01, batch_size: 4}
arms:
  SGD: {kind: sgd}
  SAM: {kind: sam, rho: 0.2}
escape: {start: [0, 0], region: {kind: box, low: [-1, -0.6], high: [1, 0.5]}, t_max: 1}
"""


def invoke(folder, *options, **changes):
    document = yaml.safe_load(CONFIG)
    for section, values in changes.items():
        document[section] = values if section == "noise" else document.get(section, {}) | values
    (folder / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return CliRunner().invoke(app, ["action", str(folder / "config.yaml"), "--out", str(folder / "out"), *options])


def test_files_record_and_a_figure_that_is_drawn_again(tmp_path, monkeypatch):
    """SGD leaves for nothing; of SAM V = ρ²|λ|/σ² = 0.32, to both sides of the slower axis."""
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 30)
    monkeypatch.setattr("sam_sde.jobs.landscape.GRID", 11)
    result = invoke(tmp_path)
    assert result.exit_code == 0, result.output
    out, said = tmp_path / "out", " ".join(result.output.split())
    tables = {"action.csv", "action_landscape.csv", "action_critical_points.csv"}
    assert {path.name for path in out.iterdir()} == tables | {"action.json", "action.png", "action.pdf"}
    assert "SGD: no barrier" in said
    assert "SAM: another way costs the same" in said
    actions = json.loads((out / "action.json").read_text())["actions"]
    assert actions["SGD"]["action"] == 0
    assert actions["SAM"]["action"] == pytest.approx(0.32, rel=1e-3)
    assert actions["SAM"]["exponent"] == pytest.approx(actions["SAM"]["action"] * 4 / 0.01)
    assert actions["SAM"]["side"] in ("x1_low", "x1_high")
    assert actions["SAM"]["ties"] == len(actions["SAM"]["others"]) == 1
    way = pd.read_csv(out / "action.csv").groupby("arm").last().loc["SAM"]
    assert list(way.index) == ["arc_length", "action", "x0", "x1"]
    assert way["action"] == pytest.approx(actions["SAM"]["action"])
    np.testing.assert_allclose(way[["x0", "x1"]], actions["SAM"]["end"])
    drawn = (out / "action.pdf").read_bytes()
    assert CliRunner().invoke(app, ["plot", str(out)]).exit_code == 0
    assert (out / "action.pdf").read_bytes() == drawn


def test_to_a_point_and_in_one_dimension(tmp_path):
    result = invoke(
        tmp_path,
        surface={"eigenvalues": [2.0]},
        escape={"start": [0.1], "region": {"kind": "box", "low": [-1], "high": [1]}},
        action={"to": [0.5]},
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "action.json").read_text())
    assert record["actions"]["SGD"]["action"] == pytest.approx(2 * 0.5**2 / 0.25, rel=1e-4)  # 2 ℓ/σ²
    assert record["actions"]["SGD"]["side"] == "point"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"action.csv", "action.json"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": {"momentum": 0.9}}, "optimizer.momentum: an underdamped path"),
        ({"noise": {"kind": "none"}}, "noise: the covariance has no noise"),
        ({"run": {"engine": "discrete"}}, "arms.SGD.engine: the most likely way out is that of the SDE"),
        ({"escape": {"start": {"normal": {"mean": [0, 0], "std": 0.1}}}}, "escape.start: .* from one point"),
        ({"escape": {"start": [0, 0.5]}}, "escape.start: it lies outside the region"),
        ({"action": {"to": [0.0]}}, "action.to: expected 2 numbers"),
        ({"action": {"too": [0.0]}}, "action.too: unknown key; did you mean 'to'"),
    ],
)
def test_what_has_no_way_is_one_error_that_names_the_key(changes, message, tmp_path):
    result = invoke(tmp_path, **changes)
    assert result.exit_code == 2, result.output
    assert re.search(message, " ".join(result.output.split())), result.output
