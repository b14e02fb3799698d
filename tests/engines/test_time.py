"""Dynamics whose diffusion changes with time, written once, in every engine and with every crossing."""

import functools
import itertools
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
        return torch.exp(-t) * z

    def g_transpose_prod(self, t, x, direction):
        return torch.exp(-t) * direction


class ByDiagonal(Cooling):
    noise_type = "diagonal"

    def g(self, t, x):
        return torch.exp(-t) * torch.ones_like(x)


class ByMatrix(Cooling):
    noise_type = "additive"

    def g(self, t, x):
        return torch.exp(-t)[..., None] * torch.eye(2).to(x).expand(len(x), -1, -1)


class Announced(ss.SGD):
    """The learning rate of an optimizer of one's own falls with time."""

    def f(self, t, x):
        return torch.exp(-t) * super().f(t, x)

    def step(self, t, state, minibatches):
        return state - torch.exp(-t) * self.lr * self.mean_gradient(t, state, minibatches)


KINDS = [ByProducts, ByDiagonal, ByMatrix]
CROSSINGS = ["bridge", "shift", "none"]


def escape(dynamics, **options):
    options = {"n_paths": 400, "t_max": 1.0, "region": ss.Ball([0, 0], 0.6), "device": "cpu", **options}
    return ss.escape_times(dynamics, start=[0, 0], **options)


@functools.cache
def escape_by_products(crossing):
    return escape(ByProducts(), engine="torchsde", crossing=crossing, dtype="float64")


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("engine", "dtype", "kind", "crossing"),
    [
        *itertools.product(["torchsde"], ["float32", "float64"], KINDS, CROSSINGS),
        *(("compiled", "float64", *pair) for pair in zip(KINDS, CROSSINGS, strict=True)),
    ],
)
def test_the_three_ways_to_write_it_are_one(kind, engine, crossing, dtype):
    expected = escape_by_products(crossing)
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
    euler = ss.escape_times(sgd, engine="torchsde", method="euler", **options)
    expected = 0.1 * np.prod([1 - math.exp(-0.01 * k) * 0.01 * np.array([1.0, 2.0]) for k in range(600)], axis=0)
    np.testing.assert_allclose(discrete.exit_points, np.tile(expected, (3, 1)), rtol=1e-12)
    np.testing.assert_allclose(euler.exit_points, discrete.exit_points, rtol=1e-12)


def told_by(action):
    """The times and states that the methods of a dynamics were told."""
    told = []

    class Asked(ByProducts):
        def f(self, t, x):
            told.append((t, x))
            return super().f(t, x)

        def g_prod(self, t, x, z):
            told.append((t, x))
            return super().g_prod(t, x, z)

        g_transpose_prod = lambda self, t, x, d: self.g_prod(t, x, d)  # noqa: E731

    action(Asked())
    return told


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("crossing", CROSSINGS)
@pytest.mark.parametrize("method", ["euler", "heun"])
def test_a_time_is_always_a_tensor_beside_the_paths(crossing, dtype, method):
    def compiled(dynamics):
        problem = EscapeProblem(
            dynamics=dynamics, region=ss.Ball([0, 0], 1), stream=Stream(), t_max=1.0, dt=0.01, method=method
        )
        w = torch.zeros(10, 2, dtype=getattr(torch, dtype))
        step_of(problem)(w, torch.zeros_like(w), torch.zeros_like(w), torch.tensor(8), w[:, 0] - 1)

    options = {"engine": "torchsde", "t_max": 0.1, "region": ss.Ball([0, 0], 0.1), "crossing": crossing, "dtype": dtype}
    for action in (lambda dynamics: escape(dynamics, **options), compiled):
        told = told_by(action)
        assert told
        assert all(t.shape == (len(x), 1) and t.dtype == x.dtype == getattr(torch, dtype) for t, x in told)


def test_the_discrete_engine_tells_the_same_and_one_time_after_the_other():
    told = []

    class Asked(ss.SGD):
        def step(self, t, state, minibatches):
            told.append((t, state))
            return super().step(t, state, minibatches)

    sgd = Asked(quadratic([1.0, 2.0]), ss.IsotropicNoise(0.1), lr=0.01)
    run = {"start": [0.1, 0.1], "region": ss.Ball([0, 0], 9.0), "t_max": 0.05, "n_paths": 3, "dtype": "float64"}
    ss.escape_times(sgd, engine="discrete", **run)
    assert all(t.shape == (3, 1) and t.dtype == torch.float64 for t, _ in told)
    assert [t[0, 0].item() for t, _ in told] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])


def scaled(by):
    """A dynamics whose noise is `by`(t, x) times the identity."""

    class Scaled(Cooling):
        def g_prod(self, t, x, z):
            return by(t, x) * z

        g_transpose_prod = g_prod

    return Scaled()


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (lambda t, x: math.exp(-t), "dynamics: Scaled.g_prod failed on two paths with .*t is a tensor .paths, 1."),
        (lambda t, x: 1.0 if t < 1 else 0.5, "dynamics: Scaled.g_prod failed on two paths with RuntimeError: Boolean"),
        (lambda t, x: t.double() + 1.0, r"dynamics: expected \(2, 2\) numbers of torch.float32 from Scaled.g_prod"),
        (lambda t, x: t[:, None] + 1.0, r"dynamics: expected \(2, 2\) numbers .* got \(\(2, 2, 2\)"),
        (lambda t, x: x.add_(1.0), "dynamics: Scaled.g_prod writes into its argument in place"),
        (lambda t, x: 1.0 + t.add_(1.0), "dynamics: Scaled.g_prod writes into its argument in place"),
        (lambda t, x: torch.rand(()), "dynamics: Scaled.g_prod draws or seeds random numbers"),
        (lambda t, x, calls=[]: len(calls.append(0) or calls) + 0 * t, "Scaled.g_prod gives another result"),
    ],
)
def test_a_diffusion_that_is_no_function_of_time_and_state_is_refused(by, message):
    with pytest.raises(ValueError, match=message):
        escape(scaled(by), n_paths=1)


def test_a_transposed_product_is_tried_where_a_crossing_needs_it():
    dynamics = scaled(lambda t, x: 1.0)
    type(dynamics).g_transpose_prod = lambda self, t, x, direction: direction[0]
    with pytest.raises(ValueError, match=r"dynamics: expected .* from Scaled.g_transpose_prod for two paths"):
        escape(dynamics)
    assert len(escape(dynamics, crossing="none", t_max=0.05).times)
