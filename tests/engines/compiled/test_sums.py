"""On data the compiled engine takes the SDE's steps of the reference engine, with the gradients of samples in loops."""

import numpy as np
import pytest
import torch
from torch import nn

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration, choose_engine
from sam_sde.engines.compiled import engine as compiled_engine
from sam_sde.engines.compiled import loops, minibatch_steps, slices, sums
from sam_sde.random import Stream
from tests.engines.compiled.test_on_data import LABELS, NETWORKS, PERCEPTRON, ROWS, TOLERANCE, K, noise, surface_of
from tests.engines.test_choice import problem

ON_ONE = {"lr": 0.1, "batch_size": 4, "rho": 0.1}
OPTIMIZERS = {
    "SGD, momentum, decay, schedule": ss.SGD(
        PERCEPTRON, noise(), momentum=0.9, weight_decay=0.1, lr_schedule=ss.CosineSchedule(1.5, low=0.1), **K
    ),
    "SGD, overdamped": ss.SGD(PERCEPTRON, noise("without_replacement"), momentum=0.5, momentum_model="overdamped", **K),
    "SGD, drift of order 2": ss.SGD(PERCEPTRON, noise(), drift_order=2, **K),
    "SGD, noise of another kind": ss.SGD(PERCEPTRON, ss.IsotropicNoise(0.3), **K),
    "SAM": ss.SAM(PERCEPTRON, noise(), **ON_ONE),
    "SAM, total": ss.SAM(PERCEPTRON, noise(), drift="total", **ON_ONE),
    "SAM, same": ss.SAM(PERCEPTRON, noise(), ascent="same", rho_schedule=ss.WarmUpSchedule(1.0), **ON_ONE),
    "USAM, independent": ss.USAM(PERCEPTRON, noise(), ascent="independent", **ON_ONE),
    "switch": ss.Switch(ss.SGD(PERCEPTRON, noise(), **K), ss.SAM(PERCEPTRON, noise(), **ON_ONE), at=0.25),
}


@pytest.fixture(autouse=True)
def in_blocks(monkeypatch):
    """23 samples in 3 blocks of 8, the last of which is filled up."""
    for module in (minibatch_steps, sums, compiled_engine):
        monkeypatch.setattr(module, "SAMPLES_AT_ONCE", 8)


def states_of(engine, dynamics, dtype, *, method="heun", n_paths=9, chunks=(2, 1, 2)):
    """All states (steps + 1, paths, state_dim), in float64, over so many steps a chunk."""
    integration = Integration(dynamics=dynamics, stream=Stream(5, "arm"), dt=0.1, method=method)
    spread = torch.linspace(-0.3, 0.3, 9)[:n_paths, None]
    w = dynamics.parts[0].surface.initial_weights + spread * torch.arange(dynamics.dim).cos()
    state = dynamics.initial_state(w.double(), w.new_zeros(n_paths, dynamics.channels))
    advance, step = ENGINES[engine].prepare(integration, state.to(dtype)), 3
    found = [state[None]]
    for n_steps in chunks:
        chunk = advance(integration, state, torch.arange(9)[:n_paths], step, n_steps)
        found.append(chunk.exact(slice(1, None), slice(None)).clone())
        state, step = chunk.end, step + n_steps
    assert engine != "compiled" or advance.way == "sums in rows"
    return torch.cat(found)


def assert_same_steps(dynamics, dtype, **options):
    expected, found = (states_of(engine, dynamics, dtype, **options) for engine in ("torchsde", "compiled"))
    assert (expected[-1] - expected[0]).abs().max() > 0.02
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_of_each_optimizer_are_those_of_the_reference_engine(optimizer, method, dtype):
    assert_same_steps(OPTIMIZERS[optimizer], dtype, method=method)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("name", NETWORKS)
def test_so_are_those_of_each_kind_of_network(name):
    surface = surface_of(name)
    assert_same_steps(ss.SGD(surface, ss.EmpiricalNoise(surface), **K), torch.float64, chunks=(2,))


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["perceptron", "convolution"])
def test_and_as_the_graph_that_is_compiled(name):
    surface = surface_of(name)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), **K)
    assert_same_steps(sgd, torch.float64, chunks=(2,), method="euler")


@pytest.mark.slow
def test_and_compiled():
    assert_same_steps(OPTIMIZERS["SGD, momentum, decay, schedule"], torch.float32, method="euler")


@pytest.mark.usefixtures("only_recorded")
def test_slices_and_few_paths_change_nothing(monkeypatch):
    expected = states_of("compiled", OPTIMIZERS["SAM"], torch.float64)
    for n_paths in (1, 3):
        few = states_of("compiled", OPTIMIZERS["SAM"], torch.float64, n_paths=n_paths)
        torch.testing.assert_close(few, expected[:, :n_paths], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(slices, "NUMBERS_OF_SLICE", 1)
    monkeypatch.setattr(slices, "FEWEST_PATHS", 2)
    sliced = states_of("compiled", OPTIMIZERS["SAM"], torch.float64)
    torch.testing.assert_close(sliced, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("only_recorded")
def test_escapes_are_those_of_the_reference_engine_and_the_users_random_numbers_stay():
    start = PERCEPTRON.initial_weights
    options = {"start": start, "region": ss.Ball(start, 0.5), "t_max": 4.0, "n_paths": 40, "dtype": "float64"}
    one = ss.escape_times(OPTIMIZERS["SAM"], engine="torchsde", workers=1, **options)
    before = torch.get_rng_state()
    other = ss.escape_times(OPTIMIZERS["SAM"], engine="compiled", workers=2, block_size=20, **options)
    assert torch.equal(torch.get_rng_state(), before)
    assert (one.outcome == ss.Outcome.ESCAPED).sum() > 10
    assert (other.engine, other.way, other.run.in_threads) == ("compiled", "sums in rows", True)
    np.testing.assert_array_equal(other.outcome, one.outcome)
    np.testing.assert_allclose(other.times, one.times, rtol=1e-9)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("every", [1, 3])
def test_so_are_those_from_a_region_on_the_loss_with_compiled_looks(every, monkeypatch):
    start = PERCEPTRON.initial_weights
    region = ss.LossAbove(PERCEPTRON, 0.95 * PERCEPTRON.value(start[None]).item(), every)
    options = {"start": start, "region": region, "t_max": 8.0, "n_paths": 30, "workers": 1, "crossing": "none"}
    value, looked_at = ss.FiniteSum.value, []
    monkeypatch.setattr(ss.FiniteSum, "value", lambda self, w: looked_at.append(len(w)) or value(self, w))
    one = ss.escape_times(OPTIMIZERS["SAM"], engine="torchsde", **options)
    by_region = sum(looked_at)
    other = ss.escape_times(OPTIMIZERS["SAM"], engine="compiled", **options)
    assert sum(looked_at) - by_region < by_region / 4
    assert other.way == "sums in rows"
    assert (one.outcome == ss.Outcome.ESCAPED).sum() > 10
    np.testing.assert_array_equal(other.outcome, one.outcome)
    np.testing.assert_allclose(other.times, one.times, rtol=1e-6)


@pytest.mark.usefixtures("only_recorded")
def test_problems_that_differ_in_numbers_or_data_are_compiled_once():
    other = ss.network_surface(NETWORKS["perceptron"][0](), nn.functional.cross_entropy, (2 * ROWS, LABELS.flip(0)))
    for surface, lr in ((PERCEPTRON, 0.1), (PERCEPTRON, 0.2), (other, 0.1)):
        assert_same_steps(ss.SGD(surface, ss.EmpiricalNoise(surface), lr=lr), torch.float64, chunks=(2,))
    assert len(loops._loops) == 2  # of the one gradient that heun ends with, and of two


class OwnWay(ss.FiniteSum):
    """A surface with a way of its own to the gradients of samples."""

    def weighted_gradients(self, w, *weights):
        return super().weighted_gradients(w, *weights)


@pytest.mark.usefixtures("only_recorded")
def test_a_surface_with_a_way_of_its_own_is_left_to_the_reference_engine():
    surface = OwnWay(PERCEPTRON.sample_loss, (ROWS, LABELS), PERCEPTRON.dim)
    sgd, start = ss.SGD(surface, ss.EmpiricalNoise(surface), **K), PERCEPTRON.initial_weights
    options = {"start": start, "region": ss.Ball(start, 9.0), "t_max": 0.3, "n_paths": 5}
    with pytest.warns(UserWarning, match="'torchsde' did .the surface has weighted_gradients of its own."):
        ss.escape_times(sgd, engine="compiled", **options)


def test_it_is_chosen_for_long_work_on_more_samples_than_one_recording_has():
    sgd = OPTIMIZERS["SGD, noise of another kind"]
    assert choose_engine("auto", problem(sgd, t_max=1e4), 10**5) == "compiled"
    assert choose_engine("auto", problem(sgd, t_max=1.0), 10) == "torchsde"
