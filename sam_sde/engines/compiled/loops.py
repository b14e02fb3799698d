"""Four steps as loops that torch's compiler makes of a recording, kept for all problems of the same structure."""

import functools
from collections.abc import Callable, Hashable

import torch

from sam_sde.engines.compiled.compilation import Loops, compiled
from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.quads import (
    FEWEST_PATHS,
    Functions,
    inputs_of_normals,
    inputs_of_quad,
    inputs_of_step,
    normals_for,
    quad_of,
)
from sam_sde.engines.compiled.recording import Recording, recorded
from sam_sde.engines.integration import Integration

# By the structure of a step and what its inputs are like; the numbers of a problem are arguments.
_loops: dict[Hashable, Loops] = {}


def functions_of(problem: Integration, take: Callable, start: torch.Tensor, layout: Layout) -> Functions:
    """Compiled for blocks like `start` (paths, dim), with steps by `take`; see `steps`.

    Raises
        CannotRecordError: what a step does depends on the number of paths, or on numbers read from tensors.
        Exception: whatever torch cannot trace or compile.
    """
    # A recording is free of vmap, under which some of torch's functions cannot do without a number of paths.
    step = recorded(
        take,
        functools.partial(inputs_of_step, start, layout),
        max(len(start), FEWEST_PATHS),
        tolerance=100 * torch.finfo(start.dtype).eps,
    )
    key = (step.structure, layout, start.dtype, start.device)
    if key not in _loops:
        _loops[key] = _quad(step, start, layout)
    quad, normals = _loops[key], _normals(problem.stream.diffusion, start.dtype, start.device)
    reason = quad.reason or normals.reason
    way = f"as torch's compiler has it: {reason}" if reason else "in rows" if layout.in_rows else "by coordinates"
    return Functions(lambda *inputs: quad.function(*inputs, *step.arguments), normals.function, way)


def _quad(step: Recording, start: torch.Tensor, layout: Layout) -> Loops:
    anchor, moved, z, number, nearest, *places = inputs_of_quad(start, layout, FEWEST_PATHS)
    axes = (0, 0, 1, None, 0, *(0 for _ in places), *(None for _ in step.arguments))
    return compiled(
        quad_of(step.operations, layout),
        (anchor, moved, z, number, nearest, *places, *step.arguments),
        axes,
        by_coordinates=not layout.in_rows,
    )


@functools.cache
def _normals(diffusion: Callable, dtype: torch.dtype, device: torch.device) -> Loops:
    return compiled(normals_for(diffusion, dtype), inputs_of_normals(device, FEWEST_PATHS), (None, None, 0, None))
