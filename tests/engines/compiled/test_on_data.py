"""On data the compiled algorithm takes the steps of the discrete engine, with its minibatches."""

import numpy as np
import pytest
import torch
from torch import nn

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration
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
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(16, 3)
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
    "m-SAM": ss.SAM(PERCEPTRON, noise(), rho=0.1, ascent="same", micro_batch=2, momentum=0.5, **K),
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


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_of_each_optimizer_are_those_of_the_discrete_engine(optimizer, dtype):
    assert_same_steps(OPTIMIZERS[optimizer], dtype)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_so_are_those_of_each_kind_of_network(name, dtype):
    surface = surface_of(name)
    assert_same_steps(ss.SAM(surface, ss.EmpiricalNoise(surface), rho=0.1, ascent="same", momentum=0.5, **K), dtype)
