"""Steps as loops that torch's compiler makes of a recording, kept for all problems of the same structure."""

import functools
from collections.abc import Callable, Hashable

import torch

from sam_sde.engines.compiled.compilation import Loops, compiled
from sam_sde.engines.compiled.draws import inputs_of_draw, samples_of_counters
from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.looks import SumOfLevel
from sam_sde.engines.compiled.minibatch_steps import MinibatchFunctions, MinibatchStep, written_into_place
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
from sam_sde.engines.compiled.sums import WeightedGradients
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


def minibatch_functions_of(step: MinibatchStep, start: torch.Tensor, n_paths: int) -> MinibatchFunctions:
    """Compiled for states like `start` (paths, state_dim), n_paths of them at a time, or others.

    Raises
        CannotCompileError, CannotRecordError: what a step does is not the same for any number of paths, or depends on
            numbers read from tensors.
        Exception: whatever torch cannot trace or compile.
    """
    anchor, moved, t, numbers, _ = step.inputs(start, FEWEST_PATHS)
    all_samples = step.takes_all_samples(anchor, moved, t, numbers)
    taken = _once(step, functools.partial(step.inputs, start), (0, 0, None, 1, 0), n_paths, written=written_into_place)
    if not all_samples:
        return MinibatchFunctions(taken, None)
    axes = (0, 0, 0, *(None for _ in step.inputs_of_sum(start, FEWEST_PATHS)[3:]))
    return MinibatchFunctions(taken, _once(step.summed, functools.partial(step.inputs_of_sum, start), axes, n_paths))


def sum_of_level_of(level: SumOfLevel, start: torch.Tensor, n_paths: int) -> Callable:
    """Compiled as the others are, with the same errors."""
    examples = functools.partial(level.inputs, start)
    axes = (0, 0, 0, *(None for _ in examples(FEWEST_PATHS)[3:]))
    return _once(level, examples, axes, n_paths)


def weighted_gradients_of(gradients: WeightedGradients, n_weights: int, start: torch.Tensor, n_paths: int) -> Callable:
    """`WeightedGradients.sum_of`, compiled as the others are, with the same errors."""
    examples = functools.partial(gradients.inputs, start, n_weights)
    axes = (0, 1, *(None for _ in examples(FEWEST_PATHS)[2:]))
    return _once(gradients.sum_of, examples, axes, n_paths)


def _once(function: Callable, examples: Callable, axes: tuple, n_paths: int, written: Callable | None = None):
    """The function of arguments like the examples, compiled for states in rows, unless its like was.

    written: makes another function of its operations, which takes the place of the result after the arguments.
    """
    inputs = examples(FEWEST_PATHS)
    like = inputs[1]
    recording = recorded(function, examples, n_paths, tolerance=100 * torch.finfo(like.dtype).eps)
    key = (recording.structure, bool(written), *((each.dtype, each.shape, each.device) for each in inputs))
    if key not in _loops:
        operations, arguments, axes_of = recording.operations, (*inputs,), axes
        if written is not None:
            operations, arguments, axes_of = written(operations), (*inputs, torch.empty_like(like)), (*axes, 0)
        _loops[key] = compiled(
            lambda *each: operations(*each),
            (*arguments, *recording.arguments),
            (*axes_of, *(None for _ in recording.arguments)),
            by_coordinates=False,
        )
    loops = _loops[key].function
    return lambda *each: loops(*each, *recording.arguments)


@functools.cache
def draw_on(device: torch.device) -> Callable:
    """`samples_of_counters`, compiled once for all."""
    inputs = inputs_of_draw(device, FEWEST_PATHS)
    return compiled(samples_of_counters, inputs, (None, None, 0, 0, None, None, None), by_coordinates=False).function


@functools.cache
def _normals(diffusion: Callable, dtype: torch.dtype, device: torch.device) -> Loops:
    return compiled(normals_for(diffusion, dtype), inputs_of_normals(device, FEWEST_PATHS), (None, None, 0, None))
