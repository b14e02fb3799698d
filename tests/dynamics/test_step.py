"""One step of the algorithms is that of torch.optim.SGD and of a SAM around it, with the variances that follow."""

import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import quadratic
from tests.engines.models import DATA, OVER_DATA, sample_loss

LR, BATCH, STEPS, PATHS = 0.05, 6, 50, 3
STREAM = Stream(0, "arm")


def states_of(dynamics, start, n_steps, n_paths):
    """States (steps + 1, paths, state_dim) of the algorithm from one start for all paths."""
    integration = Integration(dynamics=dynamics, stream=STREAM, dt=dynamics.lr)
    start = start.expand(n_paths, -1)
    state = dynamics.initial_state(start, start.new_zeros(n_paths, dynamics.channels))
    advance = ENGINES["discrete"].prepare(integration, state)
    return advance(integration, state, torch.arange(n_paths), 0, n_steps).states


MOTIONS = {
    "plain": {},
    "weight decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9},
    "momentum, weight decay": {"momentum": 0.8, "weight_decay": 0.1},
    "Nesterov, weight decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
}
# Each optimizer: its class, its options, and p from the gradient g of the ascent's batch and the full gradient.
OPTIMIZERS = {
    "SGD": (ss.SGD, {}, None),
    **{
        f"SAM, {ascent}": (ss.SAM, {"rho": 0.2, "ascent": ascent}, lambda g, full: 0.2 * g / g.norm())
        for ascent in ("full", "same", "independent")
    },
    "USAM, same": (ss.USAM, {"rho": 0.2, "ascent": "same"}, lambda g, full: 0.2 * g),
    "DNSAM, full": (ss.DNSAM, {"rho": 0.2}, lambda g, full: 0.2 * g / full.norm()),
    "DNSAM, same": (ss.DNSAM, {"rho": 0.2, "ascent": "same"}, lambda g, full: 0.2 * g / full.norm()),
    "DNSAM, independent": (ss.DNSAM, {"rho": 0.2, "ascent": "independent"}, lambda g, full: 0.2 * g / full.norm()),
    **{
        f"m-SAM, m = {m}": (
            ss.SAM,
            {"rho": 0.2, "ascent": "same", "micro_batch": m},
            lambda g, full: 0.2 * g / g.norm(),
        )
        for m in (1, 3, 6)
    },
    "own": (ss.PerturbedSGD, {"perturbation": torch.sin, "ascent": "independent"}, lambda g, full: g.sin()),
}


def mean_gradient(w, numbers):
    """The gradient of the mean loss of some samples, by a loop."""
    leaf = w.detach().clone().requires_grad_()
    loss = sum(sample_loss(leaf, (DATA[0][i], DATA[1][i])) for i in numbers.tolist()) / len(numbers)
    return torch.autograd.grad(loss, leaf)[0]


def reference(path, sampling, options, perturb, motion, factors):
    """The weights (steps + 1, dim) of one path by torch.optim.SGD with its batches; SAM is written around it."""
    batches = Minibatches(STREAM, torch.arange(PATHS), 15, BATCH, sampling)
    w = torch.nn.Parameter(torch.tensor([0.3, -0.2, 0.1, 0.5], dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=LR, **motion)
    weights = [w.detach().clone()]
    for k in range(STEPS):
        batch, other = batches.numbers(k)[path], batches.numbers(k, Purpose.ASCENT_MINIBATCH)[path]
        everything = torch.arange(15)
        parts = batch.split(options.get("micro_batch", BATCH))
        w.grad = torch.zeros_like(w)
        for part in parts:
            point = w.detach()
            if perturb is not None:
                ascent = {"full": everything, "same": part, "independent": other}[options.get("ascent", "full")]
                point = point + perturb(mean_gradient(point, ascent), mean_gradient(point, everything))
            w.grad += mean_gradient(point, part) / len(parts)
        optimizer.param_groups[0]["lr"] = LR * factors[k]
        optimizer.step()
        weights.append(w.detach().clone())
    return torch.stack(weights)


def check_against_torch(name, sampling, motion, **schedules):
    kind, options, perturb = OPTIMIZERS[name]
    noise = ss.EmpiricalNoise(OVER_DATA, sampling)
    dynamics = kind(OVER_DATA, noise, lr=LR, batch_size=BATCH, **options, **motion, **schedules)
    states = states_of(dynamics, torch.tensor([0.3, -0.2, 0.1, 0.5], dtype=torch.float64), STEPS, n_paths=PATHS)
    schedule = schedules.get("lr_schedule", torch.ones_like)
    times = LR * torch.arange(STEPS, dtype=torch.float64)
    expected = reference(2, sampling, options, perturb, motion, schedule(times).tolist())
    # DNSAM divides by a norm that may be small, and rounding grows by as much.
    tolerance = {"rtol": 1e-9, "atol": 1e-11} if kind is ss.DNSAM else {"rtol": 1e-11, "atol": 1e-13}
    torch.testing.assert_close(states[:, 2, :4], expected, **tolerance)


@pytest.mark.parametrize("motion", MOTIONS)
def test_sgd_is_torch_optim_sgd_step_for_step(motion):
    check_against_torch("SGD", "with_replacement", MOTIONS[motion])


@pytest.mark.parametrize("sampling", ["without_replacement", "epochs"])
def test_sgd_is_torch_optim_sgd_for_every_sampling(sampling):
    check_against_torch("SGD", sampling, MOTIONS["momentum"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_ascent_is_a_sam_around_torch_optim_sgd(name):
    check_against_torch(name, "epochs", MOTIONS["Nesterov, weight decay"])


def test_a_schedule_changes_the_learning_rate_as_torch_does():
    schedule = ss.CosineSchedule(t_end=40 * LR, low=0.1)
    check_against_torch("SAM, same", "with_replacement", MOTIONS["momentum, weight decay"], lr_schedule=schedule)


def test_a_switch_is_each_of_its_optimizers_in_its_time():
    """Also inside a chunk, with the radius scheduled."""
    noise, motion = ss.EmpiricalNoise(OVER_DATA), {"lr": LR, "batch_size": BATCH, "momentum": 0.9}
    radius = ss.WarmUpSchedule(t_end=30 * LR)
    sgd, sam = ss.SGD(OVER_DATA, noise, **motion), ss.SAM(OVER_DATA, noise, rho=0.3, rho_schedule=radius, **motion)
    start = torch.tensor([0.3, -0.2, 0.1, 0.5], dtype=torch.float64)
    states = states_of(ss.Switch(sgd, sam, at=7 * LR), start, 20, n_paths=PATHS)
    torch.testing.assert_close(states[:8], states_of(sgd, start, 7, n_paths=PATHS), rtol=0, atol=0)
    w, v = states[7].split(4, dim=-1)
    numbers = Minibatches(STREAM, torch.arange(PATHS), 15, BATCH, "with_replacement").numbers(7)
    full = mean_gradient(w[1], torch.arange(15))
    v1 = 0.9 * v[1] + mean_gradient(w[1] + 7 / 30 * 0.3 * full / full.norm(), numbers[1])
    torch.testing.assert_close(states[8, 1], torch.cat([w[1] - LR * v1, v1]), rtol=1e-12, atol=1e-14)


EIGENVALUES = np.array([-2.0, 1.5])
RHO, GAMMA = 0.3, 0.7
SADDLE = quadratic(EIGENVALUES.tolist(), rotation=30.0)
# Each mode: class, options, rate and gain of its recursion w ← (1 - η λ rate) w + η gain ξ, with ξ of variance |λ|/B.
MODES = {
    "SGD": (ss.SGD, {}, lambda c: 1 + 0 * c, lambda c: 1 + 0 * c),
    "USAM, full": (ss.USAM, {"rho": RHO}, lambda c: 1 + c, lambda c: 1 + 0 * c),
    "USAM, same": (ss.USAM, {"rho": RHO, "ascent": "same"}, lambda c: 1 + c, lambda c: 1 + c),
    # The gradient is linear, so that micro-batches together are the whole batch.
    "USAM, m": (ss.USAM, {"rho": RHO, "ascent": "same", "micro_batch": 2}, lambda c: 1 + c, lambda c: 1 + c),
    "USAM, independent": (
        ss.USAM,
        {"rho": RHO, "ascent": "independent"},
        lambda c: 1 + c,
        lambda c: np.sqrt(1 + c**2),
    ),
}
MOMENTA = {"none": {}, "heavy ball": {"momentum": GAMMA}, "Nesterov": {"momentum": GAMMA, "nesterov": True}}


def exact_variance(mode, momentum, n_steps):
    """Of w along each eigenvector after n_steps from the saddle, by the 2×2 recursion of (w, v)."""
    *_, rate, gain = MODES[mode]
    curvature = EIGENVALUES * rate(RHO * EIGENVALUES)
    noise = np.abs(EIGENVALUES) / BATCH * gain(RHO * EIGENVALUES) ** 2
    variances = []
    for slope, variance in zip(curvature, noise, strict=True):
        gamma = 0.0 if momentum == "none" else GAMMA
        g, v = np.array([slope, 0.0]), np.array([slope, gamma])
        step, kick = (g + gamma * v, 1 + gamma) if momentum == "Nesterov" else (v, 1.0)
        matrix, push = np.array([[1.0, 0.0] - LR * step, v]), np.array([-LR * kick, 1.0])
        covariance = np.zeros((2, 2))
        for _ in range(n_steps):
            covariance = matrix @ covariance @ matrix.T + variance * np.outer(push, push)
        variances.append(covariance[0, 0])
    return np.array(variances)


@pytest.mark.parametrize(
    ("mode", "momentum"), [*((mode, "none") for mode in MODES), ("SGD", "heavy ball"), ("USAM, same", "Nesterov")]
)
def test_the_displacement_from_a_saddle_has_the_variance_of_the_recursion(mode, momentum):
    kind, options, rate, gain = MODES[mode]
    n_paths, n_steps = 20_000, 40
    noise = ss.FrozenHessianNoise(SADDLE, at=[0.0, 0.0])
    dynamics = kind(SADDLE, noise, lr=LR, batch_size=BATCH, **options, **MOMENTA[momentum])
    states = states_of(dynamics, torch.zeros(2), n_steps, n_paths=n_paths)
    c, s = math.cos(math.radians(30.0)), math.sin(math.radians(30.0))
    moved = states[-1, :, :2].double().numpy() @ np.array([[c, -s], [s, c]])
    exact = exact_variance(mode, momentum, n_steps)
    assert (np.abs(moved.var(0) / exact - 1) < 4 * math.sqrt(2 / n_paths)).all()
    assert (np.abs(moved.mean(0)) < 4 * np.sqrt(exact / n_paths)).all()
    if momentum == "none":
        a = 1 - LR * EIGENVALUES * rate(RHO * EIGENVALUES)
        closed = LR**2 * gain(RHO * EIGENVALUES) ** 2 * np.abs(EIGENVALUES) / BATCH * (1 - a ** (2 * n_steps))
        np.testing.assert_allclose(exact, closed / (1 - a**2), rtol=1e-10)
