"""What is compiled: four steps of all paths, as many as a counter of the random numbers serves, and their normals."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch

from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.integration import Advance, Chunk, Integration
from sam_sde.random import MASK, STEPS_PER_COUNTER

# torch compiles for one path, and for none, by themselves; a few more cost nothing.
FEWEST_PATHS = 8


class Functions(NamedTuple):
    """Both, compiled for a problem, and in which way.

    quad: (anchor, moved (paths, dim), normals (4, paths, channels), number of the first step, `nearest`, places for
        what is moved after each of four steps) to `nearest`.
    normals: (key, cells, number of the first step) to the normals (4, cells).
    way: "by coordinates", "in rows", or another one and its reason.
    """

    quad: Callable
    normals: Callable
    way: str


def quad_of(take: Callable, layout: Layout) -> Callable:
    """Four steps, each by `take` (anchor, moved, z, step, nearest, further arguments), with `moved` kept in places."""

    def quad(anchor, moved, z, step, nearest, *places_and_arguments):
        states = []
        for i in range(STEPS_PER_COUNTER):
            moved, nearest = take(anchor, moved, z[i], step + i, nearest, *places_and_arguments[n_places:])
            states.append(moved)
        for place, part in zip(places_and_arguments[:n_places], places_in(layout, states), strict=True):
            place.copy_(part)
        return nearest

    n_places = STEPS_PER_COUNTER * (1 if layout.in_rows else layout.dim)

    return quad


def normals_for(diffusion: Callable, dtype: torch.dtype) -> Callable:
    """Normals (4, cells) of the four steps from `step`; the same for all problems whose `Stream.diffusion` it is."""

    def normals(key0: torch.Tensor, key1: torch.Tensor, cells: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return diffusion((key0, key1), cells & MASK, step // STEPS_PER_COUNTER, cells >> 32, dtype)

    return normals


def with_companions(advance: Advance, problem: Integration, w, paths, first_step: int, n_steps: int) -> Chunk:
    """The first of fewer paths than FEWEST_PATHS is taken along as often as needed, and left out of the result."""
    n, missing = len(w), FEWEST_PATHS - len(w)
    w, paths = torch.cat([w, w[:1].expand(missing, -1)]), torch.cat([paths, paths[:1].expand(missing)])
    return advance(problem, w, paths, first_step, n_steps).of_rows(slice(n))


def inputs_of_step(start: torch.Tensor, layout: Layout, n_paths: int) -> tuple[torch.Tensor, ...]:
    """Anchor, moved, z, number of the step, `nearest`, as a step may have them, others for another number of paths."""
    anchor, moved, z, step, nearest, *_ = inputs_of_quad(start, layout, n_paths)
    return anchor, moved, z[0], step, nearest


def inputs_of_quad(start: torch.Tensor, layout: Layout, n_paths: int) -> tuple[torch.Tensor, ...]:
    numbers = torch.linspace(-1.0, 1.0, n_paths, dtype=start.dtype, device=start.device)
    anchor, moved = layout.empty(2, n_paths, like=start)
    anchor.copy_(start[:1] + 0.01 * numbers[:, None])
    moved.copy_((0.001 * numbers[:, None]).expand_as(moved))
    z = layout.normals(numbers.repeat(STEPS_PER_COUNTER, layout.channels))
    places = places_in(layout, layout.empty(STEPS_PER_COUNTER, n_paths, like=start))
    return anchor, moved, z, *scalars([n_paths], start.device), numbers - 2.0, *places


def inputs_of_normals(device: torch.device, n_cells: int) -> tuple[torch.Tensor, ...]:
    key0, key1, step = scalars([0, 0, 0], device)
    return key0, key1, torch.arange(n_cells, device=device), step


def places_in(layout: Layout, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [part for state in states for part in layout.parts(state)]


def scalars(numbers: Iterable[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    """Made on the device: a copy to a GPU would wait for all that is under way there."""
    return tuple(torch.full((), number, device=device) for number in numbers)
