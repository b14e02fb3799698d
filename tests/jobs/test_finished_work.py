"""What is finished stays: runs of the command line that are killed, interrupted, or meet a full disk or an error."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app

# SGD and USAM leave at once; SAM is held for e^25 times as long.
CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01},
    "arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.5}, "USAM": {"kind": "usam", "rho": 0.01}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.1}, "t_max": 1e5},
    "weak": {"t": 0.1, "lrs": [0.1, 0.05, 0.025], "n_paths": 100, "test_functions": ["loss"]},
    "run": {"n_paths": 40, "engine": "torchsde", "device": "cpu"},
}

# A loss that raises once, in its five thousandth call: that is when SAM is at work.
LOSS = """
calls = 0

def saddle(w):
    global calls
    calls += 1
    if calls == 5000:
        raise RuntimeError("the loss met a step that it does not like")
    return (w[0] ** 2 - w[1] ** 2) / 2
"""
LOSS_IN_FILE = {"python": "loss.py:saddle", "dim": 2}


@pytest.fixture(autouse=True)
def nothing_beside(monkeypatch):
    """No files of figures, and no exponents of arms that hardly leave: they take longer than these runs."""
    monkeypatch.setattr("sam_sde.jobs.escape.least_exponent", lambda run: None)
    monkeypatch.setattr("sam_sde.figures.folder.save_figure", lambda figure, stem: [])
    monkeypatch.setattr("sam_sde.jobs.landscape.GRID", 11)
    monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])


def written(folder, t_max=1e5, **sections):
    config = CONFIG | {"escape": CONFIG["escape"] | {"t_max": t_max}} | sections
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder / "config.yaml"


def invoke(command, config, code, *options):
    out = config.parent / "out"
    result = CliRunner().invoke(app, [command, str(config), "--out", str(out), *options])
    assert result.exit_code == code, result.output
    return result


def earlier(folder):
    """A whole result in the folder `out`, from before."""
    invoke("escape", written(folder, t_max=1), 0)
    return tables(folder / "out")


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".json")}


def arms(folder, name="summary"):
    return list(dict.fromkeys(pd.read_csv(folder / f"{name}.csv")["arm"]))


def unfinished(folder, name="run"):
    return json.loads((folder / f"{name}.json").read_text())["unfinished"]


def plotted(folder):
    """What `sam-sde plot` says of a folder."""
    result = CliRunner().invoke(app, ["plot", str(folder)])
    assert result.exit_code == 0, result.output
    return result.stderr


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


def test_an_arm_whose_loss_raises_is_told_and_the_others_are_written(tmp_path):
    (tmp_path / "loss.py").write_text(LOSS)
    result = invoke("escape", written(tmp_path, surface=LOSS_IN_FILE), 1, "--workers", "1")
    assert arms(tmp_path / "out") == ["SGD", "USAM"]
    said = "failed with RuntimeError: the loss met a step that it does not like"
    assert unfinished(tmp_path / "out") == {"SAM": said}
    assert f"warning: SAM: {said}\n" in result.stdout
    assert "error: SAM failed: RuntimeError, see above\n" in result.stderr
    assert f'File "{tmp_path}/loss.py", line 8, in saddle' in result.stderr
    assert json.loads((tmp_path / "out" / "run.json").read_text())["interrupted"] is False
    assert f"run.json is of a run that did not end: SAM: {said}" in plotted(tmp_path / "out")


def test_a_loss_that_raises_where_no_path_was_costs_the_picture_alone(tmp_path, monkeypatch):
    def raising(*arguments):
        raise RuntimeError("outside")

    monkeypatch.setattr("sam_sde.jobs.landscape.critical_points", raising)
    result = invoke("escape", written(tmp_path, t_max=1), 0)
    assert "no picture: the loss on the grid beneath the paths failed with RuntimeError: outside" in result.stdout
    assert "sample_paths.csv" not in tables(tmp_path / "out")
    assert arms(tmp_path / "out", "paths") == list(CONFIG["arms"])


def test_end_states_that_cannot_be_judged_cost_nothing_else(tmp_path, monkeypatch):
    def ends(result, n_paths):
        if result.run.problem.stream.arm == "SAM":
            raise RuntimeError("my Hessian")
        return judged(result, n_paths)

    from sam_sde.escape import EscapeResult

    judged = EscapeResult.ends
    monkeypatch.setattr(EscapeResult, "ends", ends)
    result = invoke("escape", written(tmp_path, t_max=1), 1, "--set", "run.ends=5")
    assert "error: SAM failed: RuntimeError, see above\n" in result.stderr
    assert unfinished(tmp_path / "out") == {"end states of SAM": "failed with RuntimeError: my Hessian"}
    assert arms(tmp_path / "out", "ends") == ["SGD", "USAM"]
    assert arms(tmp_path / "out") == list(CONFIG["arms"])


def test_on_a_full_disk_the_numbers_are_printed_and_the_earlier_result_stays(tmp_path, monkeypatch):
    before = earlier(tmp_path)
    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    result = invoke("escape", written(tmp_path, t_max=2), 2)
    assert result.stderr.splitlines()[-1] == (
        f"error: cannot write {tmp_path}/out/.escape/summary.csv: No space left on device; "
        f"what {tmp_path}/out held before is as it was"
    )
    assert "Escape times" in result.stdout
    assert tables(tmp_path / "out") == before
    assert not {".escape", "partial"} & {path.name for path in (tmp_path / "out").iterdir()}


def test_ctrl_c_while_the_tables_are_written_comes_after_them(tmp_path, monkeypatch):
    earlier(tmp_path)
    calls = []

    def ctrl_c(*arguments):
        calls.append(arguments)
        if len(calls) == len(CONFIG["arms"]) * (len(CONFIG["arms"]) + 1) / 2:  # in the last table of the last arm
            os.kill(os.getpid(), signal.SIGINT)
        return thin(*arguments)

    from sam_sde.statistics import thin

    monkeypatch.setattr("sam_sde.jobs.escape_tables.thin", ctrl_c)
    out = tmp_path / "out"
    result = invoke("escape", written(tmp_path, t_max=2), 130)
    assert result.stderr.splitlines()[-1] == (
        f"interrupted; what had ended is in {out}, and `sam-sde plot {out}` draws it"
    )
    assert (pd.read_csv(out / "summary.csv")["t_max"] == 2).all()
    assert unfinished(out) == {}
    assert {path.name for path in out.iterdir()} >= {"run.json", "paths.csv", "comparison.csv"}
    assert not (out / "partial").exists()


@pytest.mark.parametrize("command", ["simulate", "weak"])
@pytest.mark.parametrize("ending", [RuntimeError("of mine"), KeyboardInterrupt()], ids=["failure", "interrupt"])
def test_the_other_commands_keep_the_arms_that_ended(command, ending, tmp_path, monkeypatch):
    place, name, record = {
        "simulate": ("sam_sde.jobs.simulate.trajectories", "trajectories", "trajectories"),
        "weak": ("sam_sde.weak.errors.WeakComparison.differences", "weak", "weak"),
    }[command]
    import sam_sde.jobs.simulate
    import sam_sde.weak.errors

    original = {
        "simulate": sam_sde.jobs.simulate.trajectories,
        "weak": sam_sde.weak.errors.WeakComparison.differences,
    }[command]

    def one(it, *arguments):
        dynamics = it.problem.dynamics if command == "simulate" else it.algorithm
        if getattr(dynamics, "rho", None) == 0.5:
            raise ending
        return original(it, *arguments)

    monkeypatch.setattr(place, one)
    failed = isinstance(ending, RuntimeError)
    invoke(command, written(tmp_path, t_max=0.2), 1 if failed else 130)
    found = arms(tmp_path / "out", name)
    assert found[0] == "SGD"
    assert "SAM" not in found
    assert ("USAM" in found) == failed
    assert ("of mine" in unfinished(tmp_path / "out", record)["SAM"]) == failed


def test_what_is_kept_on_the_way_has_few_rows(tmp_path, monkeypatch):
    """The paths are written after each arm only as long as that takes no time."""
    monkeypatch.setattr("sam_sde.jobs.escape.MAX_KEPT_ROWS", 40)
    kept = []

    def keep(destination, frames, record):
        kept.append([name for name, _ in frames])

    monkeypatch.setattr("sam_sde.jobs.results.Destination.keep", keep)
    invoke("escape", written(tmp_path, t_max=1), 0)
    assert kept == [["summary", "survival", "paths"], ["summary", "survival", "comparison"]]
    assert "paths.csv" in tables(tmp_path / "out")


# The command line, with a stand-in for the figures, which come last, and without exponents.
PROGRAM = """
import sam_sde.figures.folder, sam_sde.jobs.escape
sam_sde.jobs.escape.least_exponent = lambda run: None
sam_sde.figures.folder.draw_result = lambda folder, command: (folder / "survival.png").touch()
from sam_sde.cli import main
main()
"""


@contextlib.contextmanager
def process(config, *options):
    """`sam-sde escape` as a process in a group of its own, when SGD has ended; all of the group ends with the test."""
    command = [sys.executable, "-c", PROGRAM, "escape", config]
    running = subprocess.Popen(
        [*map(str, command), "--out", str(config.parent / "out"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        encoding="utf-8",
        start_new_session=True,
    )
    guard = threading.Timer(200, os.killpg, (running.pid, signal.SIGKILL))
    guard.start()
    try:
        assert "SGD: 100 % done, 40 escaped\n" in iter(running.stderr.readline, "")
        until(lambda: any((config.parent / "out").glob("**/run.json")))
        time.sleep(0.3)  # SAM is on its way
        yield running
    finally:
        guard.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen within a minute")


def group(number):
    """The processes of a group, without those that have ended and wait for their parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == number and state != "Z":
                found.append(stat.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("send", "workers"), [(os.kill, 2), (os.killpg, 1)], ids=["to the process", "to its group"])
def test_sigterm_leaves_what_was_finished_and_no_process(send, workers, tmp_path):
    options = ["--workers", str(workers), "--set", "run.block_size=20"]
    with process(written(tmp_path), *options) as running:
        send(running.pid, signal.SIGTERM)
        stdout, stderr = running.communicate()
        assert running.returncode == 130, stderr
        until(lambda: not group(running.pid))
    assert "Traceback" not in stderr
    assert stdout.endswith(f"written to {tmp_path / 'out'}\n")
    assert arms(tmp_path / "out")[0] == "SGD"
    assert unfinished(tmp_path / "out")["USAM"] == "interrupted before it began"
    assert unfinished(tmp_path / "out")["SAM"].startswith("interrupted on the way")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"paths.csv", "survival.png"}
    assert "USAM: interrupted before it began" in plotted(tmp_path / "out")


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_its_finished_arms_the_earlier_result_and_no_process(tmp_path):
    before = earlier(tmp_path)
    with process(written(tmp_path), "--workers", "2", "--set", "run.block_size=20") as running:
        until(lambda: (tmp_path / "out" / "partial" / "run.json").exists())
        running.kill()
        running.communicate()
        until(lambda: not group(running.pid))
    assert tables(tmp_path / "out") == before
    partial = tmp_path / "out" / "partial"
    assert arms(partial) == arms(partial, "paths") == ["SGD"]
    assert unfinished(partial) == {"SAM": "not ended yet", "USAM": "not ended yet"}
    assert "SAM: not ended yet" in plotted(partial)
