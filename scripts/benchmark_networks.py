"""Steps of networks on data beside a plain torch loop, and the share of what the processor's matrix products allow.

Handwritten digits, minibatches of 32, momentum 0.9, one thread: a perceptron 64-16-10, a small convolutional network
and a linear autoencoder, trained by SGD and by SAM with a full-batch ascent, the minibatch's own, and that of
micro-batches; as the algorithm many runs at a time, and as the SDE with the covariance of the samples' gradients. Both
have the engine that `engine: discrete` and `engine: auto` take for long runs, and in a column beside it the one that
compiles nothing.

The bound is the time of a step's operations, as torch counts them, at the rate of a large matrix product that is
measured in the same process. The plain loop trains one run at a time with torch.optim.SGD. Beside it stands JAX, in
single precision as they are, where it is installed; see benchmark_jax.py.
"""

import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import sam_sde as ss
from sam_sde.engines import ENGINES, EscapeProblem, Integration, asked_engine, choose_engine
from sam_sde.random import Stream

BATCH_SIZE, MICRO_BATCH, LR, MOMENTUM, RHO = 32, 8, 0.05, 0.9, 0.05
STEPS = 32  # of the algorithm
# Gradients of minibatches in a step of the algorithm, and of all data there and in an Euler step of the SDE.
GRADIENTS = {"SGD": (1, 0, 2), "SAM, full batch": (1, 1, 3), "SAM, same batch": (2, 0, 10), "m-SAM": (2, 0, None)}
UNCOMPILED = {"discrete": "discrete", "auto": "torchsde"}
PEERS = {"to_uncompiled": "the engine that compiles nothing", "to_plain_loop": "the plain loop", "to_jax": "JAX"}
OPTIMIZERS = {
    "SGD": None,
    "SAM, full batch": {"ascent": "full"},
    "SAM, same batch": {"ascent": "same"},
    "m-SAM": {"ascent": "same", "micro_batch": MICRO_BATCH},
}


class Autoencoder(torch.nn.Sequential):
    """Linear, with four units between."""

    def __init__(self):
        super().__init__(torch.nn.Linear(64, 4, bias=False), torch.nn.Linear(4, 64, bias=False))


def networks() -> dict[str, tuple[torch.nn.Module, Callable, tuple[torch.Tensor, torch.Tensor]]]:
    """(module, loss, data) by name."""
    data = ss.load_dataset("digits")
    pixels, digits = data.features.float(), data.classes()[0]
    images = pixels.reshape(-1, 1, 8, 8)
    torch.manual_seed(0)
    perceptron = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10))
    convolutional = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 8, 3), torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Flatten()),
        torch.nn.Linear(72, 10),
    )
    return {
        "perceptron": (perceptron, functional.cross_entropy, (pixels, digits)),
        "convolutional": (convolutional, functional.cross_entropy, (images, digits)),
        "autoencoder": (Autoencoder(), functional.mse_loss, (pixels, pixels)),
    }


def measure_networks(runs: int, repeats: int) -> list[dict]:
    """A row for each network, optimizer and engine; an SDE takes an eighth of the runs, for its steps see all data."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # which JAX counts its threads by
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows, rate = [], matrix_rate()
    for name, (module, loss, data) in networks().items():
        surface, operations = ss.network_surface(module, loss, data), operations_of(module, loss, data)
        for optimizer, options in OPTIMIZERS.items():
            plain = plain_loop(module, loss, data, options, repeats)
            by_jax = jax_steps(name, module, data, options, runs, repeats)
            for engine, n in (("discrete", runs), ("auto", max(1, runs // 8))):
                if engine == "auto" and optimizer == "m-SAM":
                    continue  # no SDE of it is known
                dynamics = optimizer_of(surface, options)
                chosen = engine_of_long_runs(engine, dynamics, n)
                per_second = engine_steps(dynamics, chosen, n, repeats)
                small, large, of_sde = GRADIENTS[optimizer]
                gradients = small * BATCH_SIZE / len(data[0]) + large if engine == "discrete" else of_sde
                row = {
                    "network": name,
                    "optimizer": optimizer,
                    "engine": chosen,
                    "runs": n,
                    "run_steps_per_second": per_second,
                    "to_uncompiled": per_second / engine_steps(dynamics, UNCOMPILED[engine], n, 1)
                    if chosen not in UNCOMPILED.values()
                    else None,
                    "to_plain_loop": per_second / plain if engine == "discrete" else None,
                    "to_jax": per_second / by_jax if by_jax and engine == "discrete" else None,
                    "share_of_bound": per_second * gradients * operations / rate,
                }
                rows.append(row)
                beside = "".join(f", {row[key]:.2g} times {peer}" for key, peer in PEERS.items() if row[key])
                print(
                    f"{name}, {optimizer}, {chosen}, {n} runs: {per_second:.0f} run-steps/s{beside}, "
                    f"{row['share_of_bound']:.2f} of the bound",
                    flush=True,
                )
    return rows


def matrix_rate() -> float:
    """Operations per second of a large product in single precision."""
    one, other = torch.randn(2, 1024, 1024)
    return 2 * 1024**3 / seconds(lambda: one @ other, repeats=9)


def seconds(action: Callable[[], object], repeats: int) -> float:
    """The median of so many calls after a first one."""
    action()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def operations_of(module, loss, data) -> int:
    """Of the gradient of all data."""
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(loss(module(data[0]), data[1]), list(module.parameters()))
    return counter.get_total_flops()


def optimizer_of(surface, options: dict | None) -> ss.SGD | ss.SAM:
    noise, common = ss.EmpiricalNoise(surface), {"lr": LR, "batch_size": BATCH_SIZE, "momentum": MOMENTUM}
    return ss.SGD(surface, noise, **common) if options is None else ss.SAM(surface, noise, rho=RHO, **options, **common)


def engine_of_long_runs(engine: str, dynamics, runs: int) -> str:
    """The one that a million steps would be taken by."""
    region, crossing = ss.Ball([0.0] * dynamics.dim, 1.0), asked_engine(engine).default_crossing
    problem = EscapeProblem(
        dynamics=dynamics, region=region, stream=Stream(), t_max=1e6 * LR, dt=LR, method="euler", crossing=crossing
    )
    return choose_engine(engine, problem, runs)


def engine_steps(dynamics, engine: str, runs: int, repeats: int) -> float:
    """Run-steps per second."""
    work, dim = Integration(dynamics=dynamics, stream=Stream(), dt=LR, method="euler"), dynamics.dim
    w = 0.1 * torch.randn(runs, dim, generator=torch.Generator().manual_seed(0))
    state, paths = torch.cat([w, torch.zeros_like(w)], dim=1), torch.arange(runs)
    advance, steps = ENGINES[engine].prepare(work, state), 2 if ENGINES[engine].of_sde else STEPS
    return runs * steps / seconds(lambda: advance(work, state.double(), paths, 0, steps), repeats)


def jax_steps(name: str, module, data, options: dict | None, runs: int, repeats: int) -> float | None:
    """Run-steps per second of JAX; None where it is not installed."""
    if find_spec("jax") is None:
        return None
    from benchmark_jax import trainer

    settings = {"lr": LR, "momentum": MOMENTUM, "rho": RHO, "batch_size": BATCH_SIZE}
    parameters = [each.detach() for each in module.parameters()]
    train = trainer(name, data, parameters, options, settings)(runs, STEPS)
    return runs * STEPS / seconds(train, repeats)


def plain_loop(module, loss, data, options: dict | None, repeats: int, steps: int = 200) -> float:
    """Steps per second of torch.optim.SGD, with SAM's perturbation around it where `options` are given."""
    inputs, targets = data
    optimizer = torch.optim.SGD(module.parameters(), lr=LR, momentum=MOMENTUM)
    size = (options or {}).get("micro_batch", BATCH_SIZE)
    full = options is not None and options["ascent"] == "full"

    def gradients(index):
        return torch.autograd.grad(loss(module(inputs[index]), targets[index]), list(module.parameters()))

    def part(index):
        if options is None:
            return gradients(index)
        ascent = gradients(slice(None) if full else index)
        norm = torch.stack([g.square().sum() for g in ascent]).sum().sqrt()
        shifts = [RHO * g / (norm + 1e-12) for g in ascent]
        with torch.no_grad():
            for p, shift in zip(module.parameters(), shifts, strict=True):
                p.add_(shift)
        found = gradients(index)
        with torch.no_grad():
            for p, shift in zip(module.parameters(), shifts, strict=True):
                p.sub_(shift)
        return found

    def train():
        for _ in range(steps):
            parts = [part(index) for index in torch.randint(len(inputs), (BATCH_SIZE,)).split(size)]
            for p, *each in zip(module.parameters(), *parts, strict=True):
                p.grad = sum(each) / len(parts)
            optimizer.step()

    return steps / seconds(train, repeats)
