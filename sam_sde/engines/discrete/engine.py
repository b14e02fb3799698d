"""The discrete engine: the algorithm itself, a step of the optimizer a step, for many paths at once."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch

from sam_sde.dynamics import Dynamics, Gradient, GradientDynamics, Minibatch, Time, times
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.engines.engine import Engine
from sam_sde.engines.integration import NOISE_TYPES, Advance, Chunk, Integration
from sam_sde.errors import ArgumentError
from sam_sde.layout import empty_steps
from sam_sde.noise import EmpiricalNoise
from sam_sde.random import Purpose, Stream

# The minibatches of a step, from its number: one, or its micro-batches one after the other.
Draw = Callable[[int], Iterator[Minibatch]]


def check(integration: Integration) -> None:
    """Raises ValueError where it is none of the algorithm: its dynamics, noise, dt, method or crossing."""
    integration.dynamics.check_algorithm()
    for part in integration.dynamics.parts:
        if isinstance(part.noise, EmpiricalNoise) and part.noise.surface is not part.surface:
            raise ArgumentError(
                "noise",
                "engine 'discrete' draws samples of the surface, and this noise is made for another one; "
                "try EmpiricalNoise of the same surface",
            )
    if integration.dt != integration.dynamics.lr:
        raise ArgumentError(
            "dt",
            f"expected lr = {integration.dynamics.lr:g}, for a step of engine 'discrete' is one of the optimizer, "
            f"got {integration.dt:g}; leave dt out",
        )
    if integration.method != "euler":
        raise ArgumentError("method", f"{integration.method!r} does not apply to engine 'discrete'; leave method out")
    if integration.crossing != "none":
        raise ArgumentError(
            "crossing",
            f"expected 'none' for engine 'discrete', which knows the ends of steps only, "
            f"got {integration.crossing!r}; leave crossing out",
        )


def prepare(integration: Integration, start: torch.Tensor) -> Advance:
    """The function that advances blocks like `start` (paths, state_dim)."""
    return DiscreteSteps(start.dtype)


class DiscreteSteps:
    """Advances paths, with gradients in `dtype`; the states themselves are in float64."""

    def __init__(self, dtype: torch.dtype):
        self._dtype = dtype
        # Kept from chunk to chunk: what is new to a process takes longer to get than to fill.
        self._states = torch.empty(0)

    @torch.no_grad()
    def __call__(
        self, integration: Integration, state: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int
    ) -> Chunk:
        states, active = self._room(n_steps + 1, state), None
        states[0] = state
        for i in range(n_steps):
            step, t = first_step + i, (first_step + i) * integration.dt
            if integration.dynamics.active(t) is not active:
                active = integration.dynamics.active(t)
                take = _steps(active, integration.stream, paths, self._dtype, step)
            states[i + 1] = take(step, times(t, states[i]), states[i])
        return Chunk(states, self._dtype)

    def _room(self, n_states: int, state: torch.Tensor) -> torch.Tensor:
        if self._states.shape != (n_states, *state.shape):
            self._states = empty_steps(n_states, state.double())
        return self._states


def _steps(
    dynamics: GradientDynamics,
    stream: Stream,
    paths: torch.Tensor,
    dtype: torch.dtype,
    first_step: int,
) -> Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]:
    """A function that takes the optimizer's steps from `first_step` on: of the step, its times and the states."""
    if is_gaussian(dynamics):
        brownian = KeyedBrownian(stream, paths, dynamics.channels, dtype, first_step)
        return lambda step, t, state: gaussian_step(dynamics, t, state, brownian(step, step + 1))
    if isinstance(dynamics.noise, EmpiricalNoise):
        draw = _of_samples(dynamics, stream, paths, dtype)
    else:
        draw = _gaussian_micro_batches(dynamics, stream, paths, dtype)
    return lambda step, t, state: _step(dynamics, t, state, draw(step))


def _step(dynamics: Dynamics, t: Time, state: torch.Tensor, minibatches: Iterable[Minibatch]) -> torch.Tensor:
    return dynamics.step(t, state, minibatches)


def is_gaussian(dynamics: GradientDynamics) -> bool:
    """Whether each step has one minibatch, with Gaussian noise."""
    return not isinstance(dynamics.noise, EmpiricalNoise) and _micro_batch(dynamics) == dynamics.batch_size


def gaussian_step(dynamics: GradientDynamics, t: torch.Tensor, state: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """With gradients ∇ℓ(w) - L(w) z/√B, z the normals of the SDE's Brownian motion, which move w as they do there."""
    descent_z, ascent_z = z.chunk(2, dim=-1) if dynamics.ascent == "independent" else (z, z)
    descent, ascent = (partial(_noisy_gradient, dynamics, each) for each in (descent_z, ascent_z))
    return _step(dynamics, t, state, [Minibatch(descent, ascent, _full_gradient(dynamics, z.dtype))])


def _full_gradient(dynamics: GradientDynamics, dtype: torch.dtype) -> Gradient:
    return lambda w: dynamics.surface.gradient(w.to(dtype))


def _of_samples(dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype) -> Draw:
    """Each path's own samples, drawn as the noise says."""
    noise, full = dynamics.noise, _full_gradient(dynamics, dtype)
    batches = Minibatches(stream, paths, noise.n_samples, dynamics.batch_size, noise.sampling)

    def gradient(numbers: torch.Tensor) -> Gradient:
        return lambda w: noise.surface.minibatch_gradient(w.to(dtype), numbers)

    def draw(step: int) -> Iterator[Minibatch]:
        numbers = batches.numbers(step)
        if dynamics.ascent == "independent":
            yield Minibatch(gradient(numbers), gradient(batches.numbers(step, Purpose.ASCENT_MINIBATCH)), full)
            return
        for part in map(gradient, numbers.split(_micro_batch(dynamics), dim=1)):
            yield Minibatch(part, part, full)

    return draw


def _gaussian_micro_batches(
    dynamics: GradientDynamics, stream: Stream, paths: torch.Tensor, dtype: torch.dtype
) -> Draw:
    """Micro-batches with Gaussian noise, with coordinates of the normals for each."""

    def draw(step: int) -> Iterator[Minibatch]:
        number = torch.full_like(paths, step)[:, None]
        for micro_batch in range(dynamics.batch_size // dynamics.micro_batch):
            channel = torch.arange(dynamics.channels, device=paths.device) + micro_batch * dynamics.channels
            z = stream.normals(Purpose.DIFFUSION, paths[:, None], number, channel).to(dtype)
            gradient = partial(_noisy_gradient, dynamics, z)
            yield Minibatch(gradient, gradient, _full_gradient(dynamics, dtype))

    return draw


def _noisy_gradient(dynamics: GradientDynamics, z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    size = _micro_batch(dynamics)
    scale = (dynamics.noise.minibatch_factor(size) / size) ** 0.5
    w = w.to(z.dtype)
    return dynamics.surface.gradient(w) - scale * dynamics.noise.product(w, z)


def _micro_batch(dynamics: GradientDynamics) -> int:
    """The number of samples that have a perturbation of their own."""
    return dynamics.micro_batch or dynamics.batch_size


ENGINE = Engine(
    prepare=prepare,
    methods=dict.fromkeys(NOISE_TYPES, ("euler",)),
    of_sde=False,
    check=check,
    default_crossing="none",
)
