"""The record: there only beside whole results, and read only where it fits them."""

import json

import pandas as pd
import pytest

from sam_sde.errors import InputError
from sam_sde.jobs.record import config_hash, make_record, read_record, write_result

CONFIG = {"surface": {"name": "beale"}, "arms": {"SGD ρ": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.1}}}
ERRORS = pd.DataFrame([("SGD", 0.1, "loss", 1.0, 0.5, 2.0)])
ERRORS.columns = ["arm", "lr", "test_function", "error", "error_low", "error_high"]
ORDERS = pd.DataFrame([("SGD", "loss", 1.0, 0.5, 2.0)])
ORDERS.columns = ["arm", "test_function", "order", "order_low", "order_high"]
FRAMES = {"weak": ERRORS, "weak_order": ORDERS}


def write(folder, frames=FRAMES):
    return write_result(frames.items(), make_record("weak", CONFIG, folder, wall_time=1.23456), folder)


def test_the_record_says_what_was_run_and_what_was_written(tmp_path):
    written = write(tmp_path)
    assert [path.name for path in written] == ["weak.csv", "weak_order.csv", "weak.json"]
    record = read_record(tmp_path, "weak")
    assert record["command"] == "weak"
    assert record["config"] == CONFIG
    assert record["config_hash"] == config_hash(CONFIG)
    assert record["tables"] == ["weak.csv", "weak_order.csv"]
    assert record["interrupted"] is False
    assert record["wall_time"] == 1.235
    assert {"sam_sde", "torch", "python"} <= set(record["versions"])


def test_the_hash_is_of_what_the_configuration_says_and_of_the_order_of_its_arms():
    arms = CONFIG["arms"]
    assert len(config_hash(CONFIG)) == 64
    assert config_hash({"arms": arms, "surface": CONFIG["surface"]}) == config_hash(CONFIG)
    assert config_hash(json.loads(json.dumps(CONFIG))) == config_hash(CONFIG)
    assert config_hash(CONFIG | {"arms": dict(reversed(arms.items()))}) != config_hash(CONFIG)
    assert config_hash(CONFIG | {"surface": {"name": "himmelblau"}}) != config_hash(CONFIG)


def test_what_an_earlier_result_left_is_removed_and_what_others_left_is_not(tmp_path):
    write(tmp_path)
    for name in ("weak.png", "weak.pdf", "run.json", "summary.csv", "notes.txt"):
        (tmp_path / name).write_text("")
    write(tmp_path, {"weak": ERRORS})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"weak.csv", "weak.json", "run.json", "summary.csv", "notes.txt"}


def test_there_is_no_record_where_not_all_tables_were_written(tmp_path):
    write(tmp_path)

    def frames():
        yield "weak", ERRORS
        assert not (tmp_path / "weak.json").exists()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_result(frames(), make_record("weak", CONFIG, tmp_path, wall_time=1.0), tmp_path)
    with pytest.raises(InputError, match=r"no whole result of `sam-sde weak`: no weak\.json; run `sam-sde weak CONFIG"):
        read_record(tmp_path, "weak")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("{}", "KeyError: 'tables'"),
        ("[]", "TypeError"),
        ('{"config_hash": "", "config": [], "tables": []}', "TypeError"),
        ('{"config_hash": "", "config": {"arms": []}, "tables": []}', "AttributeError"),
    ],
)
def test_a_file_that_is_no_record_is_named(content, reason, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=rf"run\.json is no record of a result \({reason}.*; run `sam-sde escape"):
        read_record(tmp_path)


def test_a_record_that_does_not_fit_says_what_does_not(tmp_path):
    write(tmp_path)
    (tmp_path / "weak_order.csv").unlink()
    with pytest.raises(InputError, match=r"weak\.json names weak_order\.csv, which is not there"):
        read_record(tmp_path, "weak")
    path = tmp_path / "weak.json"
    path.write_text(path.read_text().replace("beale", "himmelblau"))
    with pytest.raises(InputError, match="config_hash is not that of the configuration"):
        read_record(tmp_path, "weak")
