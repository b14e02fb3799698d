"""The reference engine: torchsde, on a clock that counts steps.

torchsde adds dt to its clock in floating point, where 0.1 + 0.1 + … misses its mark and makes a step of 1e-12. Here
time is measured in steps of dt: the drift is f·dt, the diffusion g·√dt, and a step has the length 1. Whole numbers are
exact, so every step has the same length, and an increment of the Brownian motion is found by its index.

The states are summed in double precision, and rounded where drift and noise are evaluated.
"""

from functools import partial
from types import SimpleNamespace

import torch
import torchsde

from sam_sde.dynamics import Dynamics, times
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.engine import Engine
from sam_sde.engines.integration import Advance, Chunk, Integration
from sam_sde.engines.methods import INCREMENTS, increments
from sam_sde.layout import in_columns, stack_steps


class StateCollector:
    """The state at the start of each step: the one where the drift is first evaluated after the noise was drawn.

    torchsde's own output would interpolate each of them, at the cost of a step.
    """

    def __init__(self):
        self.states: list[torch.Tensor] = []
        self._step_began = False

    def step_begins(self) -> None:
        self._step_began = True

    def see(self, w: torch.Tensor) -> None:
        if self._step_began:
            self.states.append(w)
            self._step_began = False

    def take(self, end: torch.Tensor) -> torch.Tensor:
        """All states and `end`, stacked; the collector is empty then, for torchsde holds it in a cycle."""
        states = stack_steps([*self.states, end])
        self.states.clear()
        return states


def in_steps(integration: Integration, collector: StateCollector, dtype: torch.dtype) -> SimpleNamespace:
    """The dynamics in torchsde's protocol, with time measured in steps of dt; of a switch, the one that is active.

    dtype: that in which the dynamics are told the states.

    torchsde evaluates every method that it finds, so only those of use are there. Its "euler" adds drift and noise as
    they come from `INCREMENTS`; its other methods are its own.
    """
    dynamics, dt = integration.dynamics, integration.dt
    root_dt = dt**0.5

    def now(step, w) -> tuple[Dynamics, torch.Tensor, torch.Tensor]:
        t, w = float(step) * dt, w.to(dtype)
        return dynamics.active(t), times(t, w), w

    def f(step, w):
        collector.see(w)
        active, t, w = now(step, w)
        return active.f(t, w) * dt

    def g(step, w):
        _, t, w = now(step, w)
        return dynamics.g(t, w) * root_dt

    def g_prod(step, w, z):
        active, t, w = now(step, w)
        return active.g_prod(t, w, z[:, : active.channels].to(dtype)) * root_dt

    def f_and_g_prod(step, w, z):
        collector.see(w)
        return increments(integration.method, dynamics, float(step) * dt, w.to(dtype), z.to(dtype), dt)

    sde = SimpleNamespace(noise_type=dynamics.noise_type, sde_type=dynamics.sde_type)
    if integration.method in INCREMENTS:
        sde.f_and_g_prod = f_and_g_prod
        return sde
    sde.f = f
    if dynamics.noise_type == "diagonal":
        sde.g = g
    else:
        sde.g_prod = g_prod
    return sde


def prepare(integration: Integration, start: torch.Tensor) -> Advance:
    """The function that advances blocks like `start` (paths, state_dim)."""
    return partial(advance, dtype=start.dtype)


def advance(
    integration: Integration,
    w: torch.Tensor,
    paths: torch.Tensor,
    first_step: int,
    n_steps: int,
    dtype: torch.dtype | None = None,
) -> Chunk:
    """Takes n_steps from w (paths, state_dim) at `first_step`; `paths` are the paths' numbers.

    dtype: that in which drift and noise are evaluated; default that of w.
    """
    dtype = dtype or w.dtype
    w, collector, dynamics = in_columns(w.double()), StateCollector(), integration.dynamics
    sde = in_steps(integration, collector, dtype)
    method = "euler" if integration.method in INCREMENTS else integration.method
    brownian = KeyedBrownian(integration.stream, paths, dynamics.channels, dtype, first_step, collector.step_begins)
    clock = torch.tensor([first_step, first_step + n_steps], dtype=torch.float64)
    devices = [w.device] if w.is_cuda else []
    # torchsde draws from the global generator to check g_prod; the user's random numbers stay as they were.
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        ends = torchsde.sdeint(sde, w, clock, bm=brownian, method=method, dt=1.0)
    return Chunk(collector.take(ends[-1]), dtype)


ENGINE = Engine(
    prepare=prepare,
    methods={
        "additive": (*INCREMENTS, "milstein", "srk"),
        "diagonal": (*INCREMENTS, "milstein", "srk"),
        "general": tuple(INCREMENTS),
    },
)
