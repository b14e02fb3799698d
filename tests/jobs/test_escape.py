"""Running all arms of a configuration: results, comparison, and the record of what was run."""

import dataclasses
import functools
import json

import numpy as np
import pandas as pd
import pytest

from sam_sde.config.building import Setting
from sam_sde.config.loading import check_config
from sam_sde.engines import ENGINES
from sam_sde.escape.multilevel import as_fine
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.escape_record import escape_record
from sam_sde.jobs.escape_tables import sample_paths
from sam_sde.jobs.identity import identity_of
from sam_sde.surfaces import SURFACES

CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01},
    "arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.05}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.2}, "t_max": 1},
    "run": {"n_paths": 30, "engine": "torchsde"},
}


def silent(arm, progress):
    pass


def executed(folder, report=silent, **sections):
    experiment = Experiment(Setting(check_config(CONFIG | sections), folder))
    experiment.execute(report)
    return experiment


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return executed(tmp_path_factory.mktemp("config"))


def test_every_arm_has_a_result_in_the_order_of_the_configuration(experiment):
    assert list(experiment.results) == ["SGD", "SAM"]
    assert list(experiment.summary()["arm"]) == ["SGD", "SAM"]
    assert experiment.unfinished == {}


def test_the_reference_is_the_first_arm_or_the_one_that_is_named(experiment, tmp_path):
    row = experiment.comparison().iloc[0]
    assert (row["arm"], row["reference"]) == ("SAM", "SGD")
    row = executed(tmp_path, reference="SAM").comparison().iloc[0]
    assert (row["arm"], row["reference"]) == ("SGD", "SAM")


def test_progress_is_told_for_each_arm_up_to_its_end(tmp_path):
    told = {}
    executed(tmp_path, lambda arm, progress: told.setdefault(arm, []).append(progress))
    assert list(told) == ["SGD", "SAM"]
    for progress in told.values():
        fractions = [one.fraction for one in progress]
        assert fractions == sorted(fractions)
        assert (progress[-1].finished, progress[-1].fraction) == (30, 1.0)


def test_an_arm_is_the_same_whatever_the_other_arms_are(experiment, tmp_path):
    alone = executed(tmp_path, arms={"SAM": CONFIG["arms"]["SAM"]})
    assert (alone.results["SAM"].times == experiment.results["SAM"].times).all()
    assert alone.comparison() is None


def test_the_recorded_configuration_gives_the_same_results(experiment, tmp_path):
    recorded = escape_record(experiment, experiment.comparison())["config"]
    again = Experiment(Setting(check_config(recorded), tmp_path))
    again.execute(silent)
    pd.testing.assert_frame_equal(again.summary(), experiment.summary())
    for arm, result in again.results.items():
        assert (result.exit_points == experiment.results[arm].exit_points).all()


def test_sample_paths_begin_at_the_start_and_end_where_the_paths_ended(experiment):
    sample = sample_paths(experiment).groupby(["arm", "path"], sort=False)
    assert list(sample.first().index) == [(arm, path) for arm in ("SGD", "SAM") for path in range(5)]
    assert (sample.first() == 0).all(axis=None)
    for (arm, path), end in sample.last().iterrows():
        result = experiment.results[arm]
        np.testing.assert_allclose(end, [result.times[path], *result.exit_points[path]], rtol=1e-6)


@pytest.mark.parametrize("name", SURFACES)
def test_every_surface_can_be_run_from_its_centre(name, tmp_path):
    parameters = {"eigenvalues": [1.0, -1.0]} if name in ("quadratic", "embedded_saddle") else {}
    region = {"kind": "ball", "centre": [0.1, 0.1], "radius": 0.5}
    experiment = executed(
        tmp_path,
        surface={"name": name, **parameters},
        optimizer={"lr": 1e-4},
        escape={"start": [0.1, 0.1], "region": region, "t_max": 1e-3},
    )
    assert experiment.cautions(None) is not None
    for result in experiment.results.values():
        assert np.isfinite(result.exit_points).all()


def test_a_slow_way_of_an_engine_is_said_and_recorded_with_its_reason(monkeypatch, tmp_path):
    torchsde = ENGINES["torchsde"]

    def prepare(problem, start):
        advance = functools.partial(torchsde.prepare(problem, start))
        advance.way = "by torch.compile: torch has no such module"
        return advance

    monkeypatch.setitem(ENGINES, "torchsde", dataclasses.replace(torchsde, prepare=prepare))
    found = executed(tmp_path)
    record = escape_record(found, None)
    assert set(record["ways"].values()) == {"by torch.compile: torch has no such module"}
    assert (
        "engine: 'torchsde' runs slower than it might, by torch.compile: torch has no such module" in record["warnings"]
    )


@pytest.mark.parametrize(("method", "way"), [("euler", "multilevel"), ("heun", "one step")])
def test_an_accuracy_is_recorded_with_its_way_and_its_levels(method, way, tmp_path):
    found = executed(
        tmp_path,
        surface={"name": "quadratic", "eigenvalues": [-1.0]},
        optimizer={"lr": 0.5, "batch_size": 8},
        arms={"SGD": {"kind": "sgd"}},
        escape={"start": [0.2], "region": {"kind": "ball", "centre": [0], "radius": 1.0}, "t_max": 7.0},
        run={"engine": "torchsde", "method": method, "accuracy": 0.02},
    )
    result, row = found.results["SGD"], found.summary().iloc[0]
    record = json.loads(json.dumps(escape_record(found, None)))
    chosen = record["accuracy"]["SGD"]
    assert (chosen["way"], chosen["dt"], chosen["n_paths"]) == (way, record["dt"]["SGD"], row["n_paths"])
    assert np.hypot(chosen["statistical_error"], chosen["step_error"]) <= 0.02
    said = [warning for warning in record["warnings"] if "behind rmst" in warning]
    if way == "one step":
        assert "levels" not in chosen
        assert not said
        return
    levels = chosen["levels"]
    assert (levels[-1]["dt"], levels[-1]["n_paths"]) == (result.dt, len(result))
    assert row["rmst"] == pytest.approx(sum(level["mean"] for level in levels))
    error = np.linalg.norm([level["standard_error"] for level in levels])
    assert row["rmst_high"] - row["rmst_low"] == pytest.approx(2 * 1.96 * error, rel=0.02)
    longer = sum(level["n_paths"] for level in levels[:-1])
    assert f"SGD: behind rmst, and what is computed from it, are {longer} paths at longer steps too" in said[0]


def test_paths_of_pairs_are_kept_apart_from_others_at_their_step(experiment):
    """They have another Brownian motion, that of the coarse ones."""
    run = experiment.setting.run("SGD", None)
    assert identity_of(experiment.setting, "SGD", as_fine(run)) != identity_of(experiment.setting, "SGD", run)
