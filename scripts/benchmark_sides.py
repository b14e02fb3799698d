"""What the benchmark compares: each side does one share of a task's paths, with one thread.

A side is a function of (task, seed, paths) that prepares whatever it can prepare and returns the job, a function that
does the work and returns the mean time of escape. What is compiled by hand is kept from call to call. Each side imports
what it needs: peers may not be installed, and an import is part of a first call.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LR, SIGMA = 0.01, 1.0
LONGEST = 1024  # steps of torchsde with its own Brownian motion: of 65,536 it exceeds Python's recursion limit


@dataclass(frozen=True)
class Task:
    """An optimizer at the origin of a loss leaves a ball, which may be too large to leave: then all steps are taken.

    rho: of normalized SAM; 0 is SGD.
    """

    name: str
    dim: int
    batch_size: int
    rho: float
    radius: float
    dt: float
    n_steps: int
    method: str = "euler"

    @property
    def scale(self) -> float:
        """The noise's standard deviation per unit of time."""
        return SIGMA * (LR / self.batch_size) ** 0.5


FAR = 1e3
SADDLE = Task("saddle", dim=2, batch_size=32, rho=0.05, radius=FAR, dt=0.01, n_steps=1000)


def saddle(w):
    return 0.5 * (w[0] ** 2 - 0.1 * w[1] ** 2)


def hilltop(w):
    return -0.5 * w[0] ** 2


def styblinski_tang(w):
    return 0.5 * (w**4 - 16 * w**2 + 5 * w).sum()


LOSSES = {"saddle": saddle, "time to 1 %": hilltop, "SAM to 1 %": hilltop, "dim 100": styblinski_tang}


def naive_torchsde(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
    """torchsde.sdeint with its own Brownian motion, all steps saved, crossings searched afterwards."""
    import torch
    import torchsde

    loss = LOSSES[task.name]

    class Optimizer:
        sde_type, noise_type = "ito", "diagonal"

        def f(self, t, w):
            gradient = torch.func.vmap(torch.func.grad(loss))
            g = gradient(w)
            return -gradient(w + task.rho * g / (g.norm(dim=-1, keepdim=True) + 1e-16)) if task.rho else -g

        def g(self, t, w):
            return torch.full_like(w, task.scale)

    def job() -> float:
        torch.manual_seed(seed)
        w, steps, inside = torch.zeros(n_paths, task.dim), torch.zeros(n_paths), torch.ones(n_paths, dtype=torch.bool)
        for begin in range(0, task.n_steps, LONGEST):
            n_steps = min(LONGEST, task.n_steps - begin)
            clock = torch.linspace(begin * task.dt, (begin + n_steps) * task.dt, n_steps + 1)
            with torch.no_grad():
                states = torchsde.sdeint(Optimizer(), w, clock, method="euler", dt=task.dt)
            outside = states.norm(dim=-1) >= task.radius
            steps += inside * torch.where(outside.any(0), outside.int().argmax(0), n_steps)
            inside, w = inside & ~outside.any(0), states[-1]
        return steps.double().mean().item() * task.dt

    return job


def engine(name: str) -> Callable[[Task, int, int], Callable[[], float]]:
    """An engine of this project, through its Python interface."""

    def side(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
        import sam_sde as ss
        from sam_sde.escape import execute, prepare

        surface, noise = ss.LossSurface(LOSSES[task.name], task.dim), ss.IsotropicNoise(SIGMA)
        options = {"lr": LR, "batch_size": task.batch_size}
        optimizer = ss.SAM(surface, noise, rho=task.rho, **options) if task.rho else ss.SGD(surface, noise, **options)
        run = prepare(
            optimizer,
            start=[0.0] * task.dim,
            region=ss.Ball([0.0] * task.dim, min(task.radius, 1e6)),
            t_max=task.n_steps * task.dt,
            n_paths=n_paths,
            dt=task.dt,
            seed=seed,
            method=task.method,
            engine=name,
            device="cpu",
        )
        return lambda: execute(run).times.mean()

    return side


def torch_by_hand(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
    """Uncompiled torch in place, with the gradient written by hand and the noise from torch.randn."""
    import torch

    curvature = torch.tensor([1.0, -0.1])[:, None]

    def gradient(w):
        return curvature * w if task.name == "saddle" else 0.5 * (4 * w**3 - 32 * w + 5)

    @torch.no_grad()
    def job() -> float:
        generator = torch.Generator().manual_seed(seed)
        w, z = torch.zeros(task.dim, n_paths), torch.empty(task.dim, n_paths)
        steps, inside = torch.zeros(n_paths), torch.ones(n_paths, dtype=torch.bool)
        for _ in range(task.n_steps):
            g = gradient(w)
            p = g * (task.rho / (g.square().sum(0).sqrt() + 1e-16))
            torch.randn(z.shape, generator=generator, out=z)
            w = w - gradient(w + p).mul_(task.dt) + z.mul_(task.scale * task.dt**0.5)
            steps += inside
            inside &= w.square().sum(0) < task.radius**2
        return steps.mean().item() * task.dt

    return job


@functools.cache
def jax_compiled(task: Task, n_paths: int) -> Callable:
    import jax
    import jax.numpy as jnp

    gradient = jax.vmap(jax.grad(LOSSES[task.name]), in_axes=1, out_axes=1)

    @jax.jit
    def integrate(key):
        def step(carry, key):
            w, steps, inside = carry
            g = gradient(w)
            p = g * (task.rho / (jnp.sqrt((g**2).sum(0)) + 1e-16))
            z = jax.random.normal(key, w.shape)
            w = w - gradient(w + p) * task.dt + z * (task.scale * task.dt**0.5)
            return (w, steps + inside, inside & ((w**2).sum(0) < task.radius**2)), None

        start = (jnp.zeros((task.dim, n_paths)), jnp.zeros(n_paths), jnp.ones(n_paths, bool))
        (_, steps, _), _ = jax.lax.scan(step, start, jax.random.split(key, task.n_steps))
        return steps.mean() * task.dt

    return integrate


def jax_by_hand(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
    """jax.lax.scan over the steps, the loss's gradient by jax.grad, the noise from jax.random."""
    import jax

    integrate = jax_compiled(task, n_paths)
    return lambda: integrate(jax.random.key(seed)).item()


@functools.cache
def diffrax_compiled(task: Task) -> Callable:
    import diffrax
    import jax
    import jax.numpy as jnp
    import lineax

    gradient = jax.grad(LOSSES[task.name])

    def drift(t, w, args):
        g = gradient(w)
        return -gradient(w + task.rho * g / (jnp.sqrt((g**2).sum()) + 1e-16))

    def diffusion(t, w, args):
        return lineax.DiagonalLinearOperator(jnp.full((task.dim,), task.scale))

    shape = jax.ShapeDtypeStruct((task.dim,), jnp.float32)
    event = diffrax.Event(lambda t, y, args, **kwargs: (y**2).sum() >= task.radius**2)

    @jax.jit
    @jax.vmap
    def integrate(key):
        noise = diffrax.UnsafeBrownianPath(shape, key)
        terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, noise))
        solution = diffrax.diffeqsolve(
            terms,
            diffrax.Euler(),
            0.0,
            task.n_steps * task.dt,
            task.dt,
            jnp.zeros(task.dim),
            event=event,
            max_steps=task.n_steps + 2,
            adjoint=diffrax.ForwardMode(),
        )
        return solution.ts[-1]

    return integrate


def diffrax_events(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
    """diffrax.diffeqsolve of each path, ended by an Event, mapped over the paths."""
    import jax

    integrate = diffrax_compiled(task)
    return lambda: np.mean(integrate(jax.random.split(jax.random.key(seed), n_paths))).item()


@functools.cache
def numba_compiled(task: Task) -> Callable:
    import numba

    rho, dt, n_steps, radius = task.rho, task.dt, task.n_steps, task.radius
    root = np.float32(task.scale * task.dt**0.5)

    @numba.njit(fastmath=True, nogil=True)
    def integrate(generator, n_paths):
        total = 0
        for _ in range(n_paths):
            x = y = np.float32(0.0)
            k = 0
            while k < n_steps:
                g0, g1 = x, np.float32(-0.1) * y
                length = np.sqrt(g0 * g0 + g1 * g1)
                gain = np.float32(rho) / length if length > 0 else np.float32(0.0)
                x += -np.float32(dt) * (x + gain * g0) + root * generator.standard_normal(dtype=np.float32)
                y += np.float32(0.1 * dt) * (y + gain * g1) + root * generator.standard_normal(dtype=np.float32)
                k += 1
                if x * x + y * y >= radius * radius:
                    break
            total += k
        return total / n_paths * dt

    return integrate


def numba_by_hand(task: Task, seed: int, n_paths: int) -> Callable[[], float]:
    """A loop over the paths in numba, the gradient written by hand, the noise from numpy's generator."""
    integrate = numba_compiled(task)
    return lambda: integrate(np.random.default_rng(seed), n_paths)


SIDES = {
    "naive torchsde": naive_torchsde,
    "torchsde engine": engine("torchsde"),
    "compiled engine": engine("compiled"),
    "torch by hand": torch_by_hand,
    "JAX by hand": jax_by_hand,
    "diffrax, events": diffrax_events,
    "numba by hand": numba_by_hand,
}
