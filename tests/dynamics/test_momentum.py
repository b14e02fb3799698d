"""The heavy ball of every optimizer on a quadratic: the covariance of (w, v) of the scheme and of the SDE."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm

import sam_sde as ss
from sam_sde.engines import Integration, integrate
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import beale, quadratic

EIGENVALUES = np.array([-2.0, 1.5])
ANGLE = 30.0  # degrees, between the eigenvectors and the axes
LR, BATCH, RHO, GAMMA, STEPS = 0.02, 8, 0.3, 0.8, 40
SURFACE = quadratic(EIGENVALUES.tolist(), rotation=ANGLE)
NOISE = ss.FrozenHessianNoise(SURFACE, at=[0.0, 0.0])

# Each mode of USAM: options, then what multiplies λ in the drift and √|λ| in the noise, with curve = ρλ.
MODES = {
    "sgd": (None, lambda curve: 1.0, lambda curve: 1.0),
    "full": ({}, lambda curve: 1 + curve, lambda curve: 1.0),
    "same": ({"ascent": "same"}, lambda curve: 1 + curve, lambda curve: 1 + curve),
    "independent": ({"ascent": "independent"}, lambda curve: 1 + curve, lambda curve: np.sqrt(1 + curve**2)),
    "total": ({"drift": "total"}, lambda curve: (1 + curve) ** 2, lambda curve: 1.0),
    "expansion": ({"drift": "expansion"}, lambda curve: 1 + curve, lambda curve: 1.0),
}


def dynamics_of(mode, surface=SURFACE, noise=NOISE, lr=LR, **options):
    options = {"momentum": GAMMA, "lr": lr, "batch_size": BATCH, **options}
    own = MODES[mode][0]
    return ss.SGD(surface, noise, **options) if own is None else ss.USAM(surface, noise, rho=RHO, **options, **own)


def start_of(dynamics, w, n_paths, stream, dtype=torch.float64):
    paths, channel = torch.arange(n_paths), torch.arange(dynamics.channels)
    z = stream.normals(Purpose.VELOCITY, paths[:, None], torch.zeros(1, 1, dtype=torch.int64), channel)
    return dynamics.initial_state(torch.tensor(w, dtype=dtype).expand(n_paths, -1), z.to(dtype))


def moved(dynamics, *, w=(0.0, 0.0), n_paths=1, n_steps=STEPS, dt=None, method="euler", dtype=torch.float64):
    """Weights and velocity along the eigenvectors after `n_steps` steps, (2, paths, dim)."""
    stream, dt = Stream(3), dt or dynamics.lr
    integration = Integration(dynamics=dynamics, stream=stream, dt=dt, method=method)
    start = start_of(dynamics, w, n_paths, stream, dtype)
    end = integrate(advance, integration, start, torch.arange(n_paths), 0, n_steps).double().numpy()
    c, s = math.cos(math.radians(ANGLE)), math.sin(math.radians(ANGLE))
    return end.reshape(n_paths, -1, 2).transpose(1, 0, 2) @ np.array([[c, -s], [s, c]])


def linear_system(mode, eigenvalue, lr=LR, gamma=GAMMA):
    """A and Q of d(w, v) = A (w, v) dt + √Q dW along an eigenvector."""
    _, rate, gain = MODES[mode]
    a = np.array([[0.0, -1.0], [eigenvalue * rate(RHO * eigenvalue) / lr, -(1 - gamma) / lr]])
    return a, np.diag([0.0, gain(RHO * eigenvalue) ** 2 * abs(eigenvalue) / (BATCH * lr)])


def velocity_covariance(mode, eigenvalue, velocity):
    """At the start: 0, or that of the velocity's own equation, which is Q/(2·damping)."""
    a, q = linear_system(mode, eigenvalue)
    return q / (-2 * a[1, 1]) * (velocity == "equilibrium")


def recursion_of_euler(mode, eigenvalue, velocity, n_steps, dt):
    a, q = linear_system(mode, eigenvalue)
    covariance, step = velocity_covariance(mode, eigenvalue, velocity), np.eye(2) + a * dt
    for _ in range(n_steps):
        covariance = step @ covariance @ step.T + q * dt
    return covariance


def lyapunov(mode, eigenvalue, velocity, t):
    """C(t) of dC/dt = AC + CAᵀ + Q by Van Loan's exponential of a block matrix."""
    a, q = linear_system(mode, eigenvalue)
    flow = expm(np.block([[-a, q], [np.zeros((2, 2)), a.T]]) * t)
    step = flow[2:, 2:].T
    return step @ flow[:2, 2:] + step @ velocity_covariance(mode, eigenvalue, velocity) @ step.T


def assert_covariance(ends, exact, allowance=0.0):
    """ends (2, paths): sample covariance of w and v within four standard errors, and means of zero."""
    n = ends.shape[1]
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    error = np.sqrt((scale**2 + exact**2) / n)
    assert (np.abs(ends @ ends.T / n - exact) < 4 * error + allowance * scale).all()
    assert (np.abs(ends.mean(1)) < 4 * np.sqrt(np.diag(exact) / n)).all()


@pytest.mark.parametrize("velocity", ["zero", "equilibrium"])
@pytest.mark.parametrize("mode", MODES)
def test_covariance_of_weights_and_velocity_is_that_of_eulers_recursion(mode, velocity):
    ends = moved(dynamics_of(mode, initial_velocity=velocity), n_paths=20_000, dtype=torch.float32)
    for j, eigenvalue in enumerate(EIGENVALUES):
        assert_covariance(ends[:, :, j], recursion_of_euler(mode, eigenvalue, velocity, STEPS, LR))
    cross = (ends[:, :, 0] * ends[:, :, 1]).mean(1)
    assert (np.abs(cross) < 4 * ends[:, :, 0].std(1) * ends[:, :, 1].std(1) / math.sqrt(20_000)).all()


@pytest.mark.parametrize("velocity", ["zero", "equilibrium"])
@pytest.mark.parametrize("mode", ["sgd", "full", "total"])
def test_with_small_errors_of_integration_it_is_that_of_the_sde(mode, velocity):
    ends = moved(dynamics_of(mode, initial_velocity=velocity), n_paths=20_000, method="srk")
    for j, eigenvalue in enumerate(EIGENVALUES):
        assert_covariance(ends[:, :, j], lyapunov(mode, eigenvalue, velocity, STEPS * LR), allowance=0.01)


@pytest.mark.parametrize("velocity", ["zero", "equilibrium"])
def test_the_recursion_tends_to_the_equation_and_differs_from_it_at_the_step_of_the_optimizer(velocity):
    # Otherwise the two tests above would be one.
    exact = lyapunov("sgd", -2.0, velocity, STEPS * LR)[0, 0]
    errors = [recursion_of_euler("sgd", -2.0, velocity, STEPS * n, LR / n)[0, 0] / exact - 1 for n in (1, 8, 64)]
    assert abs(errors[0]) > 0.1
    assert errors[1] / errors[2] == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("mode", MODES)
def test_mean_of_weights_and_velocity_is_that_of_the_recursion(mode):
    along = moved(dynamics_of(mode, noise=ss.NoNoise()), w=(0.3, 0.4))
    at_start = moved(dynamics_of(mode, noise=ss.NoNoise()), w=(0.3, 0.4), n_steps=1)
    for j, eigenvalue in enumerate(EIGENVALUES):
        a, _ = linear_system(mode, eigenvalue)
        expected = np.linalg.matrix_power(np.eye(2) + a * LR, STEPS - 1) @ at_start[:, 0, j]
        np.testing.assert_allclose(along[:, 0, j], expected, rtol=1e-9)


def test_a_velocity_in_equilibrium_stays_as_it_is_where_the_loss_is_flat_but_for_its_slope():
    """On a slope of constant gradient a, v keeps the mean a/(1-γ) and the variance of the noise over 2B(1-γ)."""
    slope = ss.LossSurface(lambda w: 3.0 * w[0], 1)
    options = {"lr": LR, "momentum": GAMMA, "batch_size": BATCH, "initial_velocity": "equilibrium"}
    dynamics = ss.SGD(slope, ss.IsotropicNoise(2.0), **options)
    start = start_of(dynamics, [0.0], 20_000, Stream(1))
    integration = Integration(dynamics=dynamics, stream=Stream(1), dt=LR, method="srk")
    for state in (start, integrate(advance, integration, start, torch.arange(20_000), 0, 20)):
        v, variance = state[:, 1].numpy(), 4.0 / (2 * BATCH * (1 - GAMMA))
        assert abs(v.mean() - 3.0 / (1 - GAMMA)) < 4 * math.sqrt(variance / 20_000)
        assert abs(v.var() / variance - 1) < 4 * math.sqrt(2 / 20_000) + 0.002  # srk's own bias


@pytest.mark.parametrize("mode", ["sgd", "full", "same", "independent"])
def test_the_overdamped_limit_is_the_optimizer_at_the_effective_learning_rate(mode):
    """lr/(1-γ) in its own time: the same steps, path by path, on any loss."""
    surface, noise = beale(), ss.IsotropicNoise(1.0)
    limit = dynamics_of(mode, surface, noise, lr=1e-4, momentum_model="overdamped")
    plain = dynamics_of(mode, surface, noise, lr=1e-4 / (1 - GAMMA), momentum=0.0)
    ends = [moved(dynamics, w=(0.3, 0.7), n_paths=50) for dynamics in (limit, plain)]
    assert ends[0].shape == (1, 50, 2)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9)


@pytest.mark.parametrize("model", ["underdamped", "overdamped"])
def test_without_momentum_both_models_are_the_optimizer_itself(model):
    plain = ss.SGD(SURFACE, NOISE, lr=LR, batch_size=BATCH)
    other = dynamics_of("sgd", momentum=0.0, momentum_model=model, initial_velocity="equilibrium")
    assert other.state_dim == 2
    np.testing.assert_array_equal(moved(other, n_paths=9), moved(plain, n_paths=9))


def test_the_heavy_ball_tends_to_its_overdamped_limit():
    """For η‖H‖ ≪ (1-γ)² the same noise moves both to the same place."""
    ends = [
        moved(dynamics_of("sgd", lr=1e-4, momentum_model=model), n_paths=500, n_steps=600)[0]
        for model in ("underdamped", "overdamped")
    ]
    assert ((ends[0] - ends[1]).std(0) < 0.2 * ends[1].std(0)).all()
