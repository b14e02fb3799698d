"""Whoever adds an optimizer, a noise, a region or a surface writes one class and puts it in a table."""

from typing import Literal

import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

import sam_sde as ss
from sam_sde.cli import app
from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.config.signatures import parameters_of
from sam_sde.dynamics import OPTIMIZERS
from sam_sde.noise import NOISES
from sam_sde.parameters import NonNegative, Point, Positive
from sam_sde.regions import REGIONS
from sam_sde.surfaces import SURFACES, LossSurface


class HalfSpace(ss.Region):
    """w₀ < edge, seen from `at`."""

    dim = None

    def __init__(self, at: Point, edge: float = 0.5):
        self.at, self.edge = torch.tensor(at), edge

    def levels(self, w):
        return w[:, :1] - self.at[0] - self.edge

    def normal(self, w, face):
        return torch.eye(w.shape[1], dtype=w.dtype)[:1].expand(len(w), -1)


class LossNoise(ss.Noise):
    """Σ = scale (1 + ℓ²) I."""

    def __init__(self, surface: ss.LossSurface, scale: NonNegative = 1.0):
        self.surface, self.scale = surface, scale

    def factor(self, w):
        size = (self.scale * (1 + self.surface.value(w).square())).sqrt()
        return size[:, None, None] * torch.eye(w.shape[1], dtype=w.dtype)


class Scaled(ss.SGD):
    """SGD along `factor` times the gradient."""

    def __init__(
        self,
        surface: ss.LossSurface,
        noise: ss.Noise,
        *,
        factor: Positive,
        side: Literal["up", "down"] = "down",
        **options,
    ):
        super().__init__(surface, noise, **options)
        self.factor = factor if side == "down" else -factor

    def descent(self, t, w):
        return self.factor * super().descent(t, w)


def plane(slope: float, dim: int = 2) -> LossSurface:
    """ℓ(w) = slope · w₀."""
    return LossSurface(lambda w: slope * w[0], dim, name="plane")


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    for table, name, entry in (
        (OPTIMIZERS, "scaled", Scaled),
        (NOISES, "of_loss", LossNoise),
        (REGIONS, "half_space", HalfSpace),
        (SURFACES, "plane", plane),
    ):
        monkeypatch.setitem(table, name, entry)


DOCUMENT = {
    "surface": {"name": "plane", "slope": -1.0},
    "noise": {"kind": "of_loss", "scale": 1e-6},
    "optimizer": {"lr": 0.01, "batch_size": 4},
    "arms": {
        "SGD": {"kind": "sgd"},
        "twice": {"kind": "scaled", "factor": 2},
        "coarse": {"kind": "scaled", "factor": 1, "lr": 0.02},
    },
    "escape": {"start": 0.0, "region": {"kind": "half_space", "at": 0.0}, "t_max": 1},
    "run": {"n_paths": 20, "engine": "torchsde", "dtype": "float64"},
}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(DOCUMENT))
    return tmp_path / "config.yaml"


def invoke(*arguments) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


def test_they_are_listed_with_their_parameters():
    lines = [line.strip() for line in invoke("list").splitlines()]
    assert "plane slope [dim=2]" in lines
    assert "of_loss [scale=1.0]" in lines
    assert "half_space at [edge=0.5]" in lines
    assert any(line.startswith("scaled factor [side=down] [lr] [batch_size=1]") for line in lines)


def test_they_are_validated(config):
    assert "twice: 20 paths" in invoke("validate", config)


def test_they_run(config, tmp_path):
    invoke("escape", config, "--out", tmp_path / "out")
    means = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="arm")["mean_time"]
    assert means.to_dict() == pytest.approx({"SGD": 0.5, "twice": 0.25, "coarse": 0.5}, rel=0.01)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"surface": {"name": "plane", "slop": 1}}, r"^surface\.slop: unknown key; did you mean 'slope'\?"),
        ({"noise": {"kind": "of_loss", "scale": -1}}, r"^noise\.scale: expected a number of at least 0, got -1"),
        ({"arms": {"a": {"kind": "scaled"}}}, r"^arms\.a\.factor: missing"),
        ({"arms": {"a": {"kind": "scaled", "factor": 0}}}, r"^arms\.a\.factor: expected a number above 0, got 0"),
        ({"arms": {"a": {"kind": "scaled", "factor": 1, "side": "dwn"}}}, r"^arms\.a\.side: .* did you mean 'down'\?"),
    ],
)
def test_what_is_wrong_with_their_keys_is_said_as_for_all_others(section, message):
    with pytest.raises(ConfigError, match=message):
        Setting(check_config(DOCUMENT | section))


def test_a_parameter_that_no_file_can_say_is_refused():
    class Odd(ss.SGD):
        def __init__(self, surface: ss.LossSurface, noise: ss.Noise, *, generator: torch.Generator, **options):
            super().__init__(surface, noise, **options)

    with pytest.raises(TypeError, match="Odd: generator cannot be written in a file"):
        parameters_of(Odd)
    assert "perturbation" not in parameters_of(ss.SAM)
