"""Every configuration that comes with the package runs, and says that both SGD and SAM escape."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sam_sde.cli import app

CONFIGS = Path(__file__).parents[1] / "configs"
SMALLER = {
    "beale_saddle": ["run.n_paths=300", "escape.t_max=1"],
    "quadratic_saddle": ["run.n_paths=100", "run.dt=0.05", "escape.t_max=10"],
    "expression": ["run.n_paths=100", "run.dt=0.04", "escape.t_max=12"],
    "sweep_rho_batch": ["run.n_paths=100", "escape.t_max=12"],
    "rare_sam": ["run.n_paths=100", "arms.SAM.rho=0.02", "escape.t_max=30"],
    "momentum": ["run.n_paths=100", "run.dt=0.1", "escape.t_max=12"],
    "toy_network": ["run.n_paths=60", "run.ends=60", "escape.t_max=4"],
    "weak": ["run.n_paths=100"],
    "action": ["noise.sigma=2000", "run.n_paths=100", "escape.t_max=0.3"],
    "stability": ["run.n_paths=100", "escape.t_max=1"],
    "exact_sde": ["run.n_paths=100"],
    "displacement": ["run.n_paths=60", "run.dt=0.05", "optimizer.lr=0.05", "arms.Momentum.lr=0.05"],
    "double_well": ["run.n_paths=60", "escape.t_max=50"],
    "autoencoder_digits": ["run.n_paths=4", "optimizer.lr=0.2", "optimizer.batch_size=128", "escape.t_max=20"],
    "breast_cancer_mlp": ["run.n_paths=20", "escape.t_max=8"],
}


def test_every_configuration_is_tested():
    assert {path.stem for path in CONFIGS.iterdir()} == set(SMALLER)


def toy_network_says_what_the_paper_says(folder):
    """SGD reaches the global minimum; more of SAM's runs stay at saddles and the mean loss is higher, the larger ρ."""
    ends = pd.read_csv(folder / "ends.csv")
    shares = pd.crosstab(ends["arm"], ends["state"], normalize="index")
    assert shares.loc["SGD", "minimum"] > 0.75
    assert shares.loc["SAM ρ=0.2", "minimum"] < 0.1
    assert shares.loc["SAM ρ=0.2", "saddle"] > 0.3
    losses = ends.groupby("arm")["loss"].mean()
    assert losses[["SGD", "SAM", "SAM ρ=0.1", "SAM ρ=0.2"]].is_monotonic_increasing


DRAWN = {"beale_saddle", "breast_cancer_mlp"}  # of two coordinates, and of more

CLAIMS = {"toy_network": toy_network_says_what_the_paper_says}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLER)
def test_configuration_runs_and_its_arms_escape(name, tmp_path, monkeypatch):
    if name not in DRAWN:
        monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 30)
    monkeypatch.setattr("sam_sde.jobs.landscape.GRID", 11)
    changes = [part for change in SMALLER[name] for part in ("--set", change)]
    result = CliRunner().invoke(app, ["escape", str(CONFIGS / f"{name}.yaml"), "--out", str(tmp_path), *changes])
    assert result.exit_code == 0, result.output
    summary = pd.read_csv(tmp_path / "summary.csv", index_col="arm")
    sam = "SAM" if "SAM" in summary.index else "USAM"
    assert (summary.loc[["SGD", sam], "fraction_escaped"] > 0.4).all()
    assert (summary["n_failed"] == 0).all()
    if name in CLAIMS:
        CLAIMS[name](tmp_path)
