"""Arms that hardly leave, in escape and sweep: measured by splitting, kept, and told beside the others."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from typer.testing import CliRunner

import sam_sde as ss
from sam_sde.cli import app
from sam_sde.config.grid import expand
from sam_sde.config.yaml_text import parse

CONFIG = """
surface: {name: quadratic, eigenvalues: [1.0, -1.0]}
noise: {kind: isotropic, sigma: 1.0}
optimizer: {lr: 0.05, batch_size: 160}
arms: {SGD: {kind: sgd, engine: torchsde}, SAM: {kind: sam, rho: 0.06}}
escape: {start: [0, 0], region: {kind: ball, centre: [0, 0], radius: 0.3}, t_max: 60}
rare: {walkers: 300, repeats: 3}
run: {n_paths: 200, engine: compiled}
"""


# Out of a minimum, in long steps; few walkers are told of, and enough here.
MINIMUM = """
surface: {name: quadratic, eigenvalues: [1.0]}
noise: {kind: isotropic, sigma: 1.0}
optimizer: {lr: 0.2, batch_size: 8}
arms: {SGD: {kind: sgd}}
escape: {start: [0], region: {kind: ball, centre: [0], radius: 0.4}, t_max: 10}
rare: {walkers: 100, repeats: 4}
run: {n_paths: 50, engine: torchsde, method: euler}
"""


def run(tmp_path, *arguments, command="escape", text=CONFIG):
    (tmp_path / "config.yaml").write_text(text)
    result = CliRunner().invoke(
        app, [command, str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out"), *arguments]
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Nor exponents of arms that hardly leave."""
    monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])
    monkeypatch.setattr("sam_sde.jobs.escape.least_exponent", lambda run: None)


def test_one_table_has_arms_that_leave_and_arms_that_hardly_do(tmp_path):
    printed = run(tmp_path)
    summary, comparison, rare = (
        pd.read_csv(tmp_path / "out" / f"{name}.csv", index_col="arm") for name in ("summary", "comparison", "rare")
    )
    assert dict(summary["measured"]) == {"SGD": "directly", "SAM": "splitting"}
    columns = ["mean_time", "mean_low", "mean_high"]
    assert list(summary.loc["SAM", columns]) == list(rare.loc["SAM", columns])
    assert 5e3 < rare.loc["SAM", "mean_time"] < 1e5  # the exponent is 11.5
    ratio = summary.loc["SAM", "mean_time"] / summary.loc["SGD", "mean_time"]
    assert comparison.loc["SAM", "mean_ratio"] == pytest.approx(ratio)
    assert comparison.loc["SAM", "mean_ratio_low"] < ratio < comparison.loc["SAM", "mean_ratio_high"]
    assert "splitting" in printed.partition("Escape times")[2]
    assert "lower bound" not in printed


def test_a_second_run_measures_nothing_again_and_more_repeats_alone(tmp_path, monkeypatch):
    import sam_sde.rare.measuring as measuring

    run(tmp_path)
    first = pd.read_csv(tmp_path / "out" / "rare_levels.csv")
    split, done = measuring.split, []

    def counted(*arguments):
        done.append(arguments)
        return split(*arguments)

    monkeypatch.setattr(measuring, "split", counted)
    monkeypatch.setattr(measuring, "plan_levels", None)  # which is kept too
    run(tmp_path)
    assert not done
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "rare_levels.csv"), first)
    run(tmp_path, "--set", "rare.repeats=4")
    assert len(done) == 1
    more = pd.read_csv(tmp_path / "out" / "rare_levels.csv")
    pd.testing.assert_frame_equal(more[more["repeat"] <= 3], first)


def test_an_interrupt_keeps_the_repeats_that_have_ended(tmp_path, monkeypatch):
    import sam_sde.rare.measuring as measuring

    split, done = measuring.split, []

    def interrupted(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(split(*arguments))
        return done[-1]

    (tmp_path / "config.yaml").write_text(CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "split", interrupted)
        arguments = ["escape", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")]
        assert CliRunner().invoke(app, arguments).exit_code == 130
    assert pd.read_csv(tmp_path / "out" / "rare.csv")["repeats"].tolist() == [2]
    run(tmp_path)
    assert pd.read_csv(tmp_path / "out" / "rare.csv")["repeats"].tolist() == [3]
    (kept,) = (tmp_path / "out" / "store").glob("*/splitting-*.json")
    assert len(list(kept.parent.glob("splitting-*.npz"))) == 3


@pytest.mark.slow
def test_a_run_that_is_killed_and_run_again_is_as_one_that_was_not(tmp_path):
    """Twice, when one more repeat is on disk."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    run(whole, "--workers", "1", text=MINIMUM)
    (killed / "config.yaml").write_text(MINIMUM)
    kept = lambda: set((killed / "out" / "store").glob("*/splitting-*.npz"))  # noqa: E731
    for n in (1, 2):
        command = [sys.executable, "-m", "sam_sde", "escape", "config.yaml", "--out", "out", "--workers", "1"]
        with subprocess.Popen(command, cwd=killed, env=os.environ, stderr=subprocess.PIPE) as running:
            while running.poll() is None and len(kept()) < n:
                time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
        assert running.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in kept()}
    assert len(before) < 4
    assert "cannot be used" not in run(killed, text=MINIMUM)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in kept()}.items()
    for name in ("summary", "rare", "rare_levels"):
        assert (killed / "out" / f"{name}.csv").read_bytes() == (whole / "out" / f"{name}.csv").read_bytes()


def test_a_repeat_that_cannot_be_read_is_measured_again(tmp_path):
    run(tmp_path)
    first = (tmp_path / "out" / "rare_levels.csv").read_bytes()
    *_, one = (tmp_path / "out" / "store").glob("*/splitting-*.npz")
    one.write_bytes(one.read_bytes()[:200])
    assert "cannot be used, and is computed again" in run(tmp_path)
    assert (tmp_path / "out" / "rare_levels.csv").read_bytes() == first


@pytest.mark.parametrize(("when", "split"), [("never", set()), ("always", {"SAM"})])
def test_when_says_which_arms_are_measured_so(tmp_path, when, split):
    """SGD leaves before it settles: a note says so, and its paths stand."""
    printed = run(tmp_path, "--set", f"rare.when={when}")
    table = tmp_path / "out" / "rare.csv"
    assert (set(pd.read_csv(table)["arm"]) if table.exists() else set()) == split
    assert ("SGD, not measured by splitting: region: " in printed) == (when == "always")


def test_without_the_section_a_warning_says_what_to_add(tmp_path):
    assert "add `rare: {}`" in run(tmp_path, text=CONFIG.replace("rare: {walkers: 300, repeats: 3}", ""))


def test_what_is_wrong_in_the_section_is_named(tmp_path):
    for change, message in {
        "rare.walker=3": "rare.walker: unknown key; did you mean 'walkers'",
        "rare.walkers=10": "rare.walkers: expected a number of at least 100, got 10",
        "rare.score=loss": "rare.score: unknown value 'loss'",
        "rare.score={expression: 'x +'}": "rare.score",
        "rare.score={}": "rare.score: expected one of expression or python, got neither",
        "rare.core=0.1": None,
        "rare.levels=[0.2, 0.1]": "rare.levels: expected scores that increase",
        "arms.SAM.rho_schedule={kind: cosine, t_end: 3}": "changes with time",
    }.items():
        (tmp_path / "config.yaml").write_text(CONFIG)
        result = CliRunner().invoke(app, ["validate", str(tmp_path / "config.yaml"), "--set", change])
        assert result.exit_code == (0 if message is None else 2), change
        assert message is None or message in result.output


@pytest.mark.slow
def test_a_sweep_has_them_too_whoever_computes_it(tmp_path):
    smaller = CONFIG.replace("walkers: 300, repeats: 3", "walkers: 100, repeats: 2").replace("compiled", "torchsde")
    text = smaller + "sweep: {arms.SAM.rho: [0.02, 0.06]}\n"
    tables = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        run(folder, "--workers", str(workers), command="sweep", text=text)
        names = ("summary", "comparison", "rare", "rare_levels")
        tables.append({name: (folder / "out" / f"{name}.csv").read_bytes() for name in names})
    assert tables[0] == tables[1]
    results = ss.load(folder / "out")
    assert results.tables["summary"].query("arm == 'SAM'")["measured"].tolist() == ["directly", "splitting"]
    assert not json.loads((folder / "out" / "sweep.json").read_text())["unfinished"]


def test_a_sweep_solves_equal_arms_once(tmp_path, monkeypatch):
    from sam_sde.jobs import sweep

    monkeypatch.setattr(sweep, "solved_where_possible", lambda setting, arm: f"{arm} is only counted")
    told = []
    study = sweep.Study(expand(parse(CONFIG + "sweep: {arms.SAM.rho: [0.02, 0.06]}\n", "here")), tmp_path)
    with pytest.raises(ss.InputError, match="SGD is only counted"):
        study.solve_exactly(told.append)
    assert [place.rpartition(", ")[2] for place in told] == ["SGD", "SAM", "SAM"]
