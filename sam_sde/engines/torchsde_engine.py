"""The reference engine: torchsde, on a clock that counts steps.

torchsde adds dt to its clock in floating point, where 0.1 + 0.1 + … misses its mark and makes a step of 1e-12. Here
time is measured in steps of dt: the drift is f·dt, the diffusion g·√dt, and a step has the length 1. Whole numbers are
exact, so every step has the same length, and an increment of the Brownian motion is found by its index.
"""

import functools
from types import SimpleNamespace

import torch
import torchsde

from sam_sde.dynamics import Dynamics
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.compiled.recording import recorded
from sam_sde.engines.integration import Advance, Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.layout import in_columns, stack_steps

# Recording a step takes the time of some hundred, and gains nothing where its operations themselves take long.
WORTH_RECORDING = 500
MAX_RECORDED = 2**17


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


def in_steps(dynamics: Dynamics | SimpleNamespace, dt: float, collector: StateCollector) -> SimpleNamespace:
    """The dynamics in torchsde's protocol, with time measured in steps of dt.

    torchsde evaluates every method that it finds, so only those of use are there.
    """
    root_dt = dt**0.5

    def f(step, w):
        collector.see(w)
        return dynamics.f(step * dt, w) * dt

    def f_and_g_prod(step, w, z):
        collector.see(w)
        drift, noise = dynamics.f_and_g_prod(step * dt, w, z)
        return drift * dt, noise * root_dt

    sde = SimpleNamespace(noise_type=dynamics.noise_type, sde_type=dynamics.sde_type, f=f)
    if dynamics.noise_type == "diagonal":
        sde.g = lambda step, w: dynamics.g(step * dt, w) * root_dt
    else:
        sde.g_prod = lambda step, w, z: dynamics.g_prod(step * dt, w, z) * root_dt
    if hasattr(dynamics, "f_and_g_prod"):
        sde.f_and_g_prod = f_and_g_prod
    return sde


def prepare(problem: EscapeProblem, start: torch.Tensor) -> Advance:
    """The function that advances blocks like `start` (paths, dim); its steps are recorded where that is worth it."""
    if problem.n_steps < WORTH_RECORDING or start.numel() > MAX_RECORDED:
        return advance
    return functools.partial(advance, dynamics=_recorded(problem.dynamics, problem.dt, in_columns(start)))


def _recorded(dynamics: Dynamics, dt: float, start: torch.Tensor) -> SimpleNamespace:
    """The methods of the dynamics that torchsde calls, without the Python in them."""
    paths, n_paths = start[:1], len(start)

    def examples(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        z = torch.linspace(-1.0, 1.0, n * dynamics.channels).to(start).view(dynamics.channels, n).T
        w = paths + 0.01 * torch.linspace(-1.0, 1.0, n * start.shape[1]).to(start).view(start.shape[1], n).T
        return torch.tensor(n * dt, dtype=torch.float64), in_columns(w), z

    with torch.no_grad():
        methods = {
            name: recorded(getattr(dynamics, name), lambda n, count=count: examples(n)[:count], n_paths)
            for name, count in (("f", 2), ("g", 2), ("g_prod", 3), ("f_and_g_prod", 3))
            if hasattr(dynamics, name)
        }
    return SimpleNamespace(noise_type=dynamics.noise_type, sde_type=dynamics.sde_type, **methods)


def advance(
    problem: EscapeProblem,
    w: torch.Tensor,
    paths: torch.Tensor,
    first_step: int,
    n_steps: int,
    dynamics: SimpleNamespace | None = None,
) -> Chunk:
    """Takes n_steps from w (paths, dim) at `first_step`; `paths` are the paths' numbers.

    dynamics: stands in for the problem's own.
    """
    w, collector = in_columns(w), StateCollector()
    sde = in_steps(dynamics or problem.dynamics, problem.dt, collector)
    brownian = KeyedBrownian(
        problem.stream, paths, problem.dynamics.channels, w.dtype, first_step, collector.step_begins
    )
    clock = torch.tensor([first_step, first_step + n_steps], dtype=torch.float64)
    devices = [w.device] if w.is_cuda else []
    # torchsde draws from the global generator to check g_prod; the user's random numbers stay as they were.
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        ends = torchsde.sdeint(sde, w, clock, bm=brownian, method=problem.method, dt=1.0)
    return Chunk(collector.take(ends[-1]))
