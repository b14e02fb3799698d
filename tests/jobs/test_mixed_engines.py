"""An SDE and the algorithm it stands for, as two arms of one experiment."""

import json

import numpy as np
import pytest

from sam_sde.config.building import Setting
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.figures.folder import draw_result
from sam_sde.jobs.escape import Experiment
from sam_sde.jobs.results import Destination

CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01, "batch_size": 4},
    "arms": {"SGD": {"kind": "sgd"}, "SGD (discrete)": {"kind": "sgd", "engine": "discrete"}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 0.1}, "t_max": 1},
    "run": {"n_paths": 50, "engine": "torchsde"},
}


NOISE_ALIKE = {"common_noise": True, "crossing": "none", "method": "euler"}


def with_sections(**sections):
    return check_config(CONFIG | {key: CONFIG.get(key, {}) | value for key, value in sections.items()})


def test_engine_step_method_and_crossing_of_the_run_are_those_of_the_sdes():
    runs = Setting(with_sections(run={"dt": 0.005, "method": "milstein", "crossing": "shift"})).runs()
    sde, discrete = runs["SGD"], runs["SGD (discrete)"]
    assert (sde.engine, discrete.engine) == ("torchsde", "discrete")
    assert (sde.problem.dt, sde.problem.method, sde.problem.crossing) == (0.005, "milstein", "shift")
    assert (discrete.problem.dt, discrete.problem.crossing) == (0.01, "none")


def test_both_stand_in_one_table_and_the_record_names_their_engines(tmp_path):
    experiment = Experiment(Setting(with_sections(run=NOISE_ALIKE), tmp_path))
    experiment.execute(lambda arm, progress: None)
    # With common noise the two are the same paths, for Euler's scheme at dt = lr is the algorithm.
    sde, discrete = experiment.results.values()
    np.testing.assert_array_equal(sde.times, discrete.times)
    assert experiment.comparison()["rmst_ratio"].tolist() == [1.0]
    experiment.write(Destination(tmp_path, "escape"))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["engine"] == ["discrete", "torchsde"]
    assert record["engines"] == {"SGD": "torchsde", "SGD (discrete)": "discrete"}
    assert check_config(record["config"]) == experiment.config
    assert (tmp_path / "survival.png") in draw_result(tmp_path, "escape")


def test_a_whole_run_may_be_discrete():
    runs = Setting(with_sections(run={"engine": "discrete", "dt": 0.01}, arms={"SGD": {"kind": "sgd"}})).runs()
    assert {run.engine for run in runs.values()} == {"discrete"}
    assert {run.problem.crossing for run in runs.values()} == {"none"}


def test_nesterov_and_micro_batches_come_from_the_configuration():
    options = {"kind": "sam", "rho": 0.1, "engine": "discrete", "ascent": "same", "micro_batch": 2}
    config = with_sections(optimizer={"momentum": 0.9, "nesterov": True}, arms={"SAM": options})
    config = check_config(config.model_dump() | {"arms": {"SAM": config.model_dump()["arms"]["SAM"]}})
    dynamics = Setting(config).runs()["SAM"].problem.dynamics
    assert (dynamics.momentum, dynamics.nesterov, dynamics.micro_batch) == (0.9, True, 2)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"run": {"engine": "discrete", "dt": 0.005}}, r"run\.dt: expected lr = 0\.01"),
        ({"run": {"engine": "discrete", "method": "milstein"}}, r"run\.method: 'milstein' does not apply"),
        ({"arms": {"SGD": {"kind": "sgd", "engine": "discret"}}}, r"arms\.SGD\.engine: .* did you mean 'discrete'"),
        (
            {"arms": {"SAM": {"kind": "usam", "rho": 0.1, "drift": "total", "engine": "discrete"}}},
            r"arms\.SAM\.drift: 'total' is a model of the algorithm",
        ),
        (
            {"arms": {"SGD": {"kind": "sgd", "momentum": 0.9, "nesterov": True}}},
            r"arms\.SGD\.nesterov: no SDE of it is known",
        ),
        ({"optimizer": {"momentum": 0.9, "nesterov": True}}, r"optimizer\.nesterov: no SDE of it is known"),
        (
            {"arms": {"SAM": {"kind": "sam", "rho": 0.1, "ascent": "same", "micro_batch": 3, "engine": "discrete"}}},
            r"arms\.SAM\.micro_batch: expected a divisor of batch_size = 4, got 3",
        ),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_key(sections, message):
    with pytest.raises(ConfigError, match=message):
        Setting(with_sections(**sections)).runs()
