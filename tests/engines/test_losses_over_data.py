"""Losses over data in the SDE engines: which one takes them, and that all they need can be compiled."""

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import EscapeProblem, choose_engine
from sam_sde.random import Stream
from sam_sde.surfaces import load_dataset, mlp, toy_network


@pytest.fixture(scope="module")
def surface():
    return mlp(load_dataset("iris"), hidden=3)


def optimizer(kind, surface, **options):
    return kind(surface, ss.EmpiricalNoise(surface), lr=0.01, batch_size=8, **options)


@pytest.mark.parametrize(("engine", "chosen"), [("auto", "torchsde"), ("compiled", "compiled")])
def test_compiling_a_sum_over_data_is_left_to_the_user(engine, chosen):
    surface = toy_network()
    problem = EscapeProblem(optimizer(ss.SGD, surface), ss.Ball([0, 0], 1.0), Stream(), t_max=1e5, dt=0.01)
    assert choose_engine(engine, problem, n_paths=10**6) == chosen


@pytest.mark.slow
def test_drift_noise_and_its_transpose_are_traced_by_torch_compile(surface):
    """Without breaks in the graph, as the compiled engine needs them, for an ascent that uses all that there is."""
    dynamics = optimizer(ss.SAM, surface, rho=0.1, ascent="same")
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(9, surface.dim, generator=generator, dtype=torch.float64)
    z = torch.randn(9, dynamics.channels, generator=generator, dtype=torch.float64)

    def everything(w, z):
        return dynamics.f(0.0, w), dynamics.g_prod(0.0, w, z), dynamics.g_transpose_prod(0.0, w, w)

    with torch.no_grad():
        expected = everything(w, z)
        traced = torch.compile(everything, fullgraph=True, backend="eager")(w, z)
    torch.testing.assert_close(traced, expected, rtol=1e-10, atol=1e-12)
    product, transposed = expected[1:]
    torch.testing.assert_close((product * w).sum(-1), (transposed * z).sum(-1), rtol=1e-10, atol=1e-12)
