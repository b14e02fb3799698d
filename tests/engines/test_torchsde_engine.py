"""The torchsde engine: an exact clock, the methods' own steps, and no side effects."""

import pytest
import torch
import torchsde

import sam_sde as ss
from sam_sde.engines import Integration
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import quadratic

PATHS = torch.arange(5)


class GeometricBrownianMotion(ss.Dynamics):
    """dw = μw dt + σw dW, coordinate by coordinate: diagonal noise with a known solution."""

    noise_type, dim, channels, lr = "diagonal", 2, 2, 0.01
    mu, sigma = 0.3, 0.8

    def f(self, t, w):
        return self.mu * w

    def g(self, t, w):
        return self.sigma * w


class ClockReader(ss.SGD):
    """Notes the time of every evaluation of the drift."""

    def f(self, t, w):
        self.times.append(t[0].item())
        return super().f(t, w)


def integration(dynamics, dt=0.01, **options) -> Integration:
    return Integration(dynamics=dynamics, stream=Stream(0, "arm"), dt=dt, **options)


def sgd(kind=ss.SGD, **options):
    return kind(quadratic([1.0, -0.5]), ss.IsotropicNoise(1.0), lr=0.01, **options)


def increments(n_steps: int, first_step: int, dt: float) -> torch.Tensor:
    """Brownian increments (steps, paths, 2) straight from the stream."""
    step = torch.arange(first_step, first_step + n_steps)[:, None, None]
    normals = Stream(0, "arm").normals(Purpose.DIFFUSION, PATHS[:, None], step, torch.arange(2))
    return dt**0.5 * normals


@pytest.mark.parametrize("dt", [0.1, 0.01, 1 / 3, 1e-5])
@pytest.mark.parametrize("first_step", [0, 1, 1023, 10**6 + 1])
@pytest.mark.parametrize("n_steps", [1, 32, 57])
def test_each_step_is_taken_once_in_order_with_its_own_increment(dt, first_step, n_steps):
    dynamics = sgd(ClockReader)
    dynamics.times = []
    start = torch.full((5, 2), 0.1, dtype=torch.float64)
    states = advance(integration(dynamics, dt), start, PATHS, first_step, n_steps).states
    # torchsde evaluates the drift once more at the start, to check it.
    assert dynamics.times[1:] == [step * dt for step in range(first_step, first_step + n_steps)]
    expected, dw = [start], increments(n_steps, first_step, dt)
    for k in range(n_steps):
        w = expected[-1]
        expected.append(w - w * torch.tensor([1.0, -0.5]) * dt + 0.01**0.5 * dw[k])
    torch.testing.assert_close(states, torch.stack(expected), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", ["euler", "milstein", "srk"])
def test_the_collected_states_are_those_that_torchsde_returns(method):
    class Replayed(torchsde.BrownianInterval):
        """The same increments and integrals, asked by time."""

        def __call__(self, ta, tb=None, return_U=False, return_A=False):
            step = torch.tensor(round(float(ta) / 0.01))
            w, n = (
                Stream(0, "arm").normals(purpose, PATHS[:, None], step, torch.arange(2))
                for purpose in (Purpose.DIFFUSION, Purpose.SECOND_NORMAL)
            )
            w, u = 0.1 * w, 0.1 * 0.01 * (w / 2 + n / 12**0.5)
            return (w, u) if return_U else w

    dynamics, n_steps = GeometricBrownianMotion(), 40
    start = torch.ones(5, 2, dtype=torch.float64)
    clock = 0.01 * torch.arange(n_steps + 1, dtype=torch.float64)
    brownian = Replayed(0.0, 1.0, size=(5, 2), dtype=torch.float64, levy_area_approximation="space-time")
    expected = torchsde.sdeint(dynamics, start, clock, bm=brownian, method=method, dt=0.01)
    states = advance(integration(dynamics, method=method), start, PATHS, 0, n_steps).states
    torch.testing.assert_close(states, expected.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("method", "order"), [("euler", 0.5), ("milstein", 1.0), ("srk", 1.5)])
def test_methods_converge_strongly_with_their_order_on_diagonal_noise(method, order):
    dynamics, paths = GeometricBrownianMotion(), torch.arange(2000)
    errors, steps = [], [16, 64, 256]
    for n_steps in steps:
        states = advance(
            integration(dynamics, dt=1 / n_steps, method=method), torch.ones(2000, 2).double(), paths, 0, n_steps
        ).states
        step = torch.arange(n_steps)[:, None, None]
        normals = Stream(0, "arm").normals(Purpose.DIFFUSION, paths[:, None], step, torch.arange(2))
        total = (n_steps**-0.5 * normals).sum(0)
        exact = torch.exp(dynamics.mu - 0.5 * dynamics.sigma**2 + dynamics.sigma * total)
        errors.append((states[-1] - exact).square().mean().sqrt())
    slope = (torch.stack(errors).log().diff() / -torch.log(torch.tensor(4.0))).mean()
    assert abs(slope - order) < 0.15


def test_srk_is_weakly_far_more_accurate_than_euler_for_additive_noise():
    eigenvalue, dt, n_steps = 1.0, 0.1, 20
    dynamics = ss.SGD(quadratic([eigenvalue]), ss.IsotropicNoise(0.0), lr=0.01)
    start, exact = torch.ones(1, 1, dtype=torch.float64), torch.exp(torch.tensor(-eigenvalue * dt * n_steps))
    errors = {
        method: abs(
            advance(integration(dynamics, dt, method=method), start, PATHS[:1], 0, n_steps).states[-1, 0, 0] - exact
        )
        for method in ("euler", "srk")
    }
    assert errors["srk"] < errors["euler"] / 20


def test_integration_leaves_the_users_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    advance(integration(sgd()), torch.zeros(5, 2), PATHS, 0, 8)
    assert torch.equal(torch.rand(3), expected)
