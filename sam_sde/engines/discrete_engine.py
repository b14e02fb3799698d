"""The discrete engine: the algorithm itself, a step of the optimizer a step, for many paths at once."""

from collections.abc import Callable
from functools import partial

import torch

from sam_sde.dynamics.discrete import Minibatch, discrete_step, require_algorithm
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.chunk import Chunk
from sam_sde.engines.problem import EscapeProblem

# The minibatches of one step, from the number of the step.
Draw = Callable[[int], list[Minibatch]]


def check_problem(problem: EscapeProblem) -> None:
    """Raises ValueError where the problem is none for the algorithm: dt, method, crossing, or the dynamics."""
    require_algorithm(problem.dynamics)
    if problem.dt != problem.dynamics.lr:
        raise ValueError(
            f"dt: expected lr = {problem.dynamics.lr:g}, for a step of engine 'discrete' is one of the optimizer, "
            f"got {problem.dt:g}; leave dt out"
        )
    if problem.method != "euler":
        raise ValueError(f"method: {problem.method!r} does not apply to engine 'discrete'; leave method out")
    if problem.crossing != "none":
        raise ValueError(
            f"crossing: expected 'none' for engine 'discrete', which knows the ends of steps only, "
            f"got {problem.crossing!r}; leave crossing out"
        )


@torch.no_grad()
def advance(problem: EscapeProblem, state: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int) -> Chunk:
    """Takes n_steps from `state` (paths, state_dim) at `first_step`; `paths` are the paths' numbers."""
    draw = _gaussian(problem, paths, state.dtype, first_step)
    states = [state]
    for step in range(first_step, first_step + n_steps):
        states.append(discrete_step(problem.dynamics, step * problem.dt, states[-1], draw(step)))
    return Chunk(torch.stack(states))


def _gaussian(problem: EscapeProblem, paths: torch.Tensor, dtype: torch.dtype, first_step: int) -> Draw:
    """Gradients ∇ℓ(w) - L(w) z/√B, with the normals z of the SDE's Brownian motion, which move w as they do there."""
    dynamics = problem.dynamics
    independent = getattr(dynamics, "ascent", None) == "independent"
    brownian = KeyedBrownian(problem.stream, paths, dynamics.channels, dtype, first_step)

    def gradient(z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return dynamics.surface.gradient(w) - dynamics.noise.product(w, z) * dynamics.batch_size**-0.5

    def draw(step: int) -> list[Minibatch]:
        z = brownian(step, step + 1)
        descent_z, ascent_z = z.chunk(2, dim=-1) if independent else (z, z)
        return [Minibatch(partial(gradient, descent_z), partial(gradient, ascent_z))]

    return draw
