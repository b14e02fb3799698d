"""The configuration on the page is the one that was run: read again, it has the same hash."""

from pathlib import Path

import pytest

from sam_sde.config.loading import load_config
from sam_sde.jobs.record import config_hash
from sam_sde.report.repeat import config_text, duration

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


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_may_have_any_name(name, tmp_path):
    config = load_config(CONFIGS[0].parent / "beale_saddle.yaml", [])
    renamed = config.model_copy(update={"arms": {name: config.arms["SGD"]}, "reference": name})
    assert list(again(renamed, tmp_path).arms) == [name]


@pytest.mark.parametrize(("seconds", "words"), [(12.34, "12.3 seconds"), (600.0, "10 minutes"), (36000.0, "10 hours")])
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words
