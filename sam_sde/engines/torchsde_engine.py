"""The reference engine: torchsde, on a clock that counts steps."""

import torch
import torchsde

from sam_sde.dynamics import Dynamics
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.problem import EscapeProblem


class StepClock:
    """The dynamics with time measured in steps of dt: drift f·dt and diffusion g·√dt, a step of length 1.

    torchsde adds dt to its clock in floating point, where 0.1 + 0.1 + … misses its mark and makes a step of 1e-12.
    Whole numbers are exact, so every step has the same length and an increment is found by its index.
    """

    def __init__(self, dynamics: Dynamics, dt: float):
        self.sde_type = dynamics.sde_type
        self.noise_type = dynamics.noise_type
        self.f = lambda step, w: dynamics.f(step * dt, w) * dt
        if dynamics.noise_type == "diagonal":
            self.g = lambda step, w: dynamics.g(step * dt, w) * dt**0.5
        else:
            self.g_prod = lambda step, w, z: dynamics.g_prod(step * dt, w, z) * dt**0.5
        if hasattr(dynamics, "f_and_g_prod"):
            self.f_and_g_prod = lambda step, w, z: _scaled(dynamics.f_and_g_prod(step * dt, w, z), dt)


def _scaled(drift_and_noise: tuple[torch.Tensor, torch.Tensor], dt: float):
    drift, noise = drift_and_noise
    return drift * dt, noise * dt**0.5


def advance(
    problem: EscapeProblem, w: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int
) -> torch.Tensor:
    """States (n_steps + 1, paths, dim) from w (paths, dim) at `first_step`; `paths` are the paths' numbers."""
    brownian = KeyedBrownian(problem.stream, paths, problem.dynamics.channels, w.dtype, first_step)
    clock = torch.arange(first_step, first_step + n_steps + 1, dtype=torch.float64)
    devices = [w.device] if w.is_cuda else []
    # torchsde draws from the global generator to check g_prod; the user's random numbers stay as they were.
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        return torchsde.sdeint(
            StepClock(problem.dynamics, problem.dt), w, clock, bm=brownian, method=problem.method, dt=1.0
        )
