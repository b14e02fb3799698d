"""On data the compiled algorithm takes the steps of the discrete engine, with its minibatches."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration
from sam_sde.engines.compiled import loops, minibatch_steps, slices
from sam_sde.engines.compiled.minibatch_steps import MinibatchStep
from sam_sde.engines.compiled.recording import recorded
from sam_sde.random import Stream

GENERATOR = torch.Generator().manual_seed(0)
N, STEPS = 23, 20
IMAGES, LABELS = torch.randn(N, 2, 6, 6, generator=GENERATOR), torch.randint(3, (N,), generator=GENERATOR)
ROWS, WORDS = torch.randn(N, 5, generator=GENERATOR), torch.randint(7, (N, 4), generator=GENERATOR)
PLACES = torch.randn(N, 3, 4, generator=GENERATOR)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


class Residual(nn.Module):
    """w + f(w), with the same layer twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        for _ in range(2):
            x = x + self.inner(x).tanh()
        return self.out(x)


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.layer, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)
        self.options = options

    def forward(self, x):
        return self.out(self.layer(x, x, x, **self.options)[0].mean(1))


NETWORKS = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), ROWS),
    "convolution": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(3, 4, 2, bias=False), nn.Flatten(), nn.Linear(16, 3)),
        ),
        IMAGES,
    ),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 3)), WORDS),
    "layer norm": (lambda: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 3)), ROWS),
    "attention": (lambda: Attention(need_weights=True), PLACES),
    "attention's kernel": (lambda: Attention(need_weights=False), PLACES),
    "residual": (Residual, ROWS),
}


def surface_of(name: str) -> ss.FiniteSum:
    module, data = NETWORKS[name]
    torch.manual_seed(1)
    return ss.network_surface(module(), nn.functional.cross_entropy, (data, LABELS))


PERCEPTRON = surface_of("perceptron")
K = {"lr": 0.1, "batch_size": 4}


def noise(sampling="with_replacement") -> ss.EmpiricalNoise:
    return ss.EmpiricalNoise(PERCEPTRON, sampling)


class Longer(ss.SAM):
    """A step of one's own, with minibatches one after the other."""

    def step(self, t, state, minibatches):
        return state - 2 * self.lr * self.mean_gradient(t, state, minibatches)


OPTIMIZERS = {
    "SGD, momentum, decay, schedule": ss.SGD(
        PERCEPTRON, noise(), momentum=0.9, weight_decay=0.1, lr_schedule=ss.CosineSchedule(1.5, low=0.1), **K
    ),
    "SGD, Nesterov, epochs": ss.SGD(PERCEPTRON, noise("epochs"), momentum=0.5, nesterov=True, **K),
    "SAM, full": ss.SAM(PERCEPTRON, noise("without_replacement"), rho=0.1, **K),
    "SAM, same, schedule": ss.SAM(
        PERCEPTRON, noise(), rho=0.1, ascent="same", rho_schedule=ss.WarmUpSchedule(1.0), momentum=0.5, **K
    ),
    "USAM, independent": ss.USAM(PERCEPTRON, noise("epochs"), rho=0.1, ascent="independent", **K),
    "m-SAM, schedule": ss.SAM(
        PERCEPTRON, noise(), rho=0.2, ascent="same", micro_batch=2, rho_schedule=ss.WarmUpSchedule(1.0), **K
    ),
    "m-SAM by the full gradient": ss.DNSAM(PERCEPTRON, noise(), rho=0.1, ascent="same", micro_batch=2, **K),
    "m-SAM with a step of one's own": Longer(PERCEPTRON, noise(), rho=0.1, ascent="same", micro_batch=2, **K),
    "switch": ss.Switch(
        ss.SGD(PERCEPTRON, noise("epochs"), momentum=0.5, **K),
        ss.SAM(PERCEPTRON, noise(), rho=0.1, momentum=0.5, lr=0.1, batch_size=3),
        at=0.7,
    ),
}


def states_of(engine, dynamics, dtype, *, n_paths=9, chunks=(8, 4, 8), first_step=3, key=None):
    """All states (steps + 1, paths, state_dim), in float64, over so many steps a chunk."""
    integration = Integration(dynamics=dynamics, stream=Stream(5, "arm"), dt=dynamics.lr)
    spread = torch.linspace(-0.3, 0.3, 9)[:n_paths, None]
    w = dynamics.parts[0].surface.initial_weights + spread * torch.arange(dynamics.dim).cos()
    state = dynamics.initial_state(w.double(), w[:, :0])
    advance, paths = ENGINES[engine].prepare(integration, state.to(dtype)), torch.arange(9)[:n_paths]
    found, step = [state[None]], first_step
    for n_steps in chunks:
        chunk = advance(integration, state, paths, step, n_steps)
        found.append(chunk.exact(slice(1, None), slice(None)).clone())
        state, step = chunk.end, step + n_steps
        assert chunk.suspects is None
    return torch.cat(found)


def assert_same_steps(dynamics, dtype):
    expected, found = (states_of(engine, dynamics, dtype) for engine in ("discrete", "compiled_discrete"))
    assert (expected[-1] - expected[0]).abs().max() > 0.05
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_of_each_optimizer_are_those_of_the_discrete_engine(optimizer, dtype):
    assert_same_steps(OPTIMIZERS[optimizer], dtype)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("name", NETWORKS)
def test_so_are_those_of_each_kind_of_network_in_single_precision(name):
    surface = surface_of(name)
    sam = ss.SAM(surface, ss.EmpiricalNoise(surface), rho=0.1, ascent="same", momentum=0.5, **K)
    assert_same_steps(sam, torch.float32)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", NETWORKS)
def test_and_in_double_precision_as_the_graph_that_is_compiled(name):
    surface = surface_of(name)
    assert_same_steps(ss.SGD(surface, ss.EmpiricalNoise(surface), momentum=0.5, **K), torch.float64)


def test_the_compiler_does_not_look_into_convolutions():
    """Whose number of groups is that of the paths."""
    surface = surface_of("convolution")
    start = surface.initial_weights[None].float()
    step = MinibatchStep(ss.SGD(surface, ss.EmpiricalNoise(surface), **K), start)
    with torch.no_grad():
        found = recorded(step, partial(step.inputs, start), 12, tolerance=1e-5)
    assert "sam_sde.convolution_backward" in found.structure
    assert "aten.convolution" not in found.structure


@pytest.mark.slow
def test_and_compiled():
    surface = surface_of("convolution")
    assert_same_steps(ss.SGD(surface, ss.EmpiricalNoise(surface), momentum=0.5, **K), torch.float32)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("optimizer", ["SAM, full", "m-SAM by the full gradient"])
@pytest.mark.parametrize("samples", [1, 5, 12, 22])
def test_the_gradient_of_all_samples_is_the_same_in_blocks_of_them(optimizer, samples, monkeypatch):
    """23 samples in blocks of 1, 5, 12 or 12, of which the last one is filled up."""
    expected = states_of("discrete", OPTIMIZERS[optimizer], torch.float64)
    monkeypatch.setattr(minibatch_steps, "SAMPLES_AT_ONCE", samples)
    found = states_of("compiled_discrete", OPTIMIZERS[optimizer], torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("only_recorded")
def test_slices_of_paths_chunks_and_companions_change_nothing(monkeypatch):
    dynamics, steps = OPTIMIZERS["switch"], {"chunks": (20,)}
    expected = states_of("compiled_discrete", dynamics, torch.float64)
    for n_paths in (1, 3, 8):
        few = states_of("compiled_discrete", dynamics, torch.float64, n_paths=n_paths, chunks=(1, 12, 7))
        torch.testing.assert_close(few, expected[:, :n_paths], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(slices, "NUMBERS_OF_SLICE", 1)
    monkeypatch.setattr(slices, "FEWEST_PATHS", 2)
    torch.testing.assert_close(states_of("compiled_discrete", dynamics, torch.float64, **steps), expected)


@pytest.mark.usefixtures("only_recorded")
def test_far_from_zero_small_steps_are_not_lost():
    """Of a loss c·w a step of 1e-5, a sixth of a unit in the last place of 1000 in single precision."""
    surface = ss.FiniteSum(lambda w, c: (c * w).sum(), torch.full((5, 2), 1e-4), 2)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), **K)
    integration, start = Integration(dynamics=sgd, stream=Stream(), dt=0.1), torch.full((8, 2), 1000.0)
    advance, w = ENGINES["compiled_discrete"].prepare(integration, start), start.double()
    for step in range(0, 40, 4):
        w = advance(integration, w, torch.arange(8), step, 4).end
    torch.testing.assert_close(w, start.double() - 40 * 1e-5, rtol=0, atol=1e-7)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("region", ["ball", "loss"])
def test_escapes_are_those_of_the_discrete_engine(region):
    sgd, start = OPTIMIZERS["SGD, momentum, decay, schedule"], PERCEPTRON.initial_weights
    loss = PERCEPTRON.value(start[None]).item()
    left = ss.Ball(start, 0.5) if region == "ball" else ss.LossAbove(PERCEPTRON, 0.95 * loss)
    options = {"start": start, "region": left, "t_max": 4.0, "n_paths": 40, "dtype": "float64", "workers": 1}
    one, other = (ss.escape_times(sgd, engine=engine, **options) for engine in ("discrete", "compiled_discrete"))
    assert (one.outcome == ss.Outcome.ESCAPED).sum() > 10
    assert (one.engine, other.engine, other.way) == ("discrete", "compiled_discrete", "in rows")
    np.testing.assert_array_equal(other.outcome, one.outcome)
    np.testing.assert_array_equal(other.times, one.times)
    np.testing.assert_allclose(other.exit_points, one.exit_points, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("only_recorded")
def test_threads_take_the_same_paths_to_the_bit():
    start = PERCEPTRON.initial_weights
    options = {"start": start, "region": ss.Ball(start, 0.5), "t_max": 2.0, "n_paths": 48, "block_size": 12}
    alone, shared = (
        ss.escape_times(OPTIMIZERS["USAM, independent"], engine="compiled_discrete", workers=workers, **options)
        for workers in (1, 3)
    )
    assert shared.run.in_threads
    for name in ("times", "outcome", "exit_points"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))


@pytest.mark.usefixtures("only_recorded")
def test_problems_that_differ_in_numbers_data_or_sampling_are_compiled_once():
    other = ss.network_surface(NETWORKS["perceptron"][0](), nn.functional.cross_entropy, (2 * ROWS, LABELS.flip(0)))
    for surface, sampling, rho, lr, momentum in (
        (PERCEPTRON, "epochs", 0.1, 0.1, 0.9),
        (PERCEPTRON, "with_replacement", 0.2, 0.3, 0.5),
        (other, "with_replacement", 0.1, 0.1, 0.9),
    ):
        options = {"rho": rho, "lr": lr, "momentum": momentum, "batch_size": 4, "ascent": "same"}
        assert_same_steps(ss.SAM(surface, ss.EmpiricalNoise(surface, sampling), **options), torch.float64)
    assert len(loops._loops) == 1


class Elsewhere(ss.SAM):
    """The ascent by the gradient of all samples a step ahead."""

    def minibatch_gradient(self, t, w, minibatch):
        return minibatch.descent(w + 0.1 * minibatch.full(w - 0.1))


class OwnGradient(ss.FiniteSum):
    """A surface with a way of its own to a minibatch's gradient."""

    def minibatch_gradient(self, w, index):
        return super().minibatch_gradient(w, index)


OF_ONES_OWN = OwnGradient(PERCEPTRON.sample_loss, (ROWS, LABELS), PERCEPTRON.dim)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize(
    ("dynamics", "reason"),
    [
        (Elsewhere(PERCEPTRON, noise(), rho=0.1, **K), "gradient of all samples elsewhere"),
        (ss.SGD(OF_ONES_OWN, ss.EmpiricalNoise(OF_ONES_OWN), **K), "has a minibatch_gradient of its own"),
        (ss.SGD(PERCEPTRON, noise(), lr=0.1, batch_size=10**5), "minibatches are too large"),
    ],
    ids=["full gradient", "surface", "batch"],
)
def test_what_cannot_be_compiled_is_run_by_the_discrete_engine(dynamics, reason):
    start = PERCEPTRON.initial_weights
    options = {"start": start, "region": ss.Ball(start, 9.0), "t_max": 0.2, "n_paths": 3}
    with pytest.warns(UserWarning, match=f"'compiled_discrete' cannot run this problem, 'discrete' did .*{reason}"):
        found = ss.escape_times(dynamics, engine="compiled_discrete", **options)
    assert found.engine == "discrete"
    expected = ss.escape_times(dynamics, engine="discrete", **options)
    np.testing.assert_array_equal(found.exit_points, expected.exit_points)
