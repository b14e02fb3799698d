"""SDEs on data, compiled: the gradients of all samples are loops, and the steps are those of the reference engine.

A few paths at a time go through a block of samples, few enough for what is made of them to stay in the cache.
"""

import copy
from collections.abc import Callable

import torch
from torch.nn.functional import pad

from sam_sde.dynamics import Dynamics
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.compiled.errors import CannotCompileError, first_line
from sam_sde.engines.compiled.looks import looks_for
from sam_sde.engines.compiled.minibatch_steps import SAMPLES_AT_ONCE, blocks_of
from sam_sde.engines.compiled.quads import FEWEST_PATHS, with_companions
from sam_sde.engines.compiled.slices import numbers_of_samples, slices, states_at_once
from sam_sde.engines.integration import Chunk, Integration
from sam_sde.engines.methods import INCREMENTS, increments
from sam_sde.layout import stack_steps
from sam_sde.surfaces import FiniteSum


class WeightedGradients:
    """`FiniteSum.weighted_gradients` in loops, compiled when it is first asked for so many weights.

    Raises
        CannotCompileError: the surface has a way of its own to them.
    """

    def __init__(self, surface: FiniteSum, start: torch.Tensor, compile_sum: Callable):
        """compile_sum: (this, number of weights) to `sum_of` in loops, for states like `start` (paths, state_dim)."""
        for name in ("weighted_gradients", "weighted_gradients_of"):
            if getattr(type(surface), name) is not getattr(FiniteSum, name):
                raise CannotCompileError(f"the surface has {name} of its own")
        self.surface, self._like, self._compile = surface, start[:0], compile_sum
        self._samples = [samples for _, *samples in blocks_of(surface, self._like)]
        self._size = len(self._samples[0][0])
        numbers = surface.dim + numbers_of_samples(surface, min(SAMPLES_AT_ONCE, surface.n_samples))
        self._at_once = states_at_once(numbers, start.is_cuda)
        self._loops: dict[int, Callable] = {}

    def __call__(self, w: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if w.requires_grad or w.dtype != self._like.dtype:  # it is differentiated again, or looked at more closely
            return self.surface.weighted_gradients(w, *weights)
        if len(weights) not in self._loops:
            self._loops[len(weights)] = self._compile(self, len(weights))
        together = torch.stack(weights)
        parts = [self._sum(w[rows], together[:, rows]) for rows in slices(len(w), self._at_once)]
        return torch.cat(parts, dim=1).unbind()

    def _sum(self, w: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """(weights, paths, dim) for weights (weights, paths, n) of FEWEST_PATHS or more."""
        loops, w = self._loops[len(weights)], w.contiguous()
        whole = pad(weights, (0, len(self._samples) * self._size - weights.shape[2]))
        blocks = whole.unflatten(2, (-1, self._size)).permute(2, 0, 1, 3).contiguous()
        return sum(loops(w, block, *samples) for block, samples in zip(blocks, self._samples, strict=True))

    def sum_of(self, w: torch.Tensor, weights: torch.Tensor, *samples: torch.Tensor) -> torch.Tensor:
        """Σ_i c_i ∇ℓ_i(w) (weights, paths, dim) of a block of samples, c (weights, paths, block)."""
        data = samples if self.surface.samples.is_tuple else samples[0]
        return self.surface.weighted_gradients_of(w, data, *weights)

    def inputs(self, start: torch.Tensor, n_weights: int, n_paths: int) -> tuple[torch.Tensor, ...]:
        """Arguments of `sum_of` as they may be, others for another number of paths."""
        spread = torch.linspace(-1.0, 1.0, n_paths, dtype=start.dtype, device=start.device)[:, None]
        w = start[:1, : self.surface.dim] + 0.01 * spread
        numbers = torch.arange(n_weights * n_paths * self._size, dtype=start.dtype, device=start.device)
        return w, numbers.cos().view(n_weights, n_paths, self._size), *self._samples[0]


def with_loops(dynamics: Dynamics, start: torch.Tensor, compile_sum: Callable) -> Dynamics:
    """A copy whose surfaces have `WeightedGradients`.

    Raises
        CannotCompileError: a surface has a way of its own, or the dynamics cannot be copied.
    """
    held = (getattr(each, "surface", None) for part in dynamics.parts for each in (part, getattr(part, "noise", None)))
    copies = {}
    for surface in held:
        if isinstance(surface, FiniteSum) and id(surface) not in copies:
            copies[id(surface)] = copy.copy(surface)
            copies[id(surface)].weighted_gradients = WeightedGradients(surface, start, compile_sum)
    try:
        return copy.deepcopy(dynamics, copies)
    except Exception as error:
        raise CannotCompileError(f"the optimizer cannot be copied, {first_line(error)}") from error


class SDEOnData:
    """Advances paths; several threads may use it at a time.

    way: "sums in rows", and after a colon why the looks at the loss of a region are not compiled, where they should be.
    """

    def __init__(self, integration: Integration, start: torch.Tensor, compile_sum: Callable, sum_of_level: Callable):
        """compile_sum: see `WeightedGradients`; it is called before this returns. sum_of_level: see `looks_for`."""
        self._dtype = start.dtype
        self._dynamics = with_loops(integration.dynamics, start, compile_sum)
        few = torch.arange(FEWEST_PATHS, device=start.device)
        for part in self._dynamics.parts:
            z = start.new_zeros(FEWEST_PATHS, part.channels)
            INCREMENTS[integration.method](part, 0.0, start[few % len(start)], z, integration.dt)
        self._looks, said = looks_for(integration, start, sum_of_level)
        self.way = "sums in rows" + said

    @torch.no_grad()
    def __call__(
        self, integration: Integration, w: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int
    ) -> Chunk:
        if len(w) < FEWEST_PATHS:
            return with_companions(self, integration, w, paths, first_step, n_steps)
        normals = KeyedBrownian(integration.stream, paths, self._dynamics.channels, self._dtype, first_step)
        states = [w.double()]
        for step in range(first_step, first_step + n_steps):
            drift, noise = increments(
                integration.method,
                self._dynamics,
                step * integration.dt,
                states[-1].to(self._dtype),
                normals(step, step + 1),
                integration.dt,
            )
            states.append(states[-1] + drift + noise)
        chunk = Chunk(stack_steps(states), self._dtype)
        if self._looks is None:
            return chunk
        near = self._looks(torch.zeros_like(w, dtype=self._dtype), chunk.states, first_step)
        return chunk._replace(suspects=near.any(0), near=near)
