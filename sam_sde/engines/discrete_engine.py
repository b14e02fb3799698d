"""The discrete engine: the algorithm itself, a step of the optimizer a step, for many paths at once."""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from sam_sde.dynamics import GradientDynamics, PerturbedSGD
from sam_sde.dynamics.discrete import Gradient, Minibatch, active_part, discrete_step, parts, require_algorithm
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.chunk import Chunk
from sam_sde.engines.minibatches import Minibatches
from sam_sde.engines.problem import EscapeProblem
from sam_sde.noise import EmpiricalNoise
from sam_sde.random import Purpose, Stream

# The minibatches of a step, from its number: one, or its micro-batches one after the other.
Draw = Callable[[int], Iterator[Minibatch]]


def check_problem(problem: EscapeProblem) -> None:
    """Raises ValueError where the problem is none for the algorithm: its dynamics, noise, dt, method or crossing."""
    require_algorithm(problem.dynamics)
    for part in parts(problem.dynamics):
        if isinstance(part.noise, EmpiricalNoise) and part.noise.surface is not part.surface:
            raise ValueError(
                "noise: engine 'discrete' draws samples of the surface, and this noise is made for another one; "
                "try EmpiricalNoise of the same surface"
            )
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
    states, active, draw = [state], None, None
    for step in range(first_step, first_step + n_steps):
        t = step * problem.dt
        if active_part(problem.dynamics, t) is not active:
            active = active_part(problem.dynamics, t)
            draw = _draws(active, problem.stream, paths, state.dtype, step)
        states.append(discrete_step(active, t, states[-1], draw(step)))
    return Chunk(torch.stack(states))


def _draws(
    dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype, first_step: int
) -> Draw:
    """How the optimizer's minibatches are drawn, from `first_step` on."""
    if isinstance(dynamics.noise, EmpiricalNoise):
        return _of_samples(dynamics, stream, paths)
    if _micro_batch(dynamics) < dynamics.batch_size:
        return _gaussian_micro_batches(dynamics, stream, paths, dtype)
    return _gaussian(dynamics, stream, paths, dtype, first_step)


def _of_samples(dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor) -> Draw:
    """Each path's own samples, drawn as the noise says."""
    noise = dynamics.noise
    batches = Minibatches(stream, paths, noise.n_samples, dynamics.batch_size, noise.sampling)

    def gradient(numbers: torch.Tensor) -> Gradient:
        return lambda w: noise.surface.minibatch_gradient(w, numbers)

    def draw(step: int) -> Iterator[Minibatch]:
        numbers = batches.numbers(step)
        if _ascent(dynamics) == "independent":
            yield Minibatch(gradient(numbers), gradient(batches.numbers(step, Purpose.ASCENT_MINIBATCH)))
            return
        for part in map(gradient, numbers.split(_micro_batch(dynamics), dim=1)):
            yield Minibatch(part, part)

    return draw


def _gaussian(
    dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype, first_step: int
) -> Draw:
    """Gradients ∇ℓ(w) - L(w) z/√B, with the normals z of the SDE's Brownian motion, which move w as they do there."""
    brownian = KeyedBrownian(stream, paths, dynamics.channels, dtype, first_step)

    def draw(step: int) -> Iterator[Minibatch]:
        z = brownian(step, step + 1)
        descent_z, ascent_z = z.chunk(2, dim=-1) if _ascent(dynamics) == "independent" else (z, z)
        yield Minibatch(partial(_noisy_gradient, dynamics, descent_z), partial(_noisy_gradient, dynamics, ascent_z))

    return draw


def _gaussian_micro_batches(
    dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype
) -> Draw:
    """The same for micro-batches, with coordinates of the normals for each."""

    def draw(step: int) -> Iterator[Minibatch]:
        number = torch.full_like(paths, step)[:, None]
        for micro_batch in range(dynamics.batch_size // dynamics.micro_batch):
            channel = torch.arange(dynamics.channels, device=paths.device) + micro_batch * dynamics.channels
            z = stream.normals(Purpose.DIFFUSION, paths[:, None], number, channel).to(dtype)
            gradient = partial(_noisy_gradient, dynamics, z)
            yield Minibatch(gradient, gradient)

    return draw


def _noisy_gradient(dynamics: GradientDynamics, z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    size = _micro_batch(dynamics)
    scale = (dynamics.noise.minibatch_factor(size) / size) ** 0.5
    return dynamics.surface.gradient(w) - scale * dynamics.noise.product(w, z)


def _ascent(dynamics: GradientDynamics) -> str:
    return dynamics.ascent if isinstance(dynamics, PerturbedSGD) else "full"


def _micro_batch(dynamics: GradientDynamics) -> int:
    """The number of samples that have a perturbation of their own."""
    micro_batch = dynamics.micro_batch if isinstance(dynamics, PerturbedSGD) else None
    return micro_batch or dynamics.batch_size
