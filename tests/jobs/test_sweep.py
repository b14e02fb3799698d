"""A study has the same tables whoever computes it, in whatever order, and however often that is cut off."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app
from sam_sde.jobs.store import FOLDER, Entry

CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01, "batch_size": 8},
    "arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.01}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.2}, "t_max": 1.0},
    "sweep": {"optimizer.batch_size": [8, 16], "arms.SAM.rho": {"log": [0.01, 0.04, 3]}},
    "run": {"n_paths": 60, "block_size": 20, "engine": "torchsde", "device": "cpu"},
}
TABLES = ("conditions", "summary", "comparison", "survival")


@pytest.fixture(autouse=True, scope="module")
def few_pixels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.figures.folder.DPI", 30)
        yield


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """But for the study of the fixture `alone`, which no test draws again. Nor exponents of arms that hardly leave."""
    monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])
    monkeypatch.setattr("sam_sde.jobs.escape.least_exponent", lambda run: None)


def written(folder, **sections):
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | sections, sort_keys=False))
    return folder / "config.yaml"


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def sweep(config, out, *options, code=0):
    return invoke("sweep", config, "--out", out, *options, code=code)


def tables(out, names=TABLES):
    return {name: (out / f"{name}.csv").read_bytes() for name in names}


def blocks(out):
    return {path.relative_to(out): path.stat().st_mtime_ns for path in (out / FOLDER).glob("*/[0-9]*.npz")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The tables of a study that one process computed in one go, and its blocks."""
    folder = tmp_path_factory.mktemp("alone")
    sweep(written(folder), folder / "out", "--workers", "1")
    return folder / "out"


def test_every_condition_and_arm_has_a_row_with_the_swept_keys_first(alone):
    summary = pd.read_csv(alone / "summary.csv")
    assert list(summary.columns[:3]) == ["optimizer.batch_size", "arms.SAM.rho", "arm"]
    assert list(zip(*(summary[name] for name in summary.columns[:3]), strict=True)) == [
        (batch_size, rho, arm) for batch_size in (8, 16) for rho in (0.01, 0.02, 0.04) for arm in ("SGD", "SAM")
    ]
    assert pd.read_csv(alone / "conditions.csv")["condition"].nunique() == 6


def test_a_condition_has_the_numbers_of_an_escape_run_with_its_values(alone, tmp_path):
    config = written(tmp_path, sweep=None)
    invoke(
        "escape", config, "--out", tmp_path / "out", "--set", "optimizer.batch_size=16", "--set", "arms.SAM.rho=0.02"
    )
    rows = pd.read_csv(alone / "summary.csv").query("`optimizer.batch_size` == 16 and `arms.SAM.rho` == 0.02")
    pd.testing.assert_frame_equal(
        rows.iloc[:, 2:].reset_index(drop=True), pd.read_csv(tmp_path / "out" / "summary.csv"), check_exact=True
    )


def test_an_arm_that_is_the_same_in_several_conditions_is_computed_once(alone):
    assert len(blocks(alone)) == 3 * (2 + 6)  # SGD knows of no rho


def test_a_study_that_is_run_again_computes_nothing_and_one_that_grows_what_is_new(alone, tmp_path):
    (tmp_path / "out").symlink_to(alone)
    before = blocks(alone)
    sweep(written(tmp_path), tmp_path / "out")
    assert blocks(alone) == before
    more = CONFIG["sweep"] | {"optimizer.batch_size": [8, 16, 64]}
    sweep(written(tmp_path, sweep=more), tmp_path / "out")
    assert before.items() <= blocks(alone).items()
    assert len(blocks(alone)) == len(before) + 3 * 4
    sweep(written(tmp_path), tmp_path / "out")  # as it was, for the other tests


def test_shards_merged_are_the_whole(alone, tmp_path):
    config = written(tmp_path)
    for shard in ("2/2", "1/2"):
        sweep(config, tmp_path / "out", "--shard", shard)
    invoke("merge", tmp_path / "out")
    assert tables(tmp_path / "out") == tables(alone)


def test_a_merge_names_what_is_missing(tmp_path):
    sweep(written(tmp_path), tmp_path / "out", "--shard", "1/2")
    merged = invoke("merge", tmp_path / "out", code=1)
    assert "batch_size = 8, arms.SAM.rho = 0.01, SAM: not computed yet" in merged.output
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["unfinished"]


def test_the_record_has_what_the_conditions_have_in_common_and_the_report_says_it(alone):
    record = json.loads((alone / "sweep.json").read_text())
    assert record["in_common"]["optimizer"]["batch_size"] == {"varies": [8, 16]}
    assert record["in_common"]["arms"]["SGD"]["kind"] == "sgd"
    assert record["engines"] == ["torchsde"]
    invoke("report", alone)
    page = (alone / "report.html").read_text(encoding="utf-8")
    (alone / "report.html").unlink()
    assert "How long do SGD and SAM stay, under 6 conditions?" in page
    assert "<code>optimizer.batch_size</code> (8 and 16)" in page


# The command line without its figures, which take longer than these studies.
PROGRAM = """
import sam_sde.figures.folder
sam_sde.figures.folder.draw_result = lambda *arguments: []
from sam_sde.cli import main
main()
"""


def process(command, config, out, *options):
    line = [sys.executable, "-c", PROGRAM, command, str(config), "--out", str(out), *options]
    return subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_two_processes_of_which_one_is_lost_find_the_same(alone, tmp_path):
    """As where the system has run out of memory."""
    with process("sweep", written(tmp_path), tmp_path / "out", "--workers", "2") as running:
        while running.poll() is None and len(blocks(tmp_path / "out")) < 6:
            time.sleep(0.01)
        (server,) = (pid for pid in children(running.pid) if "forkserver" in Path(f"/proc/{pid}/cmdline").read_text())
        workers = children(server)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        _, stderr = running.communicate()
        assert running.returncode == 0, stderr
    assert tables(tmp_path / "out") == tables(alone)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "kills"), [("sweep", 2), ("escape", 1)])
def test_a_run_that_is_killed_and_run_again_is_as_one_that_was_not(command, kills, alone, tmp_path):
    config, out, generator = written(tmp_path), tmp_path / "out", random.Random(0)
    for _ in range(kills):
        n_blocks = len(blocks(out))
        with process(command, config, out) as running:
            while running.poll() is None and len(blocks(out)) <= n_blocks + generator.randrange(2):
                time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
    kept = blocks(out)
    assert kept
    again = invoke(command, config, "--out", out)
    assert kept.items() <= blocks(out).items()
    assert "cannot be used" not in again.output
    if command == "sweep":
        assert tables(out) == tables(alone)
    else:
        invoke(command, config, "--out", tmp_path / "whole")
        assert tables(out, ("summary", "comparison", "paths", "sample_paths")) == tables(
            tmp_path / "whole", ("summary", "comparison", "paths", "sample_paths")
        )


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_finds_the_same(alone, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster:
        workers = [worker.process.pid for worker in cluster.workers.values()]
        scheduler = ["--scheduler", cluster.scheduler_address]
        with process("sweep", written(tmp_path), tmp_path / "out", *scheduler) as running:
            while running.poll() is None and len(blocks(tmp_path / "out")) < 6:
                time.sleep(0.01)
            assert running.poll() is None
            os.kill(workers[0], signal.SIGKILL)
            _, stderr = running.communicate()
            assert running.returncode == 0, stderr
    assert tables(tmp_path / "out") == tables(alone)


def test_a_key_that_changes_nothing_is_named(tmp_path):
    small = {"sweep": {"optimizer.momentum": [0.0, 0.5]}, "arms": {"SGD": {"kind": "sgd", "momentum": 0.1}}}
    result = sweep(written(tmp_path, **small), tmp_path / "out", "--workers", "1")
    assert "2 conditions have the paths of another one" in " ".join(result.output.split())


def test_blocks_that_have_ended_are_not_kept_in_memory(tmp_path, monkeypatch):
    put, blocks, alive = Entry.put, [], []

    def watched(entry, first, block, recorder=None):
        blocks.append(weakref.ref(block))
        alive.append(sum(each() is not None for each in blocks))
        put(entry, first, block, recorder)

    monkeypatch.setattr(Entry, "put", watched)
    sweep(
        written(tmp_path), tmp_path / "out", "--workers", "1", "--set", "run.n_paths=100", "--set", "escape.t_max=0.1"
    )
    assert len(alive) == 5 * (2 + 6)
    assert max(alive) <= 2


def test_end_states_are_judged_in_each_condition(tmp_path):
    small = {"sweep": {"arms.SAM.rho": [0.01, 0.02]}, "run": CONFIG["run"] | {"ends": 5}}
    sweep(written(tmp_path, **small), tmp_path / "out", "--workers", "1")
    ends = pd.read_csv(tmp_path / "out" / "ends.csv")
    assert ends.groupby(["arms.SAM.rho", "arm"]).size().to_list() == [5] * 4


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_paths_are_written_under_the_name_of_their_condition(kind, alone, tmp_path):
    pytest.importorskip("pyarrow")
    small = {"sweep": {"optimizer.batch_size": [8], "arms.SAM.rho": [0.01, 0.02]}}
    sweep(written(tmp_path, **small), tmp_path / "out", "--workers", "1", "--paths", kind)
    names = pd.read_csv(tmp_path / "out" / "conditions.csv")["condition"]
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[kind]
    rows = read(tmp_path / "out" / "paths" / f"{names[1]}.{kind}")
    summary = pd.read_csv(alone / "summary.csv").query("`optimizer.batch_size` == 8 and `arms.SAM.rho` == 0.02")
    assert rows.groupby("arm")["time"].mean().to_dict() == pytest.approx(dict(summary[["arm", "rmst"]].to_numpy()))


def test_paths_of_earlier_conditions_are_removed_and_other_files_are_not(tmp_path):
    out, names = tmp_path / "out", []
    for kind, rhos in (("csv", [0.01, 0.02]), ("parquet", [0.02]), ("csv", [0.02, 0.03])):
        pytest.importorskip("pyarrow")
        small = {"sweep": {"arms.SAM.rho": rhos}}
        sweep(written(tmp_path, **small), out, "--workers", "1", "--paths", kind)
        (out / "paths" / "notes.csv").touch()
        names = pd.read_csv(out / "conditions.csv")["condition"]
        found = {path.name for path in (out / "paths").iterdir()}
        assert found == {f"{name}.{kind}" for name in names} | {"notes.csv"}


@pytest.mark.parametrize("note", ["{}", "[]", '{"config": null, "config_folder": "."}', "nothing"])
def test_what_no_shard_has_written_is_not_merged(note, tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "study.json").write_text(note)
    assert "study.json cannot be read" in invoke("merge", tmp_path, code=2).output


def test_the_batch_script_ends_where_no_scheduler_begins(tmp_path):
    (tmp_path / "srun").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "srun").chmod(0o755)
    script = Path(__file__).parents[2] / "scripts" / "slurm_sweep.sh"
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_NTASKS": "3", "SLURM_JOB_ID": "1"}
    process = subprocess.run(
        ["bash", script, "CONFIG", tmp_path], env=os.environ | paths, capture_output=True, text=True, timeout=30
    )
    assert process.returncode == 1
    assert "no scheduler at" in process.stderr


class TestWhatCannotBeWritten:
    """A full disk, or a folder that lets nothing be written any more: a message, and what was there stays."""

    def test_a_file_that_may_not_grow(self, tmp_path):
        import resource

        config, out = written(tmp_path, sweep={"arms.SAM.rho": [0.01]}), tmp_path / "out"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # noqa: E731
        line = [sys.executable, "-c", PROGRAM, "sweep", config, "--out", out]
        run = subprocess.run([*line, "--workers", "1"], preexec_fn=limit, capture_output=True, text=True)
        assert run.returncode == 2, run.stderr
        assert "error: cannot write" in run.stderr
        assert "File too large" in run.stderr
        assert "Traceback" not in run.stderr
        sweep(config, out, "--workers", "1")
        assert len(blocks(out)) == 3 * 2

    def test_a_folder_that_becomes_read_only(self, alone, tmp_path, monkeypatch):
        import tempfile

        made, make = [], tempfile.mkstemp

        def read_only(*arguments, **options):
            made.append(options)
            if len(made) > 25:
                raise PermissionError(13, os.strerror(13))
            return make(*arguments, **options)

        config, out = written(tmp_path), tmp_path / "out"
        with monkeypatch.context() as context:
            context.setattr("tempfile.mkstemp", read_only)
            result = sweep(config, out, "--workers", "1", code=2)
        assert "cannot write" in result.output
        assert "Permission denied" in result.output
        before = blocks(out)
        assert before
        sweep(config, out, "--workers", "1")
        assert before.items() <= blocks(out).items()
        assert tables(out) == tables(alone)


def test_bad_grids_are_refused_before_any_work(tmp_path):
    for section, words in (
        ({"optimizer.batchsize": [8]}, "did you mean 'batch_size'"),
        ({"arms.SAN.rho": [0.1]}, "did you mean 'SAM'"),
        ({"arms.SAM.rho": []}, "expected at least one value"),
        ({"arms.SAM.rho": [0.1, 0.1]}, "given twice"),
        ({"linked": {"arms.SAM.rho": [1, 2], "optimizer.lr": [1]}}, "lists of the same length"),
        ({"arms.SAM.rho": {"log": [0.1, 1, 10_001]}}, "count from 2 to 10000"),
        ({"arms.SAM.rho": [0.1, -1.0]}, "1 of 2 conditions cannot be run: arms.SAM.rho = -1"),
        ({"escape.region.radius": [0.1, 1e-300, -1]}, "conditions cannot be run"),
        (None, "expected keys with the values they take"),
    ):
        result = sweep(written(tmp_path, sweep=section), tmp_path / "out", code=2)
        assert words in result.output, result.output
        assert not (tmp_path / "out").exists()


def test_bad_options_are_refused_before_any_work(tmp_path):
    config = written(tmp_path)
    for options, words in (
        (["--shard", "3/2"], "expected I/N"),
        (["--shard", "1/2", "--fresh"], "shards would remove each other's paths"),
        (["--paths", "xls"], "Known: csv, parquet"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "the cluster has its own"),
    ):
        assert words in sweep(config, tmp_path / "out", *options, code=2).output
    assert "holds no shards" in invoke("merge", tmp_path, code=2).output


LOSSES = """
import time
import torch

calls = 0

def saddle(w):
    return (w[0] ** 2 - w[1] ** 2) / 2

def raises(w):
    global calls
    calls += 1
    if calls >= 100:
        raise RuntimeError("the loss met a step that it does not like")
    return saddle(w)

def hangs(w):
    global calls
    calls += 1
    if calls >= 100:
        time.sleep(600)
    return saddle(w)

def not_a_number(w):
    return saddle(w) * torch.where(w.abs().max() > 0.02, torch.nan, 1.0)
"""


@pytest.mark.slow
def test_a_loss_that_raises_hangs_or_returns_nan_costs_the_other_conditions_nothing(tmp_path):
    (tmp_path / "losses.py").write_text(LOSSES)
    names = ("saddle", "raises", "hangs", "not_a_number")
    config = written(
        tmp_path,
        surface={"python": "losses.py:saddle", "dim": 2},
        sweep={"surface.python": [f"losses.py:{name}" for name in names]},
        arms={"SGD": {"kind": "sgd"}},
        run=CONFIG["run"] | {"n_paths": 20, "task_timeout": 4.0},
    )
    result = sweep(config, tmp_path / "out", "--workers", "1", code=1)
    summary = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="surface.python")
    assert list(summary.index) == ["losses.py:saddle", "losses.py:not_a_number"]
    assert list(summary["n_failed"] > 0) == [False, True]
    unfinished = json.loads((tmp_path / "out" / "sweep.json").read_text())["unfinished"]
    assert "a step that it does not like" in unfinished["surface.python = losses.py:raises, SGD"]
    assert "did not end within task_timeout = 4 seconds" in unfinished["surface.python = losses.py:hangs, SGD"]
    assert "paths failed" in "".join(result.output.split("\n"))
