"""The command `weak`: its files, its ablation, and what it refuses."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config, load_config
from sam_sde.jobs.results import Destination
from sam_sde.jobs.weak import WeakExperiment

CONFIG = Path(__file__).parents[2] / "configs" / "weak.yaml"

# Without noise nothing is left to chance: the algorithm beside an ordinary differential equation.
STILL = """
surface: {name: beale}
noise: {kind: none}
optimizer: {lr: 0.0008, drift_order: 2}
arms:
  SGD: {kind: sgd}
  SAM: {kind: sam, rho: 0.1}
  expansion: {kind: sam, rho: 0.1, drift: expansion, drift_order: 1}
  "SGD (discrete)": {kind: sgd, engine: discrete, drift_order: 1}
escape: {start: [0.5, 1.2], region: {kind: ball, centre: [0, 1], radius: 5}, t_max: 1}
weak: {t: 0.0032, lrs: [0.0008, 0.0004, 0.0002], n_paths: 100}
"""


def experiment(**changes):
    document = yaml.safe_load(STILL)
    for section, values in changes.items():
        document[section] = {**document[section], **values} if isinstance(values, dict) else values
    return WeakExperiment(Setting(check_config(document)))


def orders(**changes):
    found = experiment(**changes)
    found.execute(lambda what: None)
    return found.orders.set_index(["arm", "test_function"])["order"].unstack()


@pytest.mark.slow
def test_files_columns_and_the_orders_that_they_hold(tmp_path):
    changes = ["weak.n_paths=1500", "weak.lrs=[0.1, 0.075, 0.05]", "weak.test_functions=[gradient_norm, x1]"]
    arguments = [part for change in changes for part in ("--set", change)]
    result = CliRunner().invoke(app, ["weak", str(CONFIG), "--out", str(tmp_path), *arguments])
    assert result.exit_code == 0, result.output
    files = {"weak.csv", "weak_order.csv", "weak.json", "weak.png", "weak.pdf"}
    assert {path.name for path in tmp_path.iterdir()} == files
    drawn = (tmp_path / "weak.png").read_bytes()
    assert CliRunner().invoke(app, ["plot", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "weak.png").read_bytes() == drawn
    errors, fitted = pd.read_csv(tmp_path / "weak.csv"), pd.read_csv(tmp_path / "weak_order.csv")
    assert list(errors) == ["arm", "lr", "test_function", "error", "error_low", "error_high"]
    assert list(fitted) == ["arm", "test_function", "order", "order_low", "order_high"]
    arms = ["SGD", "SAM", "SAM (SGD's noise)"]
    assert list(dict.fromkeys(errors["arm"])) == list(dict.fromkeys(fitted["arm"])) == arms
    assert len(errors) == 3 * 3 * 2
    assert len(fitted) == 3 * 2
    assert ((errors["error_low"] <= errors["error"]) & (errors["error"] <= errors["error_high"])).all()
    at = errors[errors["test_function"] == "gradient_norm"].pivot(index="lr", columns="arm", values="error")
    assert (at["SAM (SGD's noise)"] > 1.3 * at["SAM"]).all()


@pytest.mark.slow
def test_without_noise_the_orders_are_those_of_the_drifts():
    """The expansion is off by O(ρ²): at constant ρ its error stays, with ρ ~ √lr it has order 1."""
    constant, root = orders(), orders(weak={"rho_scaling": "sqrt"})
    assert list(constant.index) == ["SAM", "SGD", "expansion"]
    np.testing.assert_allclose(constant.loc[["SGD", "SAM"]], 2.0, atol=0.3)
    assert (constant.loc["expansion"].abs() < 0.5).all()
    np.testing.assert_allclose(root.loc["expansion"], 1.0, atol=0.3)
    first = orders(optimizer={"drift_order": 1}, arms={"SGD": {"kind": "sgd"}})
    np.testing.assert_allclose(first.loc["SGD"], 1.0, atol=0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weak": None}, "weak: missing; give it"),
        ({"weak": {"lrs": [0.1, 0.05]}}, r"weak\.lrs: "),
        ({"weak": {"lrs": [0.0008, 0.0008, 0.0004]}}, r"weak\.lrs: expected different learning rates"),
        ({"weak": {"lrs": [0.0008, 0.0004, 0.0003]}}, r"weak\.t: expected a whole number of steps of lr = 0\.0003"),
        ({"weak": {"t": 0}}, r"weak\.t: expected a number above 0"),
        ({"weak": {"test_functions": ["los"]}}, r"weak\.test_functions: unknown value 'los'; did you mean 'loss'"),
        ({"weak": {"test_functions": ["x2"]}}, r"weak\.test_functions: the surface has 2 coordinates"),
        ({"weak": {"n_paths": 3}}, r"weak\.n_paths: expected a number of at least 100"),
        ({"weak": {"rho_scaling": "root"}}, r"weak\.rho_scaling: unknown value 'root'"),
        ({"weak": {"paths": 3}}, r"weak\.paths: unknown key"),
        ({"optimizer": {"drift_order": 3}}, r"optimizer\.drift_order: expected a number of at most 2"),
        (
            {"optimizer": {"drift_order": 2, "momentum": 0.9}},
            "drift_order: 2 is known for plain steps only",
        ),
        (
            {"run": {"engine": "discrete"}, "arms": {"SGD": {"kind": "sgd"}}},
            "weak: every arm has the engine",
        ),
        ({"escape": {"start": [0.0]}}, "start: expected 2"),
    ],
)
def test_bad_configurations_are_refused(changes, message):
    document = yaml.safe_load(STILL) | {"run": {}}
    for section, values in changes.items():
        replace = values is None or section == "arms"
        document[section] = values if replace else {**document[section], **values}
    with pytest.raises(ConfigError, match=message):
        WeakExperiment(Setting(check_config(document)))


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["1.0", "NA", "true"])
def test_an_arm_that_looks_like_no_name_is_drawn_again(arm, tmp_path, monkeypatch):
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 30)
    document = yaml.safe_load(STILL)
    found = experiment(arms={arm: document["arms"]["SGD"]}, weak={"test_functions": ["loss"]})
    found.execute(lambda what: None)
    found.write(Destination(tmp_path, "weak"))
    result = CliRunner().invoke(app, ["plot", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "weak.png").exists()


def test_plot_says_what_is_wrong_with_a_table_of_weak_errors(tmp_path):
    (tmp_path / "weak.csv").write_text("arm,error\nSGD,1\n")
    result = CliRunner().invoke(app, ["plot", str(tmp_path)])
    assert result.exit_code == 2
    assert "no weak.json" in result.output
    assert "sam-sde weak" in result.output


EXACT = """
surface: {name: quadratic, eigenvalues: [2.0, -1.0]}
noise: {kind: isotropic, sigma: 1.0}
optimizer: {lr: 0.1}
arms:
  SGD: {kind: sgd}
  SGD (exact): {kind: sgd, sde: exact}
  USAM: {kind: usam, rho: 0.2, ascent: same}
  USAM (exact): {kind: usam, rho: 0.2, ascent: same, sde: exact}
escape: {start: [1.0, 0.5], region: {kind: ball, centre: [0, 0], radius: 5}, t_max: 3}
weak: {t: 0.6, lrs: [0.1, 0.075, 0.06], test_functions: [squared_norm, x0], n_paths: 1000}
"""


def test_the_sde_that_is_exact_on_quadratics_has_far_smaller_errors(tmp_path):
    """By more than ten at the largest step, of mean and of second moment."""
    (tmp_path / "config.yaml").write_text(EXACT, encoding="utf-8")
    experiment = WeakExperiment(Setting(load_config(tmp_path / "config.yaml", ())))
    experiment.execute(lambda what: None)
    errors = experiment.errors[experiment.errors["lr"] == 0.1].set_index(["arm", "test_function"])
    for arm, function in itertools.product(("SGD", "USAM"), ("squared_norm", "x0")):
        usual, exact = (errors.loc[(name, function)] for name in (arm, f"{arm} (exact)"))
        assert exact["error_high"] < 0.1 * usual["error_low"], (arm, function)


def test_steps_that_do_not_resolve_the_exact_sde_are_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(EXACT, encoding="utf-8")
    config = load_config(tmp_path / "config.yaml", ["weak.lrs=[0.2, 0.1, 0.05]"])
    with pytest.raises(ConfigError, match=r"lrs: at 0.2 lr · λ is 0.4, and above 0.3"):
        WeakExperiment(Setting(config))
