"""End states on the command line: the table, the lines that count them, interrupts, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde import cli
from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.escape import EscapeResult
from sam_sde.jobs.escape import Experiment

CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [2.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.05, "batch_size": 4},
    "arms": {"SGD": {"kind": "sgd"}, "SAM [1]": {"kind": "sam", "rho": 0.5}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.5}, "t_max": 6},
    "run": {"n_paths": 40, "engine": "torchsde", "device": "cpu", "ends": 30},
}
COLUMNS = "arm path outcome time loss gradient_norm perturbed_gradient_norm smallest_eigenvalue largest_eigenvalue "
COLUMNS += "state"


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Nor exponents of arms that hardly leave."""
    monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])
    monkeypatch.setattr("sam_sde.jobs.escape.least_exponent", lambda run: None)


def escape(folder, config=CONFIG, code=0, **keys):
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"run": config["run"] | keys}, sort_keys=False))
    result = CliRunner().invoke(cli.app, ["escape", str(folder / "config.yaml"), "--out", str(folder / "out")])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a run, and what it printed."""
    folder = tmp_path_factory.mktemp("ends")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])
        return folder / "out", escape(folder).stdout


def test_the_table_has_the_first_paths_of_each_arm_with_their_gradients(ran):
    ends, paths = (pd.read_csv(ran[0] / name) for name in ("ends.csv", "paths.csv"))
    assert list(ends.columns) == COLUMNS.split()
    assert [*ends["arm"]] == ["SGD"] * 30 + ["SAM [1]"] * 30
    paths = paths.query("path < 30").reset_index(drop=True)
    pd.testing.assert_frame_equal(ends[["arm", "path", "outcome", "time"]], paths[["arm", "path", "outcome", "time"]])
    np.testing.assert_allclose(ends["gradient_norm"], np.hypot(2 * paths["x0"], paths["x1"]), rtol=1e-5)
    np.testing.assert_allclose(ends["loss"], paths["x0"] ** 2 - paths["x1"] ** 2 / 2, atol=1e-6)
    np.testing.assert_allclose(ends[["smallest_eigenvalue", "largest_eigenvalue"]], [[-1, 2]] * 60)


def test_one_line_an_arm_counts_the_classes(ran):
    counts = pd.read_csv(ran[0] / "ends.csv").groupby("arm")["state"].value_counts()
    assert counts["SGD", "moving"] > 20
    assert counts["SAM [1]", "saddle"] > 20
    for arm in ("SGD", "SAM [1]"):
        minimum, saddle, stalled, moving = (
            counts.get((arm, state), 0) for state in ("minimum", "saddle", "stalled", "moving")
        )
        line = f"{arm}, end states of 30: {minimum} at a minimum, {saddle} at a saddle, {stalled} stalled, "
        assert line + f"{moving} moving\n" in ran[1]


def test_without_the_key_there_is_no_table_and_an_older_one_is_removed(tmp_path):
    escape(tmp_path)
    assert (tmp_path / "out" / "ends.csv").exists()
    assert "end states" not in escape(tmp_path, ends=None).stdout
    assert not (tmp_path / "out" / "ends.csv").exists()


def test_after_an_interrupt_while_they_are_judged_the_rest_is_on_disk(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(EscapeResult, "ends", interrupted)
    result = escape(tmp_path, code=130)
    assert "end states of SGD: interrupted on the way" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"summary.csv", "paths.csv", "run.json"}
    assert not (tmp_path / "out" / "ends.csv").exists()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["interrupted"] is True


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (0, "run.ends: expected a number of at least 1, got 0"),
        (2.5, "run.ends: expected a whole number, got 2.5"),
        ("all", "run.ends: expected a whole number, got 'all'"),
        (True, "run.ends: expected a whole number, got true"),
    ],
)
def test_a_number_of_paths_that_is_none_is_refused(ends, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        check_config(CONFIG | {"run": {"ends": ends}})


SINGLE = """
import torch

def loss(w): return (w.to(torch.float32) @ torch.eye(2) @ w).sum()
"""


def test_a_loss_that_cannot_be_judged_in_double_precision_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "single.py").write_text(SINGLE)
    error = escape(tmp_path, CONFIG | {"surface": {"python": "single.py:loss", "dim": 2}}, code=2).stderr
    assert error.startswith("error: run.ends: expected a loss with second derivatives in double precision, got ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_ends_of_an_experiment_are_those_of_its_results(tmp_path):
    experiment = Experiment(Setting(check_config(CONFIG), tmp_path))
    experiment.execute(lambda arm, progress: None)
    for arm, rows in experiment.ends.groupby("arm"):
        rows = rows.drop(columns="arm").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, experiment.results[arm].ends(30))
    assert experiment.unfinished == {}
