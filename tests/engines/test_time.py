"""Dynamics whose diffusion changes with time, written once, in every engine and with every crossing."""

import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import EscapeProblem
from sam_sde.engines.compiled.steps import step_of
from sam_sde.random import Stream
from sam_sde.surfaces import quadratic


class Cooling(ss.Dynamics):
    """dx = e^{-t} dW, which has the variance (1 - e^{-2t})/2 at time t; by products, a diagonal, or a matrix."""

    dim = channels = 2
    lr = 0.01

    def f(self, t, x):
        return torch.zeros_like(x)


class ByProducts(Cooling):
    def g_prod(self, t, x, z):
        return torch.exp(-torch.as_tensor(t, dtype=x.dtype)) * z

    def g_transpose_prod(self, t, x, direction):
        return torch.exp(-torch.as_tensor(t, dtype=x.dtype)) * direction


class ByDiagonal(Cooling):
    noise_type = "diagonal"

    def g(self, t, x):
        return torch.exp(-torch.as_tensor(t, dtype=x.dtype)) * torch.ones_like(x)


class ByMatrix(Cooling):
    noise_type = "additive"

    def g(self, t, x):
        return torch.exp(-torch.as_tensor(t, dtype=x.dtype))[..., None] * torch.eye(2).to(x).expand(len(x), -1, -1)


class Announced(ss.SGD):
    """The learning rate of an optimizer of one's own falls with time."""

    def f(self, t, x):
        return torch.exp(-torch.as_tensor(t, dtype=x.dtype)) * super().f(t, x)

    def step(self, t, state, minibatches):
        return state - math.exp(-t) * self.lr * self.mean_gradient(t, state, minibatches)


KINDS = [ByProducts, ByDiagonal, ByMatrix]
SLOW = pytest.param("compiled", marks=pytest.mark.slow)


def escape(dynamics, **options):
    options = {"n_paths": 400, "t_max": 1.0, "region": ss.Ball([0, 0], 0.6), "device": "cpu", **options}
    return ss.escape_times(dynamics, start=[0, 0], **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("crossing", ["bridge", "shift", "none"])
@pytest.mark.parametrize("engine", ["torchsde", SLOW])
@pytest.mark.parametrize("kind", KINDS)
def test_the_three_ways_to_write_it_are_one(kind, engine, crossing, dtype):
    expected = escape(ByProducts(), engine="torchsde", crossing=crossing, dtype="float64")
    found = escape(kind(), engine=engine, crossing=crossing, dtype=dtype)
    assert found.engine == engine
    assert 0.3 < np.mean(found.outcome == ss.Outcome.ESCAPED) < 1.0
    step = [np.floor(result.times / result.dt * (1 - 1e-7)) for result in (found, expected)]
    assert np.mean(step[0] == step[1]) > (0.999 if dtype == "float64" else 0.98)


@pytest.mark.parametrize("method", ["euler", "milstein", "srk"])
def test_the_noise_is_that_of_each_time(method):
    result = escape(
        ByMatrix(), method=method, engine="torchsde", n_paths=20_000, region=ss.Ball([0, 0], 99.0), crossing="none"
    )
    euler = 0.01 * np.exp(-2 * 0.01 * np.arange(100)).sum()  # differs from (1 - e⁻²)/2 by 1 %
    assert result.exit_points.var(axis=0) == pytest.approx([euler, euler], rel=4 * (2 / 20_000) ** 0.5 + 0.01)


def test_a_step_of_ones_own_has_a_time_too():
    sgd = Announced(quadratic([1.0, 2.0]), ss.NoNoise(), lr=0.01)
    options = {"start": [0.1, 0.1], "region": ss.Ball([0, 0], 9.0), "t_max": 6.0, "n_paths": 3, "dtype": "float64"}
    discrete = ss.escape_times(sgd, engine="discrete", **options)
    euler = ss.escape_times(sgd, engine="torchsde", **options)
    expected = 0.1 * np.prod([1 - math.exp(-0.01 * k) * 0.01 * np.array([1.0, 2.0]) for k in range(600)], axis=0)
    np.testing.assert_allclose(discrete.exit_points, np.tile(expected, (3, 1)), rtol=1e-12)
    np.testing.assert_allclose(euler.exit_points, discrete.exit_points, rtol=1e-12)


def test_what_engines_tell_is_a_number_or_a_tensor_beside_the_paths():
    told = []

    class Asked(ByProducts):
        def g_prod(self, t, x, z):
            told.append((t, x))
            return super().g_prod(t, x, z)

        g_transpose_prod = lambda self, t, x, d: self.g_prod(t, x, d)  # noqa: E731

    escape(Asked(), engine="torchsde", t_max=0.1, region=ss.Ball([0, 0], 0.1))
    numbers = [t for t, _ in told if not isinstance(t, torch.Tensor)]
    rows = [(t, x) for t, x in told if isinstance(t, torch.Tensor)]
    assert numbers
    assert all(isinstance(t, float) for t in numbers)
    assert rows
    assert all(t.shape == (len(x), 1) and t.dtype == x.dtype for t, x in rows)
    told.clear()
    problem = EscapeProblem(dynamics=Asked(), region=ss.Ball([0, 0], 1.0), stream=Stream(), t_max=1.0, dt=0.01)
    w = torch.zeros(10, 2)
    step_of(problem)(w, torch.zeros(10, 2), torch.zeros(10, 2), torch.tensor(8), w[:, 0] - 1)
    assert [t.shape for t, _ in told[:1]] == [()]
