"""The command `exact`, and what `escape --exact` adds: files, columns, figures, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import sam_sde as ss
from sam_sde.cli import app

CONFIG = """
surface: {name: quadratic, eigenvalues: [-1.0]}
noise: {kind: isotropic, sigma: 1.0}
optimizer: {lr: 0.05, batch_size: 4}
arms:
  SGD: {kind: sgd}
  SAM: {kind: sam, rho: 0.1}
escape: {start: [0.1], region: {kind: slab, centre: [0], direction: [1], half_width: 0.5}, t_max: 10}
run: {n_paths: 200, dt: 0.01}
"""
COLUMNS = ["arm", "mean_time", "error_estimate", "standard_deviation", "rate", "exit_low", "exit_high"]


def invoke(command, folder, *options, **changes):
    document = yaml.safe_load(CONFIG)
    for section, values in changes.items():
        document[section] = document[section] | values
    (folder / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return CliRunner().invoke(app, [command, str(folder / "config.yaml"), "--out", str(folder / "out"), *options])


def test_exact_writes_its_tables_their_record_and_a_figure_that_is_drawn_again(tmp_path):
    result = invoke("exact", tmp_path)
    assert result.exit_code == 0, result.output
    files = {"exact.csv", "exact_survival.csv", "exact.json", "exact_survival.png", "exact_survival.pdf"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    exact = pd.read_csv(tmp_path / "out" / "exact.csv")
    assert list(exact) == COLUMNS
    sam = ss.SAM(ss.surfaces.quadratic(eigenvalues=[-1.0]), ss.IsotropicNoise(1.0), lr=0.05, batch_size=4, rho=0.1)
    known = ss.exact_escape_times(sam, start=[0.1], region=ss.Slab([0.0], [1.0], 0.5))
    np.testing.assert_allclose(exact.set_index("arm").loc["SAM"], list(known.summary().values()), rtol=1e-12)
    assert f"{known.mean_time:.6g}" in result.output
    curves = pd.read_csv(tmp_path / "out" / "exact_survival.csv")
    assert list(curves) == ["arm", "time", "survival"]
    assert curves["survival"].between(0, 1).all()
    drawn = (tmp_path / "out" / "exact_survival.png").read_bytes()
    assert CliRunner().invoke(app, ["plot", str(tmp_path / "out")]).exit_code == 0
    assert (tmp_path / "out" / "exact_survival.png").read_bytes() == drawn


def test_escape_has_the_exact_times_beside_its_own(tmp_path):
    """An arm that cannot be solved has none, and a warning says why. Without the option nobody has any."""
    arms = {"late": {"kind": "sgd", "engine": "discrete"}}
    result = invoke("escape", tmp_path, "--exact", arms=arms)
    assert result.exit_code == 0, result.output
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("arm")
    assert list(summary)[-2:] == ["exact_mean_time", "exact_error"]
    assert summary.loc["late", ["exact_mean_time", "exact_error"]].isna().all()
    assert "no exact times of late: arms.late.engine" in " ".join(result.output.split())
    for arm in ("SGD", "SAM"):
        row = summary.loc[arm]
        error = (row["rmst_high"] - row["rmst_low"]) / 2 / 1.96
        assert abs(row["rmst"] - row["exact_mean_time"]) < 4 * error
    curves = pd.read_csv(tmp_path / "out" / "exact_curves.csv")
    assert set(curves["arm"]) == {"SGD", "SAM"}
    assert curves["time"].max() == 10
    assert invoke("escape", tmp_path, arms=arms).exit_code == 0  # the same paths, from the store
    assert "exact_error" not in pd.read_csv(tmp_path / "out" / "summary.csv")
    assert not (tmp_path / "out" / "exact_curves.csv").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surface": {"eigenvalues": [1.0, 1.0, -1.0]}}, "arms.SGD.dynamics: .* one and two dimensions, got 3"),
        ({"optimizer": {"momentum": 0.9}}, "optimizer.momentum: .*without a velocity"),
        ({"optimizer": {"lr_schedule": {"kind": "cosine", "t_end": 5.0}}}, "do not change with time"),
        ({"run": {"engine": "discrete", "dt": None}}, "arms.SGD.engine: exact escape times are those of the SDE"),
        ({"noise": {"kind": "none"}}, "noise: the covariance vanishes"),
        ({"escape": {"start": {"normal": {"mean": [0.0], "std": 0.01}}}}, "escape.start: .*from one point"),
        ({"escape": {"region": {"kind": "loss", "below": 1.0}}}, "escape.region: no boundary"),
    ],
)
def test_what_cannot_be_solved_is_one_error_that_names_the_key(changes, message, tmp_path):
    if "surface" in changes:
        changes |= {"escape": {"start": [0.0] * 3, "region": {"kind": "ball", "centre": [0.0] * 3, "radius": 1.0}}}
    document = yaml.safe_load(CONFIG)
    for section, values in changes.items():
        document[section] = values if section == "noise" else document[section] | values
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    result = CliRunner().invoke(app, ["exact", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert re.search(message, " ".join(result.output.split())), result.output


def test_escape_where_no_arm_can_be_solved_ends_before_it_begins(tmp_path):
    result = invoke("escape", tmp_path, "--exact", optimizer={"momentum": 0.9})
    assert result.exit_code == 2
    assert "without a velocity" in " ".join(result.output.split())
    assert not (tmp_path / "out" / "summary.csv").exists()
