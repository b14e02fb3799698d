"""Losses over data in a configuration: models, data sets, files, empirical noise, and points with names."""

import pytest
import torch

from sam_sde import noise
from sam_sde.config.building import Setting, build_surface
from sam_sde.config.catalogue import catalogue
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.config.schema import Surface
from sam_sde.surfaces import DATASETS, MODELS


def config(**sections):
    return check_config(
        {
            "surface": {"model": "linear_autoencoder", "data": "iris", "hidden": 2},
            "noise": {"kind": "empirical"},
            "optimizer": {"lr": 0.01, "batch_size": 4},
            "arms": {"SGD": {"kind": "sgd"}},
            "escape": {
                "start": {"normal": {"mean": "saddle", "std": 0.01}},
                "region": {"kind": "ball", "centre": 0.0, "radius": 2.0},
                "t_max": 1,
            },
            "run": {"n_paths": 4},
            **sections,
        }
    )


def surface(**section):
    return build_surface(Surface.model_validate(section))


def test_the_catalogue_holds_all_models_and_data_sets():
    assert [line.split()[0] for line in catalogue()["models"]] == list(MODELS)
    assert catalogue()["data"] == [*DATASETS, "csv: file.csv [target] [header=True] [index=False]"]


@pytest.mark.parametrize("line", catalogue()["models"])
def test_every_model_can_be_built_from_the_least_that_it_needs(line):
    name, *words = line.split()
    data = {"data": "breast_cancer"} if "data" in words else {}
    assert all("[" in word for word in words if word != "data")
    built = surface(model=name, **data)
    assert built.name == name
    built.check_at(torch.full((2, built.dim), 0.1))


def test_parameters_stand_beside_the_model():
    built = surface(model="mlp", data="iris", hidden=[5, 3], activation="relu")
    assert built.dim == (4 + 1) * 5 + (5 + 1) * 3 + (3 + 1) * 3


def test_a_point_of_the_wrong_length_is_refused_with_what_else_can_stand_there():
    region = {"kind": "ball", "centre": 0.0, "radius": 2.0}
    message = r"^escape\.start: expected 16 numbers, one for each coordinate, got 2; try one number for all of them"
    with pytest.raises(ConfigError, match=message):
        Setting(config(escape={"start": [0.0, 0.0], "region": region, "t_max": 1})).runs()


def test_a_csv_file_is_looked_for_beside_the_configuration(tmp_path):
    (tmp_path / "own.csv").write_text("size,weight,kind\n1,2,a\n2,1,b\n3,5,a\n")
    section = {"model": "logistic_regression", "data": {"csv": "own.csv", "target": "kind"}}
    built = build_surface(Surface.model_validate(section), tmp_path)
    assert (built.dim, built.n_samples) == (3, 3)
    section["data"]["target"] = "sort"
    with pytest.raises(ConfigError, match=r"^surface\.data\.target: no column 'sort' in own\.csv"):
        build_surface(Surface.model_validate(section), tmp_path)


@pytest.mark.parametrize("sampling", ["with_replacement", "without_replacement", "epochs"])
def test_empirical_noise_is_built_with_its_sampling(sampling):
    built = Setting(config(noise={"kind": "empirical", "sampling": sampling})).runs()["SGD"].problem.dynamics.noise
    assert (type(built), built.sampling, built.n_samples) == (noise.EmpiricalNoise, sampling, 150)


def test_a_number_stands_for_all_coordinates_and_a_word_for_a_known_point():
    run = Setting(config()).runs()["SGD"]
    dim = run.problem.dynamics.dim
    assert (run.start.mean == 0).all()
    assert len(run.start.mean) == run.problem.region.dim == dim
    known = run.problem.dynamics.surface
    for word, point in (
        ("minimum", known.critical_points[1].location),
        ("initial", known.initial_weights.tolist()),
        (0.25, [0.25] * dim),
    ):
        region = {"kind": "ball", "centre": word, "radius": 2.0}
        run = Setting(config(escape={"start": word, "region": region, "t_max": 1})).runs()["SGD"]
        assert run.start.mean.tolist() == pytest.approx(list(point))
        assert run.problem.region.levels(torch.tensor([point])).item() == pytest.approx(-2.0)
    region = {"kind": "unstable", "at": "saddle", "distance": 2.0}
    start = {"normal": {"mean": 0, "std": 0.01}}
    run = Setting(config(escape={"start": start, "region": region, "t_max": 1}, noise={"kind": "none"})).runs()["SGD"]
    assert run.problem.region.levels(torch.zeros(1, dim)).item() == -2.0
    box = {"kind": "box", "low": -1, "high": 1.0}
    region = Setting(config(escape={"start": start, "region": box, "t_max": 1})).runs()["SGD"].problem.region
    assert region.levels(torch.zeros(1, dim)).tolist() == [[-1.0] * 2 * dim]
