"""The record: what was run, and a hash of it."""

import json
import shlex
import sys

from sam_sde.jobs.record import config_hash, make_record

CONFIG = {"surface": {"name": "beale"}, "arms": {"SGD ρ": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.1}}}


def test_the_record_says_what_was_run_and_what_did_not_end(tmp_path, monkeypatch):
    typed = ["sam-sde", "weak", "my config.yaml", "--set", 'arms."SAM 0.1".rho=0.2']
    monkeypatch.setattr(sys, "argv", typed)
    record = make_record("weak", CONFIG, tmp_path, wall_time=1.23456, unfinished={"SAM": "failed"})
    assert record["command"] == "weak"
    assert shlex.split(record["command_line"]) == typed
    assert record["config"] == CONFIG
    assert record["config_hash"] == config_hash(CONFIG)
    assert record["interrupted"] is False
    assert record["unfinished"] == {"SAM": "failed"}
    assert record["wall_time"] == 1.235
    assert {"sam_sde", "torch", "python"} <= set(record["versions"])


def test_the_hash_is_of_what_the_configuration_says_and_of_the_order_of_its_arms():
    arms = CONFIG["arms"]
    assert len(config_hash(CONFIG)) == 64
    assert config_hash({"arms": arms, "surface": CONFIG["surface"]}) == config_hash(CONFIG)
    assert config_hash(json.loads(json.dumps(CONFIG))) == config_hash(CONFIG)
    assert config_hash(CONFIG | {"arms": dict(reversed(arms.items()))}) != config_hash(CONFIG)
    assert config_hash(CONFIG | {"surface": {"name": "himmelblau"}}) != config_hash(CONFIG)
