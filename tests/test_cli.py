"""The command line: what each command writes, prints and returns."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.metadata import entry_points, version

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from sam_sde.cli import app, escapes, main
from sam_sde.jobs.tables import tables_of

OPTIONAL = {"ends.csv", "dt_changes.csv", "exact_curves.csv", "rare.csv", "rare_levels.csv"}
TABLES = {table.file: table for table in tables_of("escape").values() if table.file not in OPTIONAL}
PICTURE = {
    f"trajectories{name}" for name in (".csv", "_landscape.csv", "_critical_points.csv", ".json", ".png", ".pdf")
}
FIGURES = {f"{name}.{kind}" for name in ("survival", "escape_times", "sample_paths") for kind in ("png", "pdf")}
RUN_KEYS = (
    "command command_line config config_hash tables seed interrupted engine engines device block_size dt wall_time "
)
RUN_KEYS += "path_steps path_steps_per_second versions warnings"

N_PATHS = 40
SADDLE = """
surface: {name: quadratic, eigenvalues: [1, -1]}
noise: {kind: isotropic, sigma: 1}
optimizer: {lr: 0.01}
arms:
  SGD: {kind: sgd}
  SAM: {kind: sam, rho: 0.05}
escape:
  start: [0, 0]
  region: {kind: ball, centre: [0, 0], radius: 0.2}
  t_max: 2
run: {n_paths: 40, engine: torchsde, device: cpu}
"""


@pytest.fixture(autouse=True, scope="module")
def few_pixels():
    """Most of the time of a small run goes into pixels that no test looks at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.figures.folder.DPI", 30)
        patch.setattr("sam_sde.jobs.landscape.GRID", 21)
        yield


@pytest.fixture
def figures():
    """For a test of the figures: the others do without."""


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    if "figures" not in request.fixturenames:
        monkeypatch.setattr("sam_sde.figures.folder.draw_result", lambda *arguments: [])


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def run(folder, text=SADDLE, *options, code=0):
    """Runs `sam-sde escape` on a configuration; its results lie in folder/out."""
    (folder / "config.yaml").write_text(text)
    return invoke("escape", folder / "config.yaml", "--out", folder / "out", *options, code=code)


def names(folder):
    return {path.name for path in folder.iterdir()}


def read(folder, name):
    return pd.read_csv(folder / name, keep_default_na=False, na_values=[""])


def record(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def csv_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the configuration above was run."""
    folder = tmp_path_factory.mktemp("run")
    run(folder)
    return folder


@pytest.fixture(scope="module")
def out(folder):
    return folder / "out"


def test_escape_writes_the_tables_the_record_and_the_figures_and_nothing_else(out):
    assert names(out) == set(TABLES) | {"run.json", "store"} | FIGURES


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_the_columns_that_are_promised(name, out):
    coordinates = ["x0", "x1"] if TABLES[name].coordinates else []
    assert list(TABLES[name].read(out).columns) == [*TABLES[name].columns, *coordinates]


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_each_figure_is_a_file_of_its_kind(name, out):
    start = b"\x89PNG" if name.endswith("png") else b"%PDF"
    assert (out / name).read_bytes().startswith(start)


def test_every_path_of_every_arm_has_one_row(out):
    paths = read(out, "paths.csv")
    assert [*paths["arm"]] == ["SGD"] * N_PATHS + ["SAM"] * N_PATHS
    assert [*paths["path"]] == [*range(N_PATHS)] * 2
    assert set(paths["outcome"]) <= {"escaped", "censored", "failed"}
    np.testing.assert_allclose(paths["steps"], paths["time"] / 0.01)
    assert (paths.loc[paths["outcome"] == "censored", "time"] == 2).all()


def test_an_escaped_path_ends_on_the_boundary_and_a_censored_one_inside(out):
    paths = read(out, "paths.csv")
    radius = np.hypot(paths["x0"], paths["x1"])
    escaped = paths["outcome"] == "escaped"
    np.testing.assert_allclose(radius[escaped], 0.2, rtol=1e-5)
    assert (radius[~escaped] < 0.2).all()


def test_the_tables_agree_with_the_paths(out):
    paths, summary = read(out, "paths.csv"), read(out, "summary.csv").set_index("arm")
    for arm, group in paths.groupby("arm"):
        counts = group["outcome"].value_counts()
        row = summary.loc[arm]
        assert row["n_paths"] == len(group)
        for outcome in ("escaped", "censored", "failed"):
            assert row[f"n_{outcome}"] == counts.get(outcome, 0)
        assert row["rmst"] == pytest.approx(group["time"].mean())
        assert np.isnan(row["mean_time"]) == (row["n_escaped"] < row["n_paths"])
    comparison = read(out, "comparison.csv").iloc[0]
    assert (comparison["arm"], comparison["reference"]) == ("SAM", "SGD")
    difference = summary.loc["SAM", "rmst"] - summary.loc["SGD", "rmst"]
    assert comparison["rmst_difference"] == pytest.approx(difference)


def test_the_record_says_what_was_run(out):
    run = record(out)
    assert set(RUN_KEYS.split()) <= set(run)
    assert run["command"] == "escape"
    assert set(run["tables"]) == set(TABLES)
    assert run["interrupted"] is False
    assert run["seed"] == 0
    assert run["engine"] == "torchsde"
    assert run["engines"] == {"SGD": "torchsde", "SAM": "torchsde"}
    assert run["dt"] == {"SGD": 0.01, "SAM": 0.01}
    assert run["config"]["arms"]["SAM"]["rho"] == 0.05
    assert run["config"]["run"]["n_paths"] == N_PATHS
    assert {"sam_sde", "torch", "torchsde", "python"} <= set(run["versions"])
    assert run["path_steps"] > 0


def test_the_tables_are_printed_and_the_progress_goes_to_stderr(tmp_path):
    result = run(tmp_path)
    assert "Escape times" in result.stdout
    assert "Compared with SGD" in result.stdout
    assert result.stdout.endswith(f"written to {tmp_path / 'out'}\n")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    for arm, line in zip(("SGD", "SAM"), lines, strict=True):
        assert line.startswith(f"{arm}: 100 % done, ")
        assert line.endswith(" escaped")


def test_the_same_configuration_gives_the_same_tables(folder, tmp_path):
    run(tmp_path)
    assert csv_bytes(tmp_path / "out") == csv_bytes(folder / "out")


def test_the_recorded_configuration_gives_the_same_tables_again(folder, tmp_path):
    run(tmp_path, json.dumps(record(folder / "out")["config"]))
    assert csv_bytes(tmp_path / "out") == csv_bytes(folder / "out")


def test_set_changes_a_key(tmp_path):
    run(tmp_path, SADDLE, "--set", "run.n_paths=7", "--set", "arms.SAM.rho=2e-2", "--set", "run.seed=3")
    assert (read(tmp_path / "out", "summary.csv")["n_paths"] == 7).all()
    config = record(tmp_path / "out")["config"]
    assert (config["arms"]["SAM"]["rho"], config["run"]["seed"]) == (0.02, 3)


def test_the_folder_of_the_results_is_named_after_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saddle.yaml").write_text(SADDLE)
    invoke("escape", "saddle.yaml", "--set", "run.n_paths=3")
    assert "summary.csv" in names(tmp_path / "results" / "saddle")


ONE_ARM = yaml.safe_load(SADDLE) | {"arms": {"NA": {"kind": "sgd"}}}
THREE_COORDINATES = ONE_ARM | {
    "surface": {"name": "quadratic", "eigenvalues": [1, 1, -1]},
    "escape": {"start": [0, 0, 0], "region": {"kind": "loss", "above": -0.1}, "t_max": 0.1},
}


def test_one_arm_alone_is_compared_with_nothing(tmp_path, figures):
    result = run(tmp_path, yaml.safe_dump(ONE_ARM))
    assert "Compared" not in result.stdout
    assert names(tmp_path / "out") == (set(TABLES) | {"run.json", "store"} | FIGURES) - {"comparison.csv"}
    assert [*read(tmp_path / "out", "summary.csv")["arm"]] == ["NA"]


@pytest.mark.slow
def test_what_an_earlier_run_left_is_removed_and_what_others_left_is_not(tmp_path, figures):
    run(tmp_path, SADDLE, "--set", "run.n_paths=5")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run(tmp_path, yaml.safe_dump(THREE_COORDINATES))
    left = names(tmp_path / "out")
    assert left >= {"notes.txt", "summary.csv", "survival.png"}
    assert not left & {"comparison.csv", "sample_paths.csv", "landscape.csv", "sample_paths.png", "sample_paths.pdf"}


def test_paths_have_sixteen_coordinates_unless_all_are_asked_for(tmp_path):
    config = THREE_COORDINATES | {"surface": {"name": "quadratic", "eigenvalues": [1.0] * 19 + [-1.0]}}
    config["escape"] = config["escape"] | {"start": [0.0] * 20}
    coordinates = [f"x{i}" for i in range(20)]
    run(tmp_path, yaml.safe_dump(config))
    assert list(read(tmp_path / "out", "paths.csv").columns[5:]) == coordinates[:16]
    run(tmp_path, yaml.safe_dump(config), "--all-paths")
    assert list(read(tmp_path / "out", "paths.csv").columns[5:]) == coordinates


def test_very_many_paths_are_left_out_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("sam_sde.jobs.escape.MAX_PATH_ROWS", 10)
    run(tmp_path, SADDLE, "--set", "run.n_paths=6")
    assert not names(tmp_path / "out") & {"paths.csv", "escape_times.png"}
    run(tmp_path, SADDLE, "--set", "run.n_paths=6", "--all-paths")
    assert len(read(tmp_path / "out", "paths.csv")) == 12


def test_common_noise_is_compared_in_pairs_without_a_log_rank_test(tmp_path):
    result = run(tmp_path, SADDLE, "--set", "run.common_noise=true", "--set", "arms.SAM.rho=0")
    comparison = read(tmp_path / "out", "comparison.csv").iloc[0]
    assert np.isnan(comparison[["logrank_statistic", "p_value", "p_adjusted"]].astype(float)).all()
    assert "paired: common noise" in result.stdout
    # SAM with rho = 0 is SGD, path by path.
    assert comparison["rmst_difference"] == 0
    paths = read(tmp_path / "out", "paths.csv")
    assert [*paths.loc[paths["arm"] == "SAM", "time"]] == [*paths.loc[paths["arm"] == "SGD", "time"]]


def test_arms_without_escapes_are_not_taken_for_paired(tmp_path):
    result = run(tmp_path, SADDLE, "--set", "escape.t_max=0.02", "--set", "escape.region.radius=5")
    assert "paired" not in result.stdout
    assert "not known" in result.stdout


def test_warnings_are_printed_and_recorded(tmp_path):
    result = run(tmp_path, SADDLE, "--set", "escape.region.radius=5")
    warnings = record(tmp_path / "out")["warnings"]
    assert [warning.split(":")[0] for warning in warnings] == ["SGD", "SAM"]
    for warning in warnings:
        assert f"warning: {warning}\n" in result.stdout


def test_names_of_arms_are_printed_as_they_are(tmp_path):
    config = yaml.safe_load(SADDLE) | {"arms": {"[bold]SGD, lr": {"kind": "sgd"}, 'ρ "$0.1$"': {"kind": "sgd"}}}
    result = run(tmp_path, yaml.safe_dump(config, allow_unicode=True, sort_keys=False))
    assert [*read(tmp_path / "out", "summary.csv")["arm"]] == list(config["arms"])
    for arm in config["arms"]:
        assert arm in result.stdout


def interrupting(arm, call):
    """A progress report during which Ctrl-C is pressed, at the `call`-th time that `arm` reports."""
    calls = []

    @contextmanager
    def progress_report(console):
        def report(name, progress):
            calls.append(name)
            if calls.count(arm) == call:
                raise KeyboardInterrupt

        yield report

    return progress_report


@pytest.mark.parametrize("options", [(), ("--set", "run.common_noise=true")], ids=["independent", "common noise"])
@pytest.mark.parametrize("call", [1, 2])
def test_after_an_interrupt_the_finished_arms_and_paths_are_on_disk(call, options, tmp_path, monkeypatch):
    monkeypatch.setattr(escapes, "progress_report", interrupting("SAM", call))
    result = run(tmp_path, SADDLE, "--set", "arms.SAM.rho=0.5", *options, code=130)
    assert "SAM: interrupted on the way, so its paths that are still inside are censored there" in result.stdout
    summary = read(tmp_path / "out", "summary.csv").set_index("arm")
    assert record(tmp_path / "out")["interrupted"] is True
    assert summary.loc["SGD", "t_max"] == 2
    assert 0 < summary.loc["SAM", "t_max"] < 2
    assert summary.loc["SAM", "n_censored"] == N_PATHS
    assert ("comparison.csv" in names(tmp_path / "out")) == (not options)


@pytest.mark.slow
def test_an_interrupted_run_has_its_figures(tmp_path, monkeypatch, figures):
    monkeypatch.setattr(escapes, "progress_report", interrupting("SAM", 1))
    run(tmp_path, SADDLE, "--set", "arms.SAM.rho=0.5", code=130)
    assert names(tmp_path / "out") >= FIGURES
    note = "run.json is of a run that did not end: SAM: interrupted on the way"
    assert note in invoke("plot", tmp_path / "out").stderr


def test_an_interrupt_before_anything_ran_leaves_earlier_results_alone(tmp_path, monkeypatch):
    run(tmp_path, SADDLE, "--set", "run.n_paths=5")
    before = csv_bytes(tmp_path / "out")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sam_sde.escape.blocks.run_block", interrupted)
    result = run(tmp_path, SADDLE, code=130)
    assert result.stderr == "interrupted; nothing was written\n"
    assert csv_bytes(tmp_path / "out") == before


LINUX = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
)
WINDOWS = (
    "[enforce fail at alloc_cpu.cpp:72] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."
)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(LINUX), RuntimeError(WINDOWS)],
    ids=["Python", "CUDA", "Linux", "Windows"],
)
def test_a_lack_of_memory_is_told_in_one_line(error, tmp_path, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("sam_sde.jobs.escape.Experiment.execute", fail)
    result = run(tmp_path, code=2)
    assert result.stderr == "error: out of memory; try a smaller run.block_size or run.n_paths\n"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("more than one element of the written-to tensor refers to a single memory location"),
        ValueError("of a library"),
        KeyError("memory"),
    ],
)
def test_other_errors_keep_their_traceback(error, tmp_path, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("sam_sde.jobs.escape.Experiment.execute", fail)
    assert run(tmp_path, code=1).exception is error


def test_validate_says_what_would_run_and_writes_nothing(folder):
    before = names(folder)
    result = invoke("validate", folder / "config.yaml", "--set", "run.dt=0.02")
    assert result.stdout.splitlines() == [
        "SGD: 40 paths of at most 100 steps, dt 0.02, additive noise, torchsde on cpu",
        "SAM: 40 paths of at most 100 steps, dt 0.02, additive noise, torchsde on cpu",
        f"{folder / 'config.yaml'} is valid",
    ]
    assert names(folder) == before


def test_list_names_everything_that_a_configuration_can_name():
    lines = invoke("list").stdout.splitlines()
    for line in (
        "  beale",
        "  quadratic eigenvalues [rotation]",
        "  isotropic sigma",
        "  hessian [at] [power=1.0]",
        "  sgd [lr] [batch_size=1] [momentum=0.0] [momentum_model=underdamped] [initial_velocity=zero] "
        "[nesterov=False] [weight_decay=0.0] [lr_schedule] [drift_order=1] [sde=usual] [engine]",
        "  switch first second at [engine]",
        "  cosine t_end [low=0.0]",
        "  ball centre radius",
        "  loss [below] [above] [every=1] [samples]",
    ):
        assert line in lines


def test_plot_draws_deleted_figures_again_as_they_were(folder, out):
    before = {name: (out / name).read_bytes() for name in FIGURES}
    for name in FIGURES:
        (out / name).unlink()
    result = invoke("plot", out)
    assert set(result.stdout.splitlines()) == {str(out / name) for name in FIGURES}
    assert {name: (out / name).read_bytes() for name in FIGURES} == before


def test_a_folder_without_results_cannot_be_plotted(tmp_path):
    error = invoke("plot", tmp_path, code=2).stderr
    assert error == f"error: {tmp_path} holds no results; run `sam-sde escape CONFIG --out {tmp_path}` first\n"


def test_a_changed_record_cannot_be_plotted(folder, tmp_path):
    run(tmp_path, SADDLE, "--set", "run.n_paths=5")
    path = tmp_path / "out" / "run.json"
    path.write_text(path.read_text().replace('"n_paths": 5', '"n_paths": 6'))
    assert "run.json: config_hash is not that of the configuration" in invoke("plot", path.parent, code=2).stderr


def test_the_report_of_a_run_is_one_page_beside_its_tables(out):
    result = invoke("report", out)
    page = out / "report.html"
    assert result.stdout == f"written to {page}\n"
    text = page.read_text(encoding="utf-8")
    page.unlink()
    assert "How long do SGD and SAM stay?" in text
    assert "in the ball of radius 0.2 around the origin" in text


def test_a_folder_without_results_has_no_report(tmp_path):
    assert "no whole result of `sam-sde escape`: no run.json" in invoke("report", tmp_path, code=2).stderr


@pytest.fixture(scope="module")
def simulated(folder, tmp_path_factory):
    """The folder and the output of a simulation of three paths of each arm."""
    out = tmp_path_factory.mktemp("simulated")
    return out, invoke("simulate", folder / "config.yaml", "--paths", "3", "--out", out).stdout


def test_simulate_writes_the_first_paths_of_each_arm_from_their_start(simulated):
    out, stdout = simulated
    assert names(out) == PICTURE
    frame = read(out, "trajectories.csv")
    assert list(frame.columns) == ["arm", "path", "time", "x0", "x1"]
    starts = frame.groupby(["arm", "path"], sort=False).first()
    assert [*starts.index] == [(arm, path) for arm in ("SGD", "SAM") for path in range(3)]
    assert (starts == 0).all(axis=None)
    assert sum(", path " in line for line in stdout.splitlines()) == 6


@pytest.mark.slow
def test_plot_draws_a_simulation_again_beside_an_escape_run(simulated, folder, tmp_path):
    out, _ = simulated
    drawn = (out / "trajectories.png").read_bytes()
    (out / "trajectories.png").unlink()
    assert invoke("plot", out).stdout.splitlines() == [str(out / f"trajectories.{kind}") for kind in ("png", "pdf")]
    assert (out / "trajectories.png").read_bytes() == drawn
    run(tmp_path, SADDLE, "--set", "run.n_paths=5")
    invoke("simulate", folder / "config.yaml", "--paths", "1", "--out", tmp_path / "out")
    invoke("plot", tmp_path / "out")
    assert names(tmp_path / "out") == set(TABLES) | {"run.json", "store"} | FIGURES | PICTURE


def ends(frame):
    return frame.groupby(["arm", "path"], sort=False)[["time", "x0", "x1"]].last()


def test_a_simulated_path_ends_where_the_escape_run_said(out, simulated):
    expected = ends(read(out, "paths.csv").query("path < 3"))
    pd.testing.assert_frame_equal(ends(read(simulated[0], "trajectories.csv")), expected, rtol=1e-4, atol=1e-6)


def test_one_path_is_replayed_alone_and_ends_where_it_ended(folder, out, tmp_path):
    result = invoke("simulate", folder / "config.yaml", "--replay", "17", "--out", tmp_path)
    frame = read(tmp_path, "trajectories.csv")
    assert set(frame["path"]) == {17}
    expected = ends(read(out, "paths.csv").query("path == 17"))
    pd.testing.assert_frame_equal(ends(frame), expected, rtol=1e-4, atol=1e-6)
    assert "SGD, path 17: escaped at time" in result.stdout


def test_every_keeps_some_states_and_the_ends(folder, simulated, tmp_path):
    invoke("simulate", folder / "config.yaml", "--replay", "2", "--every", "7", "--out", tmp_path)
    all_states, some = (
        read(folder, "trajectories.csv").query("path == 2 and arm == 'SGD'").reset_index(drop=True)
        for folder in (simulated[0], tmp_path)
    )
    expected = pd.concat([all_states.iloc[:-1:7], all_states.iloc[-1:]]).reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected, rtol=1e-4, atol=1e-6)


def test_simulate_draws_no_picture_of_three_coordinates(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(THREE_COORDINATES))
    invoke("simulate", tmp_path / "config.yaml", "--out", tmp_path / "out")
    assert names(tmp_path / "out") == {"trajectories.csv", "trajectories.json"}


@pytest.mark.parametrize("command", ["escape", "simulate", "reproduce", "plot", "report", "validate", "list"])
def test_every_command_explains_itself(command):
    assert app.info.name == "sam-sde"
    assert command in invoke("--help").stdout
    assert "--help" in invoke(command, "--help").stdout


def test_the_version_is_that_of_the_package():
    assert invoke("--version").stdout == f"{version('sam_sde')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["escape", "--help"]], ids=" ".join)
def test_help_and_version_need_no_large_library(arguments):
    code = "import sys; from sam_sde.cli import app; app(sys.argv[1:], standalone_mode=False); "
    code += "sys.exit(', '.join({'torch', 'matplotlib', 'pandas', 'sam_sde.jobs.escape'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="sam-sde")
    assert script.load() is main


# What takes most of the time of a small run, and no test looks at.
WITHOUT_EXPONENTS_AND_FIGURES = """
import sam_sde.figures.folder, sam_sde.jobs.escape
sam_sde.figures.folder.draw_result = lambda *arguments: []
sam_sde.jobs.escape.least_exponent = lambda run: None
"""


def process(*arguments, before="", **environment):
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\nfrom sam_sde.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )


@pytest.mark.slow
def test_ctrl_c_ends_a_process_with_130_and_whole_files(tmp_path):
    # SGD leaves at once; SAM is held for e^25 times as long.
    config = yaml.safe_load(SADDLE)
    config["arms"]["SAM"]["rho"] = 0.5
    config["escape"]["t_max"] = 1e5
    config["run"]["engine"] = "torchsde"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    arguments = ("escape", tmp_path / "config.yaml", "--out", tmp_path / "out")
    running = process(*arguments, before=WITHOUT_EXPONENTS_AND_FIGURES)
    guard = threading.Timer(120, running.kill)
    guard.start()
    try:
        assert "SGD: 100 % done, 40 escaped\n" in iter(running.stderr.readline, "")
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate()
    finally:
        guard.cancel()
        running.kill()
    assert running.returncode == 130
    assert "Traceback" not in stderr
    assert "SGD" in stdout
    summary = read(tmp_path / "out", "summary.csv").set_index("arm")
    assert summary.loc["SGD", "n_escaped"] == N_PATHS
    assert record(tmp_path / "out")["interrupted"] is True
    assert set(TABLES) - {"comparison.csv"} <= names(tmp_path / "out")
    for name in names(tmp_path / "out") & set(TABLES):
        assert len(TABLES[name].read(tmp_path / "out"))
        assert (tmp_path / "out" / name).read_text().endswith("\n")
    assert not [name for name in names(tmp_path / "out") if name.startswith(".")]


@pytest.mark.slow
def test_a_process_tells_bad_input_in_one_line_even_without_greek_letters(tmp_path):
    (tmp_path / "config.yaml").write_text(SADDLE.replace("rho", "ρ"), encoding="utf-8")
    refused = process("escape", tmp_path / "config.yaml", "--out", tmp_path / "out", PYTHONIOENCODING="ascii")
    stdout, stderr = refused.communicate(timeout=120)
    assert (refused.returncode, stdout) == (2, "")
    assert stderr.startswith("error: arms.SAM.?: unknown key; ")
    assert len(io.StringIO(stderr).readlines()) == 1
    assert names(tmp_path) == {"config.yaml"}
