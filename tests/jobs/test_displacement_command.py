"""The command `displacement`: its files, what they say of a quadratic saddle, and what it refuses."""

import json

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.jobs.displacement import DisplacementExperiment
from sam_sde.jobs.tables import TABLES

CONFIG = """
surface: {name: quadratic, eigenvalues: [-1.0, 2.0]}
noise: {kind: hessian, at: [0, 0]}
optimizer: {lr: 0.01, batch_size: 32}
arms:
  SGD: {kind: sgd}
  USAM: {kind: usam, rho: 0.02, drift: total}
  SAM: {kind: sam, rho: 0.1}
  SGD (discrete): {kind: sgd, engine: discrete}
  USAM (discrete): {kind: usam, rho: 0.02, engine: discrete}
displacement: {times: 8, t_max: 0.5}
escape: {start: [0, 0], region: {kind: ball, centre: [0, 0], radius: 1}, t_max: 3}
run: {n_paths: 500}
"""


def document(**changes):
    found = yaml.safe_load(CONFIG)
    for section, values in changes.items():
        found[section] = {**found[section], **values} if section != "arms" else values
    return found


def experiment(**changes):
    return DisplacementExperiment(Setting(check_config(document(**changes))))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("displacement")
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.figures.folder.DPI", 30)
        arguments = ["displacement", str(folder / "config.yaml"), "--out", str(folder / "out")]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "Mean-squared displacement at t = 0.5" in said
    assert "warning: SAM: exact, discrete and formula are empty" in said
    return folder / "out"


def test_files_and_record(out):
    files = {"displacement.csv", "displacement_gaps.csv", "displacement.json", "displacement.png", "displacement.pdf"}
    assert {path.name for path in out.iterdir()} == files
    record = json.loads((out / "displacement.json").read_text())
    assert record["eigenvalues"] == {"0": -1.0, "1": 2.0}
    assert record["formulas"]["USAM"] == "Theorem 2 of Kim et al."
    assert record["formulas"]["SGD"] == "Xie et al. for SGD"
    assert record["formulas"]["SAM"] is None
    assert record["warnings"][0].startswith("SAM: exact, discrete and formula are empty")


def test_every_arm_has_its_theory_and_its_formula(out):
    table = pd.read_csv(out / "displacement.csv")
    assert list(table) == list(TABLES["displacement"].columns)
    last = table[table["time"] == 0.5].set_index(["arm", "direction"])
    for arm, column in {"SGD": "exact", "USAM": "exact", "SGD (discrete)": "discrete"}.items():
        for direction in (0, 1):
            row = last.loc[(arm, direction)]
            assert abs(row["msd"] - row[column]) < 4 * (row["msd_high"] - row["msd"]) / 1.96
            assert row["formula_valid"] == 1
    # The algorithm of USAM has another drift than Theorem 2, here by little.
    assert last.loc[("SGD", 0), "discrete"] == last.loc[("SGD (discrete)", 0), "discrete"]
    assert last.loc[("USAM", 0), "formula"] == pytest.approx(last.loc[("USAM", 0), "exact"])
    assert last.loc["SAM", ["exact", "formula"]].isna().all(axis=None)


def test_gaps_are_those_of_like_arms(out):
    """Of the total drift that of Corollary 1, and of the algorithm half of it."""
    gaps = pd.read_csv(out / "displacement_gaps.csv")
    pairs = dict(zip(gaps["arm"], gaps["reference"], strict=True))
    assert pairs == {"USAM": "SGD", "USAM (discrete)": "SGD (discrete)"}
    error = (gaps["gap_high"] - gaps["gap"]) / 1.96
    expected = gaps["exact"].where(gaps["arm"] == "USAM", gaps["discrete"])
    assert ((gaps["gap"] - expected).abs() < 4 * error).all()
    early = gaps[(gaps["direction"] == 0) & (gaps["time"] == gaps["time"].min())].set_index("arm")
    assert early.loc["USAM", "formula"] == pytest.approx(early.loc["USAM", "exact"], rel=0.05)
    assert early.loc["USAM", "formula_valid"] == 1
    of_algorithm = gaps[(gaps["direction"] == 0) & (gaps["arm"] == "USAM (discrete)") & (gaps["time"] > 0.09)].iloc[0]
    # After k steps k(k-1)/2 in the place of k²/2.
    k = round(of_algorithm["time"] / 0.01)
    assert of_algorithm["formula"] / of_algorithm["discrete"] == pytest.approx(2 * k / (k - 1), rel=0.25)
    assert of_algorithm["formula_valid"] == 0


@pytest.mark.slow
def test_the_figure_can_be_drawn_again(out, monkeypatch):
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 30)
    drawn = (out / "displacement.pdf").read_bytes()
    assert CliRunner().invoke(app, ["plot", str(out)]).exit_code == 0
    assert (out / "displacement.pdf").read_bytes() == drawn


def test_a_point_by_its_name_and_a_start_beside_it():
    found = experiment(displacement={"at": "saddle"}, escape={"start": {"normal": {"mean": [0.1, 0], "std": 0.05}}})
    theory = found.runs["SGD"].theory
    assert theory.exact[0, 0] == pytest.approx(0.1**2 + 0.05**2, rel=0.05)
    assert theory.exact[0, 1] == pytest.approx(0.05**2, rel=0.1)


def test_without_a_section_it_goes_to_the_time_of_the_escape():
    plain = {key: value for key, value in document().items() if key != "displacement"}
    found = DisplacementExperiment(Setting(check_config(plain)))
    assert found.runs["SGD"].times[-1] == pytest.approx(3.0)
    assert found.runs["SGD"].n_paths == 500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"displacement": {"at": [1, 1]}}, r"displacement\.at: expected a critical point of the loss"),
        ({"escape": {"start": [1, 1]}}, r"displacement\.at: expected a critical point"),
        ({"displacement": {"at": "minimum"}}, r"displacement\.at: no minimum of the surface quadratic is known"),
        ({"displacement": {"directions": [5]}}, r"displacement\.directions: expected a whole number from -2 to 1"),
        ({"displacement": {"times": [0.015]}}, r"displacement\.times: expected whole numbers of steps"),
        ({"displacement": {"times": 0}}, r"displacement\.times: "),
        ({"displacement": {"t_max": 0}}, r"displacement\.t_max: expected a number above 0"),
        ({"displacement": {"time": 3}}, r"displacement\.time: unknown key; did you mean 'times'"),
        ({"run": {"method": "srk", "engine": "compiled"}}, r"run\.method: 'srk' does not integrate"),
    ],
)
def test_bad_configurations_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        experiment(**changes)


def test_a_long_arm_tells_how_far_it_is(monkeypatch):
    monkeypatch.setattr("sam_sde.jobs.displacement.SILENCE", 0.0)
    said = []
    experiment(arms={"SGD": {"kind": "sgd"}}, run={"n_paths": 10}, displacement={"t_max": 1.28}).execute(said.append)
    assert said == ["SGD", "SGD: 25 %", "SGD: 50 %", "SGD: 75 %"]
