"""The configuration on the page is the one that was run: read again, it has the same hash."""

from pathlib import Path

import pytest

from sam_sde.config.grid import expand, load_grid
from sam_sde.config.loading import load_config, read_document
from sam_sde.jobs.record import config_hash
from sam_sde.report.repeat import config_text, duration, yaml_text

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))

NAMES = ["1e-3", "1E5", ".5e1", "0.5", "NA", "null", "~", "yes", "032", "1:30", "2020-01-01", "<<", "=", "- x", "a: b"]
NAMES += ["#x", "'", '"', "ρ = 0.1", "[x]", "{x}", "&x", "*x", "!x", "%", "@", "`", " x ", "a\nb", "é", "0x1f", "1_000"]


def again(config, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(config_text(config.model_dump()), encoding="utf-8")
    return load_config(path, [])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_is_read_again_as_it_was(path, tmp_path):
    config = load_config(path, [])
    assert config_hash(again(config, tmp_path).model_dump()) == config_hash(config.model_dump())


@pytest.mark.parametrize(
    "sweep",
    [
        {"optimizer.batch_size": [8, 16], "arms.SAM.rho": {"log": [0.005, 0.08, 3]}},
        {
            "linked": [
                {"optimizer.lr": [0.01, 1e-5], "run.dt": [None, 1e-7]},
                {"run.seed": [1, 2], "escape.t_max": [1, 2]},
            ]
        },
        {"run.method": ["heun", "euler"], "escape.start": [[0, 0], {"normal": {"mean": "saddle", "std": 1e-3}}]},
        {"escape.region": [{"kind": "ball", "centre": [0, 0], "radius": 1}, {"kind": "loss", "above": 1.0}]},
    ],
    ids=["values and a range", "linked", "words and points", "sections"],
)
def test_a_grid_has_the_same_conditions_when_it_is_read_again(sweep, tmp_path):
    document = read_document(CONFIGS[0].parent / "sweep_rho_batch.yaml") | {"sweep": sweep}
    grid = expand(document)
    path = tmp_path / "config.yaml"
    path.write_text(yaml_text(grid.document), encoding="utf-8")
    assert load_grid(path).conditions == grid.conditions
    assert config_hash(load_grid(path).document) == config_hash(document)


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_may_have_any_name(name, tmp_path):
    config = load_config(CONFIGS[0].parent / "beale_saddle.yaml", [])
    renamed = config.model_copy(update={"arms": {name: config.arms["SGD"]}, "reference": name})
    assert list(again(renamed, tmp_path).arms) == [name]


@pytest.mark.parametrize(("seconds", "words"), [(12.34, "12.3 seconds"), (600.0, "10 minutes"), (36000.0, "10 hours")])
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words
