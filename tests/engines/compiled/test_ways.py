"""Steps of one structure are compiled once, it is known in which way, and torch's internals may be missing."""

import functools
import sys

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, CannotCompileError, EscapeProblem
from sam_sde.engines.compiled import compilation, loops
from sam_sde.random import Stream
from sam_sde.surfaces import quadratic, styblinski_tang

SURFACES = {
    "closed form": quadratic,
    "by torch": lambda ab: ss.LossSurface(lambda w: ab[0] * w[0] ** 2 + ab[1] * w[1] ** 2, 2),
}


def arm(kind: str, surface: str, n: int) -> EscapeProblem:
    """The n-th problem of a kind: all numbers differ, none is 1, and in the second some are equal."""
    numbers = [
        {
            "lr": 0.02,
            "batch_size": 4,
            "rho": 0.05,
            "momentum": 0.8,
            "decay": 0.1,
            "radius": 0.3,
            "t_end": 1.5,
            "low": 0.2,
        },
        {
            "lr": 0.1,
            "batch_size": 9,
            "rho": 0.1,
            "momentum": 0.9,
            "decay": 0.1,
            "radius": 0.5,
            "t_end": 2.0,
            "low": 0.1,
        },
    ][n]
    loss = SURFACES[surface]([[1.2, -0.9], [0.7, -2.0]][n])
    noise = ss.ConstantNoise([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.1], [0.1, 3.0]]][n])
    options = {"lr": numbers["lr"], "batch_size": numbers["batch_size"], "weight_decay": numbers["decay"]}
    if kind == "heavy ball":
        options |= {"momentum": numbers["momentum"], "lr_schedule": ss.CosineSchedule(numbers["t_end"], numbers["low"])}
    if kind == "same batch":
        noise, options["ascent"] = ss.IsotropicNoise([0.7, 0.5][n]), "same"
    dynamics = ss.SAM(loss, noise, rho=numbers["rho"], rho_schedule=ss.StepSchedule(1.0 + n, 0.5 - 0.1 * n), **options)
    if kind == "switch":
        dynamics = ss.Switch(ss.SGD(loss, noise, **options), dynamics, at=5.5 * numbers["lr"])
    region = ss.Ball([[0.0, 0.01], [0.02, -0.01]][n], numbers["radius"])
    crossing = "shift" if kind == "same batch" else "bridge"
    dt = numbers["lr"] * [1.0, 0.5][n]
    return EscapeProblem(dynamics=dynamics, region=region, stream=Stream(n), t_max=99.0, dt=dt, crossing=crossing)


def states_of(engine: str, problem: EscapeProblem, n_paths: int = 50) -> tuple[torch.Tensor, str]:
    """Of twelve steps, and the way."""
    start = torch.full((n_paths, problem.dynamics.state_dim), 0.01, dtype=torch.float64)
    advance = ENGINES[engine].prepare(problem, start)
    return advance(problem, start, torch.arange(n_paths), 0, 12).states, getattr(advance, "way", "")


def assert_same_steps(problem: EscapeProblem, way: str) -> None:
    states, found = states_of("compiled", problem)
    assert found == way
    expected, _ = states_of("torchsde", problem)
    torch.testing.assert_close(states, expected, rtol=1e-10, atol=1e-12)


@pytest.fixture
def compilations(monkeypatch):
    """The names of the functions compiled from now on, with nothing compiled before."""
    names, compiled = [], compilation.compiled

    def counting(function, *arguments, **options):
        names.append(function.__name__)
        return compiled(function, *arguments, **options)

    monkeypatch.setattr(loops, "compiled", counting)
    monkeypatch.setattr(loops, "_loops", {})
    return names


KINDS = [("plain", "closed form"), ("heavy ball", "by torch"), ("switch", "closed form"), ("same batch", "by torch")]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("kind", "surface"), KINDS)
def test_arms_that_differ_in_every_number_are_compiled_once(compilations, kind, surface):
    for n in (0, 1):
        assert_same_steps(arm(kind, surface, n), "by coordinates")
    assert compilations.count("quad") == 1


@pytest.mark.usefixtures("uncompiled")
def test_another_structure_is_compiled_for_itself(compilations):
    for kind in ("plain", "switch"):
        assert_same_steps(arm(kind, "closed form", 0), "by coordinates")
    assert compilations.count("quad") == 2


@pytest.mark.usefixtures("uncompiled")
def test_a_loss_that_changed_is_no_loss_that_was_compiled(compilations):
    """It is the same object, and what it reads is another number, another function, another number of terms."""
    world = {"power": 2, "factor": 0.5, "function": torch.cos}
    surface = ss.LossSurface(lambda w: world["factor"] * (w ** world["power"]).sum() - world["function"](w).sum(), 2)
    dynamics = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.02)
    region = ss.Ball([0, 0], 1.0)
    problem = EscapeProblem(dynamics=dynamics, region=region, stream=Stream(), t_max=1.0, dt=0.02)
    for change in ({}, {"factor": 0.7}, {"power": 3}, {"function": torch.sin}, {"power": 2, "function": torch.cos}):
        world |= change
        assert_same_steps(problem, "by coordinates")
    assert compilations.count("quad") == 3


@pytest.mark.usefixtures("uncompiled")
def test_many_coordinates_go_in_rows():
    dynamics = ss.SGD(styblinski_tang(20), ss.IsotropicNoise(1.0), lr=0.001)
    problem = EscapeProblem(dynamics=dynamics, region=ss.Ball([0] * 20, 1.0), stream=Stream(), t_max=1.0, dt=0.001)
    assert_same_steps(problem, "in rows")


@pytest.mark.usefixtures("uncompiled")
def test_what_goes_wrong_by_coordinates_is_told(compilations, monkeypatch):
    def fail(graph):
        raise IndexError("no such thing\nand more")

    monkeypatch.setattr(compilation, "split", fail)
    assert_same_steps(arm("plain", "closed form", 0), "as torch's compiler has it: IndexError: no such thing")


def fails(*arguments, **options):
    raise AttributeError("torch has no such thing")


def breaks(patch, breakage: str) -> None:
    if breakage == "module":
        patch.setitem(sys.modules, "sam_sde.engines.compiled.loops", None)
    else:
        patch.setattr(
            compilation, "standalone_compile", {"attribute": fails, "arguments": lambda graph: None}[breakage]
        )


@pytest.mark.slow
@pytest.mark.parametrize("breakage", ["module", "attribute", "arguments"])
def test_without_torch_s_internals_torch_compile_takes_the_same_steps(monkeypatch, breakage):
    """Once; where other internals are missing it is asked for the same, which need not be compiled again."""
    monkeypatch.setattr(loops, "_loops", {})
    breaks(monkeypatch, breakage)
    compile = functools.partial(torch.compile, backend="eager")  # torch traces it, and generates no code
    monkeypatch.setattr(torch, "compile", compile if breakage == "module" else lambda function, **options: function)
    problem = arm("plain", "by torch", 0)
    states, way = states_of("compiled", problem)
    assert way.startswith("by torch.compile: ")
    torch.testing.assert_close(states, states_of("torchsde", problem)[0], rtol=1e-10, atol=1e-12)


def test_what_cannot_be_recorded_is_not_tried_in_another_way(monkeypatch):
    class Reads(ss.SGD):
        def descent(self, t, w):
            return super().descent(t, w) * w.sum().item()

    monkeypatch.setattr(torch, "compile", None)
    problem = arm("plain", "closed form", 0)
    dynamics = Reads(problem.dynamics.surface, ss.IsotropicNoise(1.0), lr=0.02)
    problem = EscapeProblem(dynamics=dynamics, region=problem.region, stream=Stream(), t_max=1.0, dt=0.02)
    with pytest.raises(CannotCompileError, match="reads a number from a tensor"):
        states_of("compiled", problem)
