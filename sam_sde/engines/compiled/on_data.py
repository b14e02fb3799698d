"""The algorithm on data, compiled: the steps of the discrete engine, with its minibatches.

The samples of a chunk of steps are drawn first. Then a few paths at a time take all its steps, few enough for what a
step makes to stay in the processor's cache. At last it is seen which states may be out of a region on the loss.
"""

import threading
from collections.abc import Callable, Iterator

import torch

from sam_sde.dynamics import Dynamics, GradientDynamics
from sam_sde.engines.compiled.draws import CompiledMinibatches
from sam_sde.engines.compiled.errors import CannotCompileError
from sam_sde.engines.compiled.looks import looks_for
from sam_sde.engines.compiled.minibatch_steps import SAMPLES_AT_ONCE, MinibatchFunctions, MinibatchStep
from sam_sde.engines.compiled.quads import FEWEST_PATHS, with_companions
from sam_sde.engines.compiled.slices import numbers_of_samples, slices, states_at_once
from sam_sde.engines.integration import Chunk, Integration
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces.finite_sum import NUMBERS_AT_ONCE

# Paths of the longest recording, beside those of few.
MOST_RECORDED = 32

PURPOSES = (Purpose.MINIBATCH, Purpose.ASCENT_MINIBATCH)


def fits_in_memory(dynamics: GradientDynamics) -> bool:
    """Whether the minibatches of the fewest paths do: a step is compiled with all samples of a batch at once."""
    return FEWEST_PATHS * numbers_of_samples(dynamics.surface, dynamics.batch_size) <= NUMBERS_AT_ONCE


def paths_at_once(dynamics: GradientDynamics, all_samples: bool, on_gpu: bool) -> int:
    """How many paths go together.

    all_samples: whether a step takes the gradient of all of them, which then is most of its work.
    """
    surface = dynamics.surface
    samples = max(dynamics.batch_size, min(SAMPLES_AT_ONCE, surface.n_samples) if all_samples else 0)
    return states_at_once(3 * dynamics.state_dim + numbers_of_samples(surface, samples), on_gpu)


class StepsOnData:
    """Advances paths; several threads may use it at a time.

    way: "in rows", and after a colon why the looks at the loss of a region are not compiled, where they should be.
    """

    def __init__(
        self, integration: Integration, start: torch.Tensor, functions_of: Callable, sum_of: Callable, draw: Callable
    ):
        """functions_of: (step, start, paths of a recording) to the `MinibatchFunctions` of an optimizer.

        sum_of: see `looks_for`. draw: `samples_of_counters`, compiled.

        Raises
            CannotCompileError: see `MinibatchStep`, or the batches are too large for several paths at a time.
        """
        if not all(map(fits_in_memory, integration.dynamics.parts)):
            raise CannotCompileError("its minibatches are too large for several paths at a time")
        self._stream, self._parts = integration.stream, integration.dynamics.parts
        self._steps = [MinibatchStep(part, start) for part in self._parts]
        n_paths = max(FEWEST_PATHS, min(len(start), MOST_RECORDED))
        self._functions: list[MinibatchFunctions] = [functions_of(step, start, n_paths) for step in self._steps]
        self._at_once = min(
            paths_at_once(part, functions.summed is not None, start.is_cuda)
            for part, functions in zip(self._parts, self._functions, strict=True)
        )
        self._blocks = [
            [] if functions.summed is None else list(step.blocks())
            for step, functions in zip(self._steps, self._functions, strict=True)
        ]
        self._looks, said = looks_for(integration, start, lambda level: sum_of(level, start, n_paths))
        self.way = "in rows" + said
        self._memory = _Memory(start[:0].clone(), draw)

    @torch.no_grad()
    def __call__(
        self, integration: Integration, w: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int
    ) -> Chunk:
        if len(w) < FEWEST_PATHS:
            return with_companions(self, integration, w, paths, first_step, n_steps)
        anchor, states, total = self._memory.room(len(w), n_steps, integration.dynamics.dim)
        anchor[:] = w
        states[0] = w - anchor
        steps = list(self._drawn(integration, paths, first_step, n_steps))
        for rows in slices(len(w), self._at_once):
            for i, (part, t, numbers) in enumerate(steps):
                full = self._gradient_of_all(part, anchor[rows], states[i, rows], total[rows])
                self._functions[part].taken(
                    anchor[rows], states[i, rows], t, numbers[:, rows], full, states[i + 1, rows]
                )
        if self._looks is None:
            return Chunk(states, states.dtype, anchor)
        near = self._looks(anchor, states, first_step)
        return Chunk(states, states.dtype, anchor, near.any(0), near)

    def _drawn(
        self, integration: Integration, paths: torch.Tensor, first_step: int, n_steps: int
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Of each step the number of the optimizer, the time () and the samples (draws, paths, batch_size)."""
        for step in range(first_step, first_step + n_steps):
            t = step * integration.dt
            part = self._number_of(integration.dynamics.active(t))
            batches = self._memory.batches(self._steps[part], self._stream, paths)
            numbers = [batches.numbers(step, purpose) for purpose in PURPOSES[: self._steps[part].draws]]
            yield part, torch.full((), t, dtype=torch.float64, device=paths.device), torch.stack(numbers)

    def _number_of(self, active: Dynamics) -> int:
        return next(number for number, part in enumerate(self._parts) if part is active)

    def _gradient_of_all(self, part: int, anchor, moved, total: torch.Tensor) -> torch.Tensor:
        """That of all samples at anchor + moved (paths, dim), where a step takes it; else numbers that no one reads."""
        for block in self._blocks[part]:
            total = self._functions[part].summed(anchor, moved, total, *block)
        return total


class _Memory(threading.local):
    """Each thread has its own, and uses it for chunk after chunk as long as these are alike."""

    def __init__(self, like: torch.Tensor, draw: Callable):
        self._like, self._draw = like, draw
        self._states = self._zeros = like
        self._paths, self._batches = None, {}

    def room(self, n_paths: int, n_steps: int, dim: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For an anchor (paths, state_dim) and the states of the steps (steps + 1, paths, state_dim), and zeros.

        The zeros are (paths, dim).
        """
        shape = (n_steps + 2, n_paths, self._like.shape[1])
        if self._states.shape != shape:
            self._states = self._like.new_empty(shape)
            self._zeros = self._like.new_zeros(n_paths, dim)
        return self._states[0], self._states[1:], self._zeros

    def batches(self, step: MinibatchStep, stream: Stream, paths: torch.Tensor) -> CompiledMinibatches:
        """Those of these paths, with the orders of the samples that were drawn for the chunk before."""
        if self._paths is not paths:
            self._paths, self._batches = paths, {}
        if step not in self._batches:
            dynamics = step.dynamics
            self._batches[step] = CompiledMinibatches(
                self._draw, stream, paths, dynamics.noise.n_samples, dynamics.batch_size, dynamics.noise.sampling
            )
        return self._batches[step]
