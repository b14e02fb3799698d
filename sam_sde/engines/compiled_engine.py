"""The fast engine: the same steps as the torchsde engine's, with the same noise, compiled by torch.compile.

A compiled function draws the normals of four steps and takes them, and marks the paths that come near the boundary;
only those are looked at for exits. Its loops run along the paths, so inside it a state is (dim, paths).
"""

import math
from collections.abc import Callable

import torch

from sam_sde.engines.problem import EscapeProblem
from sam_sde.engines.reach import reach_of
from sam_sde.random import STEPS_PER_COUNTER, Purpose, normals_of_quad
from sam_sde.regions.crossing import NEGLIGIBLE_EXPONENT


def compiled_advance(problem: EscapeProblem) -> Callable:
    """A function like `torchsde_engine.advance` for this problem, that also tells which paths may have crossed."""
    quad = torch.compile(_own_code(_quad_of(problem)), fullgraph=True)
    channels = problem.dynamics.channels

    def advance(problem, w, paths, first_step, n_steps):
        key = torch.tensor(problem.stream.key, device=w.device).unbind()
        states, suspect = [w.T.contiguous()], torch.zeros(len(w), dtype=torch.bool, device=w.device)
        torch._dynamo.mark_dynamic(paths, 0)
        for step in range(first_step, first_step + n_steps, STEPS_PER_COUNTER):
            first = torch.tensor(step, device=w.device)
            z = _fill(key, paths, first // STEPS_PER_COUNTER, channels, w.dtype)
            torch._dynamo.mark_dynamic(states[-1], 1)
            torch._dynamo.mark_dynamic(z, 2)
            following, near = quad(states[-1], z, first)
            states += following.unbind()
            suspect |= near
        return torch.stack(states[: n_steps + 1]).mT, suspect

    return advance


def _quad_of(problem: EscapeProblem) -> Callable:
    """Four steps of all paths: (w (dim, paths), path numbers, first step) to the states and the paths to look at."""
    dynamics, dt = problem.dynamics, problem.dt
    step_of = {"euler": _euler, "heun": _heun}[problem.method]
    near = _near(problem)

    def quad(w: torch.Tensor, z: torch.Tensor, step: torch.Tensor):
        states, suspect = [], torch.zeros_like(w[0], dtype=torch.bool)
        for i in range(STEPS_PER_COUNTER):
            before = w.T
            after = step_of(dynamics, (step + i) * dt, before, z[i].T, dt)
            suspect = suspect | near((step + i) * dt, before, after)
            w = after.T
            states.append(w)
        return torch.stack(states), suspect

    return quad


@torch.compile(fullgraph=True)
def _fill(key: tuple, paths: torch.Tensor, quad: torch.Tensor, channels: int, dtype: torch.dtype) -> torch.Tensor:
    """Normals (4, channels, paths) of four steps."""
    return normals_of_quad(key, Purpose.DIFFUSION, paths, quad, channels, dtype)


def _euler(dynamics, t, w, z, dt):
    if hasattr(dynamics, "f_and_g_prod"):
        drift, noise = dynamics.f_and_g_prod(t, w, z)
    else:
        drift, noise = dynamics.f(t, w), dynamics.g_prod(t, w, z)
    return w + drift * dt + noise * dt**0.5


def _heun(dynamics, t, w, z, dt):
    """Weak order 2 for additive noise: the drift is averaged over the step."""
    noise = dynamics.g_prod(t, w, z) * dt**0.5
    drift = dynamics.f(t, w)
    return w + 0.5 * dt * (drift + dynamics.f(t + dt, w + drift * dt + noise)) + noise


def _near(problem: EscapeProblem) -> Callable:
    """Whether a step from `before` to `after` may cross: True for every one that does."""
    region, reach = problem.region, reach_of(problem)
    if math.isfinite(reach):
        return lambda t, before, after: (region.levels(after) >= -reach).any(-1) | (region.levels(before) >= -reach).any(-1)
    return lambda t, before, after: torch.ones_like(before[:, 0], dtype=torch.bool)


def _own_code(function: Callable) -> Callable:
    """torch keeps what it compiled by code object, a few for each: a copy gives every problem a place of its own."""
    function.__code__ = function.__code__.replace()
    return function
