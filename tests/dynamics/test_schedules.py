"""Schedules, weight decay and switches: what changes with time, and what is added to the gradient."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

import sam_sde as ss
from sam_sde.dynamics.schedules import factor_at
from sam_sde.engines import Integration
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Stream
from sam_sde.surfaces import beale, quadratic

LR, BATCH, SIGMA, RHO, LAMBDA = 0.05, 4, 1.5, 0.3, 1.2
T_END = 2.0
WHITE = ss.IsotropicNoise(SIGMA)

# Each schedule beside the same function of time, written for numpy.
SCHEDULES = {
    "constant": (ss.ConstantSchedule(0.7), lambda t: 0.7 + 0 * t),
    "cosine": (
        ss.CosineSchedule(1.5, low=0.1),
        lambda t: np.where(t < 1.5, 0.1 + 0.45 * (1 + np.cos(np.pi * t / 1.5)), 0.1),
    ),
    "step": (ss.StepSchedule(0.4, factor=0.5), lambda t: 0.5 ** np.floor(t / 0.4 + 1e-5)),
    "warmup": (ss.WarmUpSchedule(0.8, low=0.2), lambda t: np.minimum(0.2 + 0.8 * t / 0.8, 1.0)),
    "a function of one's own": (lambda t: 1 / (1 + t), lambda t: 1 / (1 + t)),
}


def states(dynamics, w, *, n_paths=1, dt=LR, method="euler", t_end=T_END, first_step=0):
    """The states (steps + 1, paths, state_dim) from one point up to t_end."""
    stream, n_steps = Stream(7), round(t_end / dt) - first_step
    integration = Integration(dynamics=dynamics, stream=stream, dt=dt, method=method)
    start = torch.as_tensor(w, dtype=torch.float64).expand(n_paths, -1)
    if start.shape[1] == dynamics.dim:
        start = dynamics.initial_state(start, torch.zeros(n_paths, dynamics.channels, dtype=torch.float64))
    return advance(integration, start, torch.arange(n_paths), first_step, n_steps).states


def usam(**options):
    surface, noise = quadratic([LAMBDA]), options.pop("noise", ss.NoNoise())
    return ss.USAM(surface, noise, lr=LR, batch_size=BATCH, rho=RHO, **options)


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_those_of_the_formula_for_numbers_rows_and_both_precisions(name):
    schedule, formula = SCHEDULES[name]
    t = LR * np.arange(60)
    for dtype in (torch.float32, torch.float64):
        w = torch.zeros(60, 2, dtype=dtype)
        rows = factor_at(schedule, torch.from_numpy(t)[:, None], w)
        np.testing.assert_allclose(np.broadcast_to(rows, (60, 1))[:, 0], formula(t), rtol=1e-5)
        assert (rows * w).dtype == dtype
        for i in (0, 7, 8, 31):
            assert float(factor_at(schedule, t[i], w)) == pytest.approx(formula(t[i]), rel=1e-5)


@pytest.mark.parametrize("dt", [0.1, 0.7, 1 / 3, 0.07, 1e-3])
def test_a_step_that_begins_at_the_change_comes_after_it_in_single_precision(dt):
    schedule, w = ss.StepSchedule(dt * 7, factor=0.5), torch.zeros(1, 1)
    factors = [float(factor_at(schedule, k * dt, w)) for k in range(70)]
    assert factors == [0.5 ** (k // 7) for k in range(70)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_scales_the_drift_of_each_step(name):
    schedule, formula = SCHEDULES[name]
    dynamics = ss.SGD(quadratic([LAMBDA]), ss.NoNoise(), lr=LR, lr_schedule=schedule)
    t = LR * np.arange(round(T_END / LR))
    expected = 0.8 * np.cumprod(1 - LAMBDA * LR * formula(t))
    np.testing.assert_allclose(states(dynamics, [0.8])[1:, 0, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_variance_is_that_of_the_time_changed_equation(name):
    """dw = -uλw dt + u√(ησ²/B) dW from 0 has the variance ησ²/B ∫ u(s)² exp(-2λ∫ₛᵗ u) ds."""
    schedule, formula = SCHEDULES[name]
    dynamics = ss.SGD(quadratic([LAMBDA]), WHITE, lr=LR, batch_size=BATCH, lr_schedule=schedule)
    dt = LR / 8 if name == "step" else LR  # of first order across a jump
    found = states(dynamics, [0.0], n_paths=20_000, method="srk", dt=dt, t_end=1.0)[-1].var().item()
    s = np.linspace(0, 1.0, 20_001)
    u = formula(s)
    elapsed = integrate.cumulative_trapezoid(u, s, initial=0)
    rate = LR * SIGMA**2 / BATCH
    exact = rate * integrate.trapezoid(u**2 * np.exp(-2 * LAMBDA * (elapsed[-1] - elapsed)), s)
    assert abs(found / exact - 1) < 4 * math.sqrt(2 / 20_000) + 0.01
    at_constant_rate = rate / (2 * LAMBDA) * (1 - math.exp(-2 * LAMBDA))
    assert abs(exact / at_constant_rate - 1) > 0.15


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("drift", ["stop_gradient", "total", "expansion"])
def test_the_radius_follows_its_schedule_in_every_drift(name, drift):
    schedule, formula = SCHEDULES[name]
    curve = RHO * LAMBDA * formula(LR * np.arange(round(T_END / LR)))
    rate = LAMBDA * (1 + curve) ** (2 if drift == "total" else 1)
    along = states(usam(rho_schedule=schedule, drift=drift), [0.8])[1:, 0, 0]
    np.testing.assert_allclose(along, 0.8 * np.cumprod(1 - LR * rate), rtol=1e-9)


OPTIONS = [{"ascent": a} for a in ("full", "same", "independent")] + [{"drift": d} for d in ("total", "expansion")]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", [ss.SAM, ss.USAM, ss.DNSAM])
def test_a_factor_of_the_radius_is_a_smaller_radius_in_drift_and_noise(kind, options):
    surface, w = beale(), torch.tensor([[0.5, 0.8], [1.0, -0.3]], dtype=torch.float64)
    noise, common = ss.HessianNoise(surface), {"lr": LR, "batch_size": BATCH, **options}
    scheduled = kind(surface, noise, rho=0.1, rho_schedule=lambda t: 0.7 + 0 * t, **common)
    smaller = kind(surface, noise, rho=0.07, **common)
    z = torch.linspace(-1, 1, 2 * smaller.channels, dtype=torch.float64).reshape(2, -1)
    torch.testing.assert_close(scheduled.f(0.3, w), smaller.f(0.3, w))
    torch.testing.assert_close(scheduled.g_prod(0.3, w, z), smaller.g_prod(0.3, w, z))
    torch.testing.assert_close(scheduled.g_transpose_prod(0.3, w, w), smaller.g_transpose_prod(0.3, w, w))


@pytest.mark.parametrize(("ascent", "gain"), [("same", lambda c: 1 + c), ("independent", lambda c: np.sqrt(1 + c**2))])
def test_the_noise_of_the_ascent_follows_the_schedule_of_the_radius(ascent, gain):
    schedule, formula = SCHEDULES["warmup"]
    dynamics = usam(noise=WHITE, ascent=ascent, rho_schedule=schedule)
    w, along = torch.zeros(1, 1), torch.ones(1, 1)
    for t in (0.0, 0.3, 2.0):
        exact = gain(RHO * LAMBDA * formula(t)) * SIGMA * math.sqrt(LR / BATCH)
        assert dynamics.g_transpose_prod(t, w, along).norm().item() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("model", ["underdamped", "overdamped"])
def test_momentum_takes_the_learning_rate_of_each_step_as_the_algorithm_does(model):
    """v ← γv + g, w ← w - ηu v: u enters the motion of w alone, and both drift and noise of the overdamped limit."""
    schedule, formula = SCHEDULES["cosine"]
    dynamics = usam(noise=WHITE, momentum=0.9, momentum_model=model, lr_schedule=schedule)
    x = torch.tensor([[0.5, 2.0]])[:, : dynamics.state_dim]
    z, descent = torch.ones(1, 1), LAMBDA * (1 + RHO * LAMBDA) * 0.5
    for t in (0.0, 0.7):
        drift, noise = dynamics.f(t, x)[0], dynamics.g_prod(t, x, z)[0].abs()
        if model == "underdamped":
            expected = [-formula(t) * 2.0, (descent - 0.1 * 2.0) / LR], [0.0, SIGMA / math.sqrt(LR * BATCH)]
        else:
            expected = [-formula(t) / 0.1 * descent], [formula(t) / 0.1 * SIGMA * math.sqrt(LR / BATCH)]
        np.testing.assert_allclose(drift, expected[0], rtol=1e-5)
        np.testing.assert_allclose(noise, expected[1], rtol=1e-5)


DECAY = {"lr": 0.001, "batch_size": BATCH, "lr_schedule": ss.WarmUpSchedule(0.05)}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_of_sgd_is_that_of_a_quadratic_added_to_the_loss(momentum):
    decay, surface = 0.8, beale()
    added = ss.LossSurface(lambda w: surface.loss(w) + decay / 2 * (w**2).sum(), 2)
    decayed = ss.SGD(surface, WHITE, weight_decay=decay, momentum=momentum, **DECAY)
    plain = ss.SGD(added, WHITE, momentum=momentum, **DECAY)
    options = {"w": [0.5, 0.8], "n_paths": 10, "dt": 0.001, "t_end": 0.1}
    torch.testing.assert_close(states(decayed, **options), states(plain, **options), rtol=1e-9, atol=1e-12)


def test_weight_decay_of_sam_enters_at_the_weights_and_not_at_the_perturbed_ones():
    decay, surface, w = 0.8, beale(), torch.tensor([[0.5, 0.8], [1.0, -0.3]], dtype=torch.float64)
    sam = ss.SAM(surface, WHITE, rho=0.2, weight_decay=decay, **DECAY | {"lr_schedule": None})
    gradient = surface.gradient(w)
    descent = surface.gradient(w + 0.2 * gradient / gradient.norm(dim=-1, keepdim=True)) + decay * w
    torch.testing.assert_close(sam.f(0.0, w), -descent)


VARIED = {
    "momentum": usam(noise=WHITE, momentum=0.9, ascent="same"),
    "cosine": usam(noise=WHITE, lr_schedule=ss.CosineSchedule(1.0, low=0.2)),
    "overdamped, warm-up": usam(
        noise=WHITE, momentum=0.5, momentum_model="overdamped", lr_schedule=ss.WarmUpSchedule(1.0)
    ),
    "constant": usam(noise=WHITE, lr_schedule=ss.ConstantSchedule(3.0)),
    "switch": ss.Switch(
        usam(noise=WHITE), usam(noise=ss.IsotropicNoise(2.0), lr_schedule=ss.StepSchedule(0.5)), at=0.4
    ),
}


@pytest.mark.parametrize("name", VARIED)
def test_the_largest_variance_is_a_bound_that_is_reached(name):
    dynamics = VARIED[name]
    direction = torch.zeros(1, dynamics.state_dim)
    direction[:, 0] = 1.0
    x = torch.ones(1, dynamics.state_dim)
    found = [dynamics.g_transpose_prod(t, x, direction).square().sum().item() for t in np.linspace(0, 2, 101)]
    assert max(found) == pytest.approx(dynamics.largest_variance(), rel=1e-5)


def test_no_bound_is_claimed_for_a_function_of_ones_own():
    assert usam(noise=WHITE, lr_schedule=lambda t: 1 + t).largest_variance() is None
    assert ss.Switch(usam(noise=WHITE), usam(noise=WHITE, ascent="same"), at=1.0).largest_variance() is None


INDEPENDENT = usam(noise=WHITE, ascent="independent", momentum=0.7)
MOVING = VARIED | {
    "independent, momentum": INDEPENDENT,
    "switch of channels": ss.Switch(VARIED["momentum"], INDEPENDENT, at=0.4),
}


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("t", [0.1, 0.7, "rows"])
def test_the_two_products_with_the_diffusion_are_transposes(name, t):
    dynamics, generator = MOVING[name], torch.Generator().manual_seed(0)
    x, d = torch.randn(2, 6, dynamics.state_dim, generator=generator, dtype=torch.float64)
    z = torch.randn(6, dynamics.channels, generator=generator, dtype=torch.float64)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None] if t == "rows" else t
    products = (dynamics.g_prod(t, x, z) * d).sum(-1), (dynamics.g_transpose_prod(t, x, d) * z).sum(-1)
    torch.testing.assert_close(*products)


@pytest.mark.parametrize("name", MOVING)
def test_rows_with_times_of_their_own_are_as_each_row_at_its_time(name):
    dynamics, generator = MOVING[name], torch.Generator().manual_seed(0)
    x, d = torch.randn(2, 6, dynamics.state_dim, generator=generator, dtype=torch.float64)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
    together = dynamics.g_transpose_prod(t, x, d), dynamics.f(t, x)
    for i in range(6):
        time = t[i].item()
        alone = dynamics.g_transpose_prod(time, x[[i]], d[[i]]), dynamics.f(time, x[[i]])
        torch.testing.assert_close(alone, tuple(part[[i]] for part in together))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dt", [LR, 0.04])
def test_a_switch_is_the_first_optimizer_before_its_time_and_the_second_after(momentum, dt):
    surface = quadratic([1.0, -0.5])
    first = ss.SGD(surface, WHITE, lr=LR, momentum=momentum)
    second = ss.USAM(surface, WHITE, lr=LR, momentum=momentum / 2, rho=0.5)
    switch = ss.Switch(first, second, at=1.0)
    assert switch.noise_type == "additive"
    found, change = states(switch, [0.3, 0.1], n_paths=5, dt=dt), round(1.0 / dt)
    before = states(first, [0.3, 0.1], n_paths=5, dt=dt, t_end=1.0)
    after = states(second, found[change], n_paths=5, dt=dt, first_step=change)
    torch.testing.assert_close(found[: change + 1], before, rtol=0, atol=0)
    torch.testing.assert_close(found[change:], after, rtol=0, atol=0)
