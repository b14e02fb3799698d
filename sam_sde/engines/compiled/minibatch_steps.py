"""A step of the algorithm on data, as functions of tensors that can be recorded for any number of paths.

Which samples a step takes are inputs, drawn before it. So is the gradient of all samples at the weights, where an
ascent takes that: it is summed over blocks of samples before the step, or a step would grow with the data.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch

from sam_sde.dynamics import Gradient, GradientDynamics, Minibatch, times
from sam_sde.engines.compiled.errors import CannotCompileError
from sam_sde.surfaces import FiniteSum
from sam_sde.surfaces.samples import Sample, take

# Of the data where all are summed over: with fewer in a block their products are slower, with more no faster.
SAMPLES_AT_ONCE = 256


class MinibatchFunctions(NamedTuple):
    """Both, compiled for an optimizer; `summed` is None where no step takes the gradient of all samples.

    taken: `MinibatchStep` with a place for the next `moved` after its arguments. summed: `MinibatchStep.summed`.
    """

    taken: Callable
    summed: Callable | None


class MinibatchStep:
    """The step of one optimizer, with its gradients in the dtype of `start` (paths, state_dim) and on its device.

    Raises
        CannotCompileError: the surface has a way of its own to a minibatch's gradient, or to that of all samples.
    """

    def __init__(self, dynamics: GradientDynamics, start: torch.Tensor):
        for name in ("minibatch_gradient", "gradient"):
            if getattr(type(dynamics.surface), name) is not getattr(FiniteSum, name):
                raise CannotCompileError(f"the surface has a {name} of its own")
        self.dynamics, self._dtype, self._like = dynamics, start.dtype, start[:0]
        self.surface: FiniteSum = dynamics.surface
        self._data = self.surface.samples.keep(start)
        self._micro_batch = dynamics.micro_batch or dynamics.batch_size
        self._folded = type(dynamics).step is GradientDynamics.step and (
            type(dynamics).mean_gradient is GradientDynamics.mean_gradient
        )

    @property
    def draws(self) -> int:
        """How many batches a step takes."""
        return 2 if self.dynamics.ascent == "independent" else 1

    def __call__(self, anchor: torch.Tensor, moved: torch.Tensor, t: torch.Tensor, numbers: torch.Tensor, full):
        """The next `moved`, from the state anchor + moved (paths, state_dim) at the time t ().

        numbers (draws, paths, batch_size): of the samples. full (paths, dim): the gradient of all of them.
        """
        return self._step(anchor, moved, t, numbers, lambda w: full.repeat(len(w) // len(full), 1))

    def _step(self, anchor, moved, t, numbers, full: Gradient) -> torch.Tensor:
        state = anchor.double() + moved.double()
        ahead = self.dynamics.step(times(t, state), state, self._minibatches(numbers, full))
        return (ahead - anchor.double()).to(moved)

    def weights(self, anchor: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        """Those that gradients are evaluated at (paths, dim)."""
        return self.dynamics.weights(anchor.double() + moved.double()).to(self._dtype)

    def summed(self, anchor, moved, total: torch.Tensor, weights: torch.Tensor, *samples: torch.Tensor) -> torch.Tensor:
        """total (paths, dim) and Σ_i c_i ∇ℓ_i of these samples, c = `weights` (samples,)."""
        data: Sample = samples if self.surface.samples.is_tuple else samples[0]
        w = self.weights(anchor, moved)
        return total + self.surface.weighted_gradients_of(w, data, weights.expand(len(w), -1))[0]

    def blocks(self) -> Iterator[tuple[torch.Tensor, ...]]:
        return blocks_of(self.surface, self._like)

    def inputs(self, start: torch.Tensor, n_paths: int) -> tuple[torch.Tensor, ...]:
        """Arguments as a step may have them, others for another number of paths."""
        spread = torch.linspace(-1.0, 1.0, n_paths, dtype=start.dtype, device=start.device)[:, None]
        anchor = start[:1] + 0.01 * spread
        moved = (0.001 * spread).expand_as(anchor).contiguous()
        t = torch.full((), self.dynamics.lr * n_paths, dtype=torch.float64, device=start.device)
        shape = (self.draws, n_paths, self.dynamics.batch_size)
        numbers = torch.arange(math.prod(shape), device=start.device).view(shape) % self.surface.n_samples
        return anchor, moved, t, numbers, self.dynamics.weights(anchor).cos()

    def inputs_of_sum(self, start: torch.Tensor, n_paths: int) -> tuple[torch.Tensor, ...]:
        anchor, moved, *_, total = self.inputs(start, n_paths)
        return anchor, moved, total, *next(self.blocks())

    def takes_all_samples(self, anchor, moved, t, numbers) -> bool:
        """Whether it asks for the gradient of all samples, found by a step.

        Raises
            CannotCompileError: it asks for that elsewhere than at the weights.
        """
        asked, weights = [], self.weights(anchor, moved)

        def full(w: torch.Tensor) -> torch.Tensor:
            asked.append(torch.equal(w.to(weights), weights.repeat(len(w) // len(weights), 1)))
            return torch.ones_like(w, dtype=self._dtype)

        self._step(anchor, moved, t, numbers, full)
        if not all(asked):
            raise CannotCompileError("it takes the gradient of all samples elsewhere than at the weights")
        return bool(asked)

    def _minibatches(self, numbers: torch.Tensor, full: Gradient) -> list[Minibatch]:
        descent, ascent = (self._gradient(each) for each in (numbers[0], numbers[-1]))
        parts = numbers.shape[-1] // self._micro_batch
        if parts == 1:
            return [Minibatch(descent, ascent, full)]
        split = numbers[0].split(self._micro_batch, dim=1)
        if self._folded:
            together = self._gradient(torch.cat(split))
            return [Minibatch(together, together, full, parts)]
        return [Minibatch(each, each, full) for each in map(self._gradient, split)]

    def _gradient(self, numbers: torch.Tensor) -> Gradient:
        """That of each path's samples with these numbers (paths, batch)."""
        return partial(self._gradient_at, numbers)

    def _gradient_at(self, numbers: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return self.surface.gradient_of_batches(w.to(self._dtype), take(self._data, numbers))


def blocks_of(surface: FiniteSum, like: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """All samples in blocks of one size, each with the weights (block,) of its samples first, which add up to 1.

    The first sample fills up the last block, with weight 0. like: of what dtype and where.
    """
    n, samples = surface.n_samples, surface.samples.keep(like)
    n_blocks = math.ceil(n / SAMPLES_AT_ONCE)
    size = math.ceil(n / n_blocks)
    for first in range(0, n_blocks * size, size):
        number = torch.arange(first, first + size)
        weights = (number < n).to(like) / n
        data = take(samples, number.where(number < n, 0).to(weights.device))
        yield weights, *(data if surface.samples.is_tuple else (data,))


def written_into_place(step: Callable) -> Callable:
    """The step of (anchor, moved, t, numbers, full, place, arguments), whose result goes into `place`.

    It gives the time, for something must be given.
    """

    def write(anchor, moved, t, numbers, full, place, *arguments):
        place.copy_(step(anchor, moved, t, numbers, full, *arguments))
        return t.clone()

    return write
