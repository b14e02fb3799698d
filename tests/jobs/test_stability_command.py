"""The command `stability`: its files, what they say of the quadratic saddle, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.jobs.stability import StabilityExperiment

# x² - y².
CONFIG = """
surface: {name: quadratic, eigenvalues: [2.0, -2.0]}
noise: {kind: isotropic, sigma: 1.0}
optimizer: {lr: 0.01}
arms:
  SGD: {kind: sgd, momentum: 0.5}
  SAM: {kind: sam, rho: 0.4}
  USAM: {kind: usam, rho: 1.5}
escape: {start: [-3, -0.01], region: {kind: box, low: [-4, -1], high: [4, 1]}, t_max: 5}
stability: {bounds: [[-3, -0.6], [3, 0.6]], starts: 4, basin_starts: 25, trap: saddle}
"""


def document(**changes):
    found = yaml.safe_load(CONFIG)
    for section, values in changes.items():
        together = isinstance(values, dict) and section not in ("surface", "arms")
        found[section] = {**found[section], **values} if together else values
    return found


def executed(**changes):
    experiment = StabilityExperiment(Setting(check_config(document(**changes))))
    experiment.execute(lambda what: None)
    return experiment


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stability")
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.jobs.stability.FIELD_GRID", 11)
        patch.setattr("sam_sde.figures.folder.DPI", 30)
        arguments = ["stability", str(folder / "config.yaml"), "--out", str(folder / "out")]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "SAM: trapped from rho = 0.0948" in result.output
    return folder / "out"


def test_files_and_record(out):
    tables = {"stability_points", "stability_arms", "stability_stalls", "basins", "basin_starts", "portrait"}
    files = {f"{name}.csv" for name in tables} | {"stability.json", "portrait.png", "portrait.pdf"}
    assert {path.name for path in out.iterdir()} == files
    record = json.loads((out / "stability.json").read_text())
    assert record["compared_at"] == {"lr": 0.01, "momentum": 0.0, "nesterov": False, "rho": 0.4}
    assert record["critical_rho"]["SAM"] == pytest.approx(0.0948, abs=2e-4)
    assert record["critical_rho"]["USAM"] == pytest.approx(0.5, abs=0.01)  # Theorem 1, up to terms in the step


def test_the_saddle_and_who_it_attracts(out):
    (point,) = pd.read_csv(out / "stability_points.csv").to_dict("records")
    assert (point["kind"], point["index"], point["eigenvalues"]) == ("saddle", 1, "-2;2")
    assert (point["attracts_gd"], point["attracts_usam"], point["attracts_sam"]) == (0, 0, 1)
    assert (point["rho_threshold"], point["trapping_radius"]) == (0.5, 0.4)
    arms = pd.read_csv(out / "stability_arms.csv", index_col="arm")
    assert arms["attracts"].tolist() == [0, 1, 1]
    assert arms["admitted"].fillna(-1).tolist() == [0, -1, 1]
    assert [float(x) for x in arms.loc["USAM", "flow"].split(";")] == pytest.approx([-4.0, -8.0])
    blocks = [np.array([[1 - 0.01 * x, -0.01 * 0.5], [x, 0.5]]) for x in (-2, 2)]
    largest = [max(np.linalg.eigvals(block), key=abs).real for block in blocks]
    assert [float(x) for x in arms.loc["SGD", "multipliers"].split(";")] == pytest.approx(largest)
    stalls = pd.read_csv(out / "stability_stalls.csv")
    assert stalls["arm"].tolist() == ["SAM", "SAM"]
    np.testing.assert_allclose(stalls["x1"].abs(), 0.4)
    np.testing.assert_allclose(stalls["loss"], -(0.4**2))


def test_the_portrait_has_loss_and_velocity_of_each_optimizer(out):
    """x² - y²: the flow is -∇ℓ of SGD, and -∇ℓ(w + ρ∇ℓ/‖∇ℓ‖) of SAM; u = (x, -y)/r is the direction of ∇ℓ."""
    for arm, rho in (("SGD", 0.0), ("SAM", 0.4)):
        x, y, loss, *velocity = pd.read_csv(out / "portrait.csv", index_col="arm").loc[arm].to_numpy().T
        radius = np.hypot(x, y)
        away = radius > 0
        np.testing.assert_allclose(loss, x**2 - y**2, atol=1e-9)
        expected = -2 * x[away] * (1 + rho / radius[away]), 2 * y[away] * (1 - rho / radius[away])
        np.testing.assert_allclose(np.array(velocity)[:, away], expected, atol=1e-8)


def test_basins_are_counted_from_their_starts(out):
    basins, starts = pd.read_csv(out / "basins.csv"), pd.read_csv(out / "basin_starts.csv")
    assert len(starts) == 3 * 25
    assert (basins.groupby("arm")["n_starts"].sum() == 25).all()
    held = starts[(starts["kind"] == "saddle")].groupby("arm").size()
    assert held["SAM"] > held["SGD"]
    assert held["USAM"] == 25


@pytest.mark.slow
def test_the_figure_can_be_drawn_again(out, monkeypatch):
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 30)
    drawn = (out / "portrait.pdf").read_bytes()
    assert CliRunner().invoke(app, ["plot", str(out)]).exit_code == 0
    assert (out / "portrait.pdf").read_bytes() == drawn


def test_without_a_list_the_points_are_searched_around_the_region():
    surface = {"expression": "(w0**2 - 1)**2 + w1**2"}
    escape = {"start": [1.0, 0.0], "region": {"kind": "ball", "centre": [1, 0], "radius": 1.2}, "t_max": 0.1}
    found = executed(surface=surface, escape=escape, stability={"bounds": None, "starts": 12, "trap": None})
    table = dict(found.tables())["stability_points"].sort_values("kind")
    assert table["kind"].tolist() == ["minimum", "saddle"]
    np.testing.assert_allclose(table["loss"], [0, 1], atol=1e-12)
    np.testing.assert_array_equal(table["trapping_radius"], [np.nan, 0.4])


def test_the_points_are_judged_with_nesterovs_momentum_where_the_arm_has_it():
    """At a minimum heavy ball is attracted up to lr = 2(1+γ)/max λ = 1.5, Nesterov's to 0.75."""
    for nesterov, attracted in ((False, 1.0), (True, 0.0)):
        arms = {"SAM": {"kind": "sam", "rho": 0.1, "momentum": 0.5, "nesterov": nesterov, "lr": 1.0}}
        surface = {"name": "quadratic", "eigenvalues": [2.0, 1.0]}
        changes = {"arms": arms, "surface": surface, "escape": {"t_max": 1}}
        found = executed(**changes, stability={"trap": None, "bounds": [[-1, -1], [1, 1]]})
        table, arms_table = found.points_table(), dict(found.tables())["stability_arms"]
        assert table[["attracts_gd", "attracts_usam", "attracts_sam"]].to_numpy().tolist() == [[attracted] * 3]
        assert arms_table["attracts"].tolist() == [attracted]


def test_starts_that_are_still_moving_are_told_of():
    found = executed(escape={"t_max": 0.1}, stability={"trap": None})
    assert len(found.cautions) == 3
    assert found.cautions[0].startswith("SGD: 96 %")
    assert "still moving at t = 0.1; raise stability.t_max" in found.cautions[0]


def test_of_more_than_two_coordinates_there_is_no_portrait():
    surface = {"name": "quadratic", "eigenvalues": [1.0, -1.0, 2.0]}
    escape = {"start": [0.1, 0.1, 0.0], "region": {"kind": "slab", "centre": 0.0, "direction": [0, 1, 0]}}
    escape |= {"t_max": 0.1}
    escape["region"]["half_width"] = 1.0
    found = executed(surface=surface, escape=escape, stability={"bounds": None, "trap": None})
    tables = dict(found.tables())
    assert set(tables) == {"stability_points", "stability_arms", "stability_stalls", "basins"}
    assert list(tables["stability_points"])[-3:] == ["x0", "x1", "x2"]
    low, high = found.bounds
    assert -3 < low[1] < -1.1
    assert 1.1 < high[1] < 3


def test_in_many_dimensions_the_known_points_are_judged_alone():
    surface = {"name": "quadratic", "eigenvalues": [1.0, -1.0] * 15}
    escape = {"start": 0.0, "region": {"kind": "ball", "centre": 0.0, "radius": 1.0}}
    found = executed(surface=surface, escape=escape, stability={"bounds": None, "trap": None})
    tables = dict(found.tables())
    assert set(tables) == {"stability_points", "stability_arms", "stability_stalls"}
    assert tables["stability_points"]["index"].tolist() == [15]
    assert tables["stability_stalls"].empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stability": {"bounds": [[0, 0]]}}, r"stability\.bounds: "),
        ({"stability": {"bounds": [[0, 0], [0, 1]]}}, r"stability\.bounds: expected low < high"),
        ({"stability": {"bounds": [[0], [1]]}}, r"stability\.bounds: expected 2 numbers"),
        ({"stability": {"starts": 0}}, r"stability\.starts: expected a number of at least 1"),
        ({"stability": {"bound": 1}}, r"stability\.bound: unknown key; did you mean 'bounds'"),
        ({"stability": {"trap": "minimum"}}, r"stability\.trap: no minimum of the surface quadratic is known"),
        ({"stability": {"bounds": None}, "escape": {"start": [9, 0]}}, r"escape\.start: it lies outside the region"),
        ({"stability": {"trap": [0.2, 0.0]}}, r"stability\.trap: \[0\.2, 0\.0\] is no critical point"),
        ({"optimizer": {"weight_decay": 0.1}}, r"arms\.SGD\.weight_decay: expected 0"),
        (
            {
                "surface": {"expression": "exp(w0) + w1**2"},
                "stability": {"bounds": [[0, 0], [1, 1]], "trap": None},
            },
            r"stability\.bounds: no critical point found from 4 starts",
        ),
    ],
)
def test_bad_configurations_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        executed(**changes)
