"""The fast engine: the same steps as the torchsde engine's, with the same noise, compiled by torch.compile.

A compiled function draws the normals of four steps and takes them, and marks the paths that come near the boundary;
only those are looked at for exits. Its loops run along the paths, so inside it a state is (dim, paths).
"""

import functools
import math
from collections.abc import Callable, Iterable

import torch

from sam_sde.engines.chunk import Advance, Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.engines.reach import reach_of
from sam_sde.random import STEPS_PER_COUNTER, Purpose, normals_of_quad
from sam_sde.regions.crossing import NEGLIGIBLE_EXPONENT, shift_distance

# torch compiles for one path, and for none, by themselves; a few more cost nothing.
FEWEST_PATHS = 8


class CannotCompileError(Exception):
    """torch.compile refused the problem; the message is the reason, in one line."""


def compile_problem(problem: EscapeProblem, start: torch.Tensor) -> Advance:
    """A function that advances paths of this problem, compiled for the dtype and device of `start` (paths, dim).

    Raises
        CannotCompileError: the loss, the noise or the level function is nothing that torch.compile understands, or
            there is no C++ compiler.
    """
    quad = _quad_of(problem)
    compiled, normals = torch.compile(_own_code(quad), fullgraph=True), _compiled_normals()
    states, key = start.new_empty(0, 0, 0), _scalars(problem.stream.key, start.device)

    @torch.no_grad()
    def advance(problem, w, paths, first_step, n_steps):
        nonlocal states
        if len(w) < FEWEST_PATHS:
            return _with_companions(advance, problem, w, paths, first_step, n_steps)
        n_quads = math.ceil(n_steps / STEPS_PER_COUNTER)
        shape = (n_quads * STEPS_PER_COUNTER + 1, w.shape[1], len(w))
        if states.shape != shape:  # memory that is new to a process takes longer to get than to fill
            states = w.new_empty(shape)
        states[0] = w.T
        suspects = torch.zeros(len(w), dtype=torch.bool, device=w.device)
        for step in range(0, n_steps, STEPS_PER_COUNTER):
            (first,) = _scalars([first_step + step], w.device)
            z = normals(key, paths, first, problem.dynamics.channels, w.dtype)
            before, *after = states[step : step + STEPS_PER_COUNTER + 1].unbind()
            compiled(before, z, first, after, suspects)
        return Chunk(states[: n_steps + 1].mT, suspects)

    _compile_now(problem, start, key, quad, compiled, normals)
    return advance


def _compile_now(problem: EscapeProblem, start: torch.Tensor, key: tuple, quad, compiled, normals) -> None:
    """Calls what is to be compiled, for few paths and telling that their number varies."""
    few = start[:1].expand(FEWEST_PATHS, -1)
    paths, (zero,) = torch.arange(FEWEST_PATHS, device=few.device), _scalars([0], few.device)
    with torch.no_grad():
        z = few.new_zeros(STEPS_PER_COUNTER, problem.dynamics.channels, FEWEST_PATHS)
        before, *after = (
            few.T.expand(STEPS_PER_COUNTER + 1, -1, -1).clone(memory_format=torch.contiguous_format).unbind()
        )
        suspects = few.new_zeros(FEWEST_PATHS, dtype=torch.bool)
        # Uncompiled first: constants of the model make their copies for this device and dtype here.
        quad(before, z, zero, after, suspects)
        try:
            normals(key, _paths_vary(paths), zero, problem.dynamics.channels, few.dtype)
            compiled(_paths_vary(before), _paths_vary(z), zero, [*map(_paths_vary, after)], _paths_vary(suspects))
        except Exception as error:
            raise CannotCompileError(_first_line(error)) from error


def _quad_of(problem: EscapeProblem) -> Callable:
    """Four steps of all paths: (w (dim, paths), normals, first step, states to fill (dim, paths), suspects to mark)."""
    dynamics, dt, may_cross = problem.dynamics, problem.dt, _may_cross(problem)
    step_of = {"euler": _euler, "heun": _heun}[problem.method]

    def quad(w: torch.Tensor, z: torch.Tensor, step: torch.Tensor, states: list[torch.Tensor], suspects: torch.Tensor):
        near = suspects
        for i in range(STEPS_PER_COUNTER):
            t, before = (step + i).double() * dt, w.T
            after = step_of(dynamics, t, before, z[i].T, dt)
            near = near | may_cross(t, before, after)
            w = after.T
            states[i].copy_(w)
        suspects.copy_(near)

    return quad


def _normals(key: tuple, paths: torch.Tensor, step: torch.Tensor, channels: int, dtype: torch.dtype) -> torch.Tensor:
    """Normals (4, channels, paths) of the four steps from `step`."""
    return normals_of_quad(key, Purpose.DIFFUSION, paths, step // STEPS_PER_COUNTER, channels, dtype)


@functools.cache
def _compiled_normals() -> Callable:
    """One for all problems; made when it is needed, for torch's compiler takes a second to import."""
    return torch.compile(_normals, fullgraph=True)


def _euler(dynamics, t, w, z, dt):
    if hasattr(dynamics, "f_and_g_prod"):
        drift, noise = dynamics.f_and_g_prod(t, w, z)
    else:
        drift, noise = dynamics.f(t, w), dynamics.g_prod(t, w, z)
    return w + drift * dt + noise * dt**0.5


def _heun(dynamics, t, w, z, dt):
    """Weak order 2 for additive noise: the drift is averaged over the step."""
    noise = dynamics.g_prod(t + 0.5 * dt, w, z) * dt**0.5
    drift = dynamics.f(t, w)
    return w + 0.5 * dt * (drift + dynamics.f(t + dt, w + drift * dt + noise)) + noise


def _may_cross(problem: EscapeProblem) -> Callable:
    """Whether a step from `before` to `after` (paths, dim) may cross: True for every one that does."""
    dynamics, region, reach = problem.dynamics, problem.state_region, reach_of(problem)
    if math.isfinite(reach):
        return lambda t, before, after: (torch.maximum(region.levels(before), region.levels(after)) >= -reach).any(-1)

    def variance(t: torch.Tensor, w: torch.Tensor, face: int) -> torch.Tensor:
        normal = region.normal(w, torch.full_like(w[:, 0], face, dtype=torch.int64))
        # 1e-4 more, so that rounding in float32 excludes nothing.
        return 1.0001 * problem.dt * dynamics.g_transpose_prod(t, w, normal).square().sum(-1)

    def may_cross(t: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        level0, level1 = region.levels(before), region.levels(after)
        possible = (level1 >= 0).any(-1)
        for face in range(region.faces):
            if problem.crossing == "bridge":
                exponent = 2.0 * level0[:, face] * level1[:, face]
                possible = possible | (exponent < NEGLIGIBLE_EXPONENT * variance(t, before, face))
            else:
                possible = possible | (level1[:, face] >= -shift_distance(variance(t + problem.dt, after, face)))
        return possible

    return may_cross


def _with_companions(advance: Advance, problem: EscapeProblem, w, paths, first_step: int, n_steps: int) -> Chunk:
    """The first path is taken along as often as needed, and left out of the result."""
    n, missing = len(w), FEWEST_PATHS - len(w)
    w, paths = torch.cat([w, w[:1].expand(missing, -1)]), torch.cat([paths, paths[:1].expand(missing)])
    states, suspects = advance(problem, w, paths, first_step, n_steps)
    return Chunk(states[:, :n], suspects[:n])


def _scalars(numbers: Iterable[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    """Made on the device: a copy to a GPU would wait for all that is under way there."""
    return tuple(torch.full((), number, device=device) for number in numbers)


def _paths_vary(tensor: torch.Tensor) -> torch.Tensor:
    """Tells torch.compile that the number of paths, on the last axis, changes from call to call."""
    torch._dynamo.maybe_mark_dynamic(tensor, tensor.ndim - 1)
    return tensor


def _own_code(function: Callable) -> Callable:
    """torch keeps what it compiled by code object, a few for each: a copy gives every problem a place of its own."""
    function.__code__ = function.__code__.replace()
    return function


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
