"""From a checked configuration to runs: everything that can be named can be built, from the least that it needs."""

import re

import pytest
import torch

from sam_sde import dynamics, noise, regions
from sam_sde.config.building import Setting, build_surface
from sam_sde.config.catalogue import catalogue
from sam_sde.config.errors import ConfigError
from sam_sde.config.loading import check_config
from sam_sde.config.schema import Surface
from sam_sde.dynamics import OPTIMIZERS
from sam_sde.escape import NormalStart, PointStart
from sam_sde.surfaces import SURFACES

# A value for every parameter that something in the catalogue cannot do without.
VALUES = {
    "eigenvalues": [1.0, -1.0],
    "sigma": 1.0,
    "covariance": [[2.0, 1.0], [1.0, 2.0]],
    "rho": 0.1,
    "centre": [0, 0],
    "radius": 2.0,
    "direction": [0, 1],
    "half_width": 2.0,
    "low": [-2, -2],
    "high": [2, 2],
    "at": [0, 0],
    "distance": 2.0,
    "first": "SGD",
    "second": "SAM",
    "t_end": 0.5,
    "every": 0.2,
}
CATALOGUE = catalogue()


def config(**sections):
    return check_config(
        {
            "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
            "noise": {"kind": "isotropic", "sigma": 1.0},
            "optimizer": {"lr": 0.01, "batch_size": 4},
            "arms": {"SGD": {"kind": "sgd"}},
            "escape": {"start": [0.1, 0.2], "region": {"kind": "ball", "centre": [0, 0], "radius": 2}, "t_max": 1},
            **sections,
        }
    )


def escape(**changes):
    return {"start": [0.1, 0.2], "region": {"kind": "ball", "centre": [0, 0], "radius": 2}, "t_max": 1, **changes}


def build(**sections):
    return Setting(config(**sections)).runs()


def entries(title):
    """Names in a section of the catalogue, with the parameters that may not be left out."""
    lines = [line.split() for line in CATALOGUE[title] if ":" not in line]
    return {name: {word: VALUES[word] for word in words if "[" not in word} for name, *words in lines}


def test_the_catalogue_holds_everything_that_can_be_built():
    assert entries("surfaces").keys() == SURFACES.keys()
    assert entries("optimizers").keys() == OPTIMIZERS.keys()
    assert entries("schedules").keys() == dynamics.SCHEDULES.keys()
    assert entries("noise").keys() == {"none", "isotropic", "constant", "hessian", "empirical"}
    assert entries("regions").keys() == {"ball", "slab", "box", "loss", "unstable"}


@pytest.mark.parametrize("name", entries("surfaces"))
def test_every_surface_can_be_built(name):
    surface = build_surface(Surface.model_validate({"name": name, **entries("surfaces")[name]}))
    assert (surface.name, surface.dim) == (name, 2)
    surface.check_at(torch.full((3, 2), 0.5))


@pytest.mark.parametrize(
    ("kind", "built"),
    [
        ("none", noise.NoNoise),
        ("isotropic", noise.IsotropicNoise),
        ("constant", noise.ConstantNoise),
        ("hessian", noise.HessianNoise),
    ],
)
def test_every_noise_can_be_built(kind, built):
    run = build(noise={"kind": kind, **entries("noise")[kind]})["SGD"]
    assert type(run.problem.dynamics.noise) is built


def test_the_hessian_at_a_point_is_constant_noise():
    noise_of = build(noise={"kind": "hessian", "at": [0, 0]})["SGD"].problem.dynamics.noise
    torch.testing.assert_close(noise_of.covariance(torch.zeros(1, 2))[0], torch.eye(2))


def test_the_power_of_the_hessian_is_a_key():
    surface = {"name": "quadratic", "eigenvalues": [4.0, -9.0]}
    for kind in ({}, {"at": [0, 0]}):
        run = build(surface=surface, noise={"kind": "hessian", "power": 1.5, **kind})["SGD"]
        covariance = run.problem.dynamics.noise.covariance(torch.zeros(1, 2, dtype=torch.float64))[0]
        torch.testing.assert_close(covariance, torch.tensor([8.0, 27.0], dtype=torch.float64).diag())


@pytest.mark.parametrize("kind", [kind for kind in OPTIMIZERS if kind != "switch"])
def test_every_optimizer_can_be_built(kind):
    run = build(arms={"arm": {"kind": kind, **entries("optimizers")[kind]}})["arm"]
    assert type(run.problem.dynamics) is OPTIMIZERS[kind]
    assert (run.problem.dynamics.lr, run.problem.dynamics.batch_size) == (0.01, 4)


def test_a_switch_goes_from_one_arm_to_another():
    arms = {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.1, "batch_size": 8}}
    arms["late SAM"] = {"kind": "switch", "first": "SGD", "second": "SAM", "at": 0.5}
    switch = build(arms=arms)["late SAM"].problem.dynamics
    assert type(switch) is dynamics.Switch
    assert (type(switch.active(0.49)), type(switch.active(0.5))) == (dynamics.SGD, dynamics.SAM)
    assert (switch.first.batch_size, switch.second.batch_size) == (4, 8)


@pytest.mark.parametrize("kind", entries("schedules"))
@pytest.mark.parametrize("key", ["lr_schedule", "rho_schedule"])
def test_every_schedule_can_be_built(kind, key):
    schedule = {"kind": kind, **entries("schedules")[kind]}
    built = build(arms={"SAM": {"kind": "sam", "rho": 0.1, key: schedule}})["SAM"].problem.dynamics
    assert type(getattr(built, key)) is dynamics.SCHEDULES[kind]


def test_an_arm_has_the_momentum_of_the_optimizer_or_its_own():
    optimizer = {
        "lr": 0.01,
        "momentum": 0.9,
        "initial_velocity": "equilibrium",
        "weight_decay": 0.1,
        "lr_schedule": {"kind": "cosine", "t_end": 2.0},
    }
    own = {"momentum": 0.5, "momentum_model": "overdamped", "initial_velocity": "zero", "weight_decay": 0.0}
    arms = {"a": {"kind": "sgd"}, "b": {"kind": "sgd", "lr_schedule": {"kind": "constant"}, **own}}
    a, b = (run.problem.dynamics for run in build(optimizer=optimizer, arms=arms).values())
    assert (a.momentum, a.initial_velocity, a.weight_decay, a.state_dim) == (0.9, "equilibrium", 0.1, 4)
    assert (b.momentum, b.initial_velocity, b.weight_decay, b.state_dim) == (0.5, "zero", 0.0, 2)
    assert a.lr_schedule.t_end == 2.0
    assert type(b.lr_schedule) is dynamics.ConstantSchedule


@pytest.mark.parametrize(
    ("kind", "built"),
    [
        ("ball", regions.Ball),
        ("slab", regions.Slab),
        ("box", regions.Box),
        ("unstable", regions.UnstableDistance),
    ],
)
def test_every_region_can_be_built(kind, built):
    run = build(escape=escape(region={"kind": kind, **entries("regions")[kind]}))["SGD"]
    assert type(run.problem.region) is built


@pytest.mark.parametrize(("key", "built"), [("below", regions.LossBelow), ("above", regions.LossAbove)])
def test_a_region_of_the_loss_has_one_level(key, built):
    level = 0.5 if key == "below" else -0.5
    region = build(escape=escape(region={"kind": "loss", key: level}))["SGD"].problem.region
    assert type(region) is built
    assert region.level == level


def test_the_defaults_in_the_catalogue_are_those_of_the_surfaces():
    for line in CATALOGUE["surfaces"]:
        for parameter, value in re.findall(r"\[(\w+)=([^]]+)\]", line):
            name = line.split()[0]
            least = {"name": name, **entries("surfaces")[name]}
            w = torch.tensor([[0.3, -0.7]])
            given = build_surface(Surface.model_validate({**least, parameter: float(value)}))
            torch.testing.assert_close(given.value(w), build_surface(Surface.model_validate(least)).value(w))


def test_a_formula_and_a_function_in_a_file_are_surfaces(tmp_path):
    (tmp_path / "my_loss.py").write_text("def loss(w):\n    return w[0] ** 2 - w[1] ** 2\n")
    w = torch.tensor([[0.5, 2.0]])
    for section in ({"expression": "x**2 - y**2"}, {"python": "my_loss.py:loss", "dim": 2}):
        surface = build_surface(Surface.model_validate(section), tmp_path)
        assert surface.value(w).item() == -3.75


def test_an_arm_s_own_keys_win_over_the_defaults_of_all_arms():
    runs = build(arms={"a": {"kind": "sgd"}, "b": {"kind": "sam", "rho": 0.1, "lr": 0.02, "batch_size": 9}})
    assert [(run.problem.dynamics.lr, run.problem.dynamics.batch_size) for run in runs.values()] == [
        (0.01, 4),
        (0.02, 9),
    ]
    assert [run.problem.dt for run in runs.values()] == [0.01, 0.02]


def test_a_step_that_is_given_holds_for_all_arms():
    runs = build(arms={"a": {"kind": "sgd"}, "b": {"kind": "sgd", "lr": 0.02}}, run={"dt": 0.005})
    assert [run.problem.dt for run in runs.values()] == [0.005, 0.005]


def test_arms_have_noise_of_their_own_unless_it_is_to_be_common():
    arms = {"a": {"kind": "sgd"}, "b": {"kind": "sgd"}}
    streams = [run.problem.stream for run in build(arms=arms).values()]
    assert streams[0] != streams[1]
    streams = [run.problem.stream for run in build(arms=arms, run={"common_noise": True}).values()]
    assert streams[0] == streams[1]


def test_a_start_is_a_point_or_random():
    assert type(build()["SGD"].start) is PointStart
    start = build(escape=escape(start={"normal": {"mean": [0, 0], "std": 0.1}}))["SGD"].start
    assert type(start) is NormalStart
    assert start.std == 0.1


def test_the_options_of_the_run_arrive():
    options = {"method": "srk", "crossing": "none", "dtype": "float64", "device": "cpu", "block_size": 8, "n_paths": 20}
    run = build(run={**options, "seed": 5})["SGD"]
    assert (run.problem.method, run.problem.crossing, run.dtype) == ("srk", "none", torch.float64)
    assert (run.device, run.block_size, run.n_paths, run.problem.stream.seed) == (torch.device("cpu"), 8, 20, 5)


def test_momentum_of_zero_is_the_plain_optimizer():
    assert type(build(arms={"SGD": {"kind": "sgd", "momentum": 0}})["SGD"].problem.dynamics) is dynamics.SGD


def test_an_error_in_a_default_of_all_arms_is_blamed_on_the_default():
    with pytest.raises(ConfigError, match=r"^optimizer\.momentum: "):
        build(optimizer={"lr": 0.01, "momentum": 1.5})
    with pytest.raises(ConfigError, match=r"^arms\.SGD\.momentum: "):
        build(arms={"SGD": {"kind": "sgd", "momentum": 1.5}})
