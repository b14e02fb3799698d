"""The fast engine: the same steps as the torchsde engine's, with the same noise, compiled by torch.

A compiled function draws the normals of four steps, another one takes them and marks the paths that come near the
boundary; only those are looked at for exits. Problems whose steps differ in nothing but numbers are compiled once.
"""

import math

import torch

from sam_sde.engines.compiled.errors import CannotCompileError, first_line
from sam_sde.engines.compiled.layout import Layout
<<<<<<< HEAD
from sam_sde.engines.compiled.quads import FEWEST_PATHS, Functions, places_in, scalars
from sam_sde.engines.integration import Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.random import STEPS_PER_COUNTER
=======
from sam_sde.engines.engine import Engine
from sam_sde.engines.integration import Advance, Chunk, Integration
from sam_sde.random import MASK, STEPS_PER_COUNTER, Purpose, normals_of_quad
from sam_sde.regions.crossing import NEGLIGIBLE_EXPONENT, shift_distance
from sam_sde.surfaces import FiniteSum
>>>>>>> main

# What is missing, or is called in vain, where torch's internals are not those that this was written for.
OTHER_TORCH = (ImportError, AttributeError, TypeError)

# Coordinates of all paths in all steps from which compiling, twenty seconds the first time, is sooner done.
WORTH_COMPILING = 5e8


<<<<<<< HEAD
def compile_problem(problem: EscapeProblem, start: torch.Tensor) -> "CompiledSteps":
=======
class CannotCompileError(Exception):
    """The problem cannot be compiled; the message is the reason, in one line."""


def compile_problem(problem: Integration, start: torch.Tensor) -> Advance:
>>>>>>> main
    """A function that advances paths of this problem, compiled for the dtype and device of `start` (paths, dim).

    Raises
        CannotCompileError: the loss, the noise or the level function is nothing that torch's compiler understands, or
            there is no C++ compiler.
    """
    layout = Layout(start.shape[1], problem.dynamics.channels)
    try:
        functions = _functions(problem, start, layout)
    except CannotCompileError:
        raise
    except Exception as error:
        raise CannotCompileError(first_line(error)) from error
    return CompiledSteps(functions, layout, problem.stream.key, start)


@torch.no_grad()
def _functions(problem: EscapeProblem, start: torch.Tensor, layout: Layout) -> Functions:
    # Imported here, for these lead to torch's compiler, which takes a second to import, and to its internals.
    try:
        from sam_sde.engines.compiled.loops import functions_of

        return functions_of(problem, start, layout)
    except OTHER_TORCH as error:
        from sam_sde.engines.compiled.torch_compile import functions_of

        return functions_of(problem, start, layout, first_line(error))


class CompiledSteps:
    """Advances paths; way: how the steps were compiled, "by coordinates", "in rows", or another one and its reason."""

    def __init__(self, functions: Functions, layout: Layout, key: tuple[int, int], start: torch.Tensor):
        self.way = functions.way
        self._functions, self._layout, self._key = functions, layout, scalars(key, start.device)
        self._states = layout.empty(0, 0, like=start)
        self._paths = self._cells = None

    @torch.no_grad()
    def __call__(self, problem: EscapeProblem, w: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int):
        if len(w) < FEWEST_PATHS:
            return self._with_companions(problem, w, paths, first_step, n_steps)
        states = self._memory(w, math.ceil(n_steps / STEPS_PER_COUNTER) * STEPS_PER_COUNTER)
        if self._paths is not paths:
            self._paths, self._cells = paths, self._layout.cells(paths)
        states[0] = w
        nearest = torch.full_like(w[:, 0], -1.0)
        for k in range(0, n_steps, STEPS_PER_COUNTER):
<<<<<<< HEAD
            (step,) = scalars([first_step + k], w.device)
            z = self._layout.normals(self._functions.normals(*self._key, self._cells, step))
            places = places_in(self._layout, states[k + 1 : k + 1 + STEPS_PER_COUNTER])
            nearest = self._functions.quad(states[k], z, step, nearest, *places)
        return Chunk(states[: n_steps + 1], ~(nearest < 0))  # one that is not a number deserves a look
=======
            (step,) = _scalars([first_step + k], w.device)
            z = normals(*key, cells, step)
            if shared := (first_step + k) % STEPS_PER_COUNTER:  # two counters hold the normals of these steps
                z = torch.cat([z[shared:], normals(*key, cells, step + STEPS_PER_COUNTER)[:shared]])
            z = layout.normals(z)
            places = _places(layout, states[k + 1 : k + 1 + STEPS_PER_COUNTER])
            nearest = quad(states[k], z, step, nearest, *places)
        # One that is not a number deserves a look.
        return Chunk(states[: n_steps + 1], None if problem.state_region is None else ~(nearest < 0))
>>>>>>> main

    def _memory(self, w: torch.Tensor, n_steps: int) -> torch.Tensor:
        """For the states: what is new to a process takes longer to get than to fill."""
        shape = (n_steps + 1, *w.shape)
        if self._states.shape != shape:
            self._states = self._layout.empty(*shape[:2], like=w)
        return self._states

<<<<<<< HEAD
    def _with_companions(self, problem: EscapeProblem, w, paths, first_step: int, n_steps: int) -> Chunk:
        """The first path is taken along as often as needed, and left out of the result."""
        n, missing = len(w), FEWEST_PATHS - len(w)
        w, paths = torch.cat([w, w[:1].expand(missing, -1)]), torch.cat([paths, paths[:1].expand(missing)])
        states, suspects = self(problem, w, paths, first_step, n_steps)
        return Chunk(states[:, :n], suspects[:n])
=======

def _places(layout: Layout, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [part for state in states for part in layout.parts(state)]


def _compiled_quad(problem: Integration, start: torch.Tensor, layout: Layout) -> Callable:
    """Four steps of all paths: (w (paths, dim), normals, step, `nearest`, places for four states) to `nearest`."""
    from sam_sde.engines.compiled.recording import recorded  # it reaches into torch

    quad = _quad(problem)

    def examples(n_paths: int) -> tuple[torch.Tensor, ...]:
        numbers = torch.linspace(-1.0, 1.0, n_paths, dtype=start.dtype, device=start.device)
        (w,) = layout.empty(1, n_paths, like=start).copy_(start[:1] + 0.01 * numbers[:, None])
        z = layout.normals(numbers.repeat(STEPS_PER_COUNTER, layout.channels))
        return w, z, *_scalars([n_paths], start.device), numbers - 2.0

    with torch.no_grad():
        # A recording is free of vmap, under which some of torch's functions cannot do without a number of paths.
        operations = recorded(quad, examples, len(start), tolerance=100 * torch.finfo(start.dtype).eps)
        if operations is quad:
            raise CannotCompileError("what a step does depends on the number of paths, or on numbers read from tensors")

        def quad_in_place(w, z, step, nearest, *places):
            *states, nearest = operations(w, z, step, nearest)
            for place, part in zip(places, _places(layout, states), strict=True):
                place.copy_(part)
            return nearest

        places = _places(layout, layout.empty(STEPS_PER_COUNTER, FEWEST_PATHS, like=start))
        axes = (0, 1, None, 0, *(0 for _ in places))
        return _compiled(quad_in_place, (*examples(FEWEST_PATHS), *places), axes)


def _quad(problem: Integration) -> Callable:
    dynamics, dt, nearness = problem.dynamics, problem.dt, _nearness(problem)
    step_of = {"euler": _euler, "heun": _heun}[problem.method]

    def quad(w: torch.Tensor, z: torch.Tensor, step: torch.Tensor, nearest: torch.Tensor):
        """`nearest` (paths,) becomes 0 or more where a step may have crossed."""
        states = []
        for i in range(STEPS_PER_COUNTER):
            t, before = (step + i).double() * dt, w
            w = step_of(dynamics, t, before, z[i], dt)
            nearest = torch.maximum(nearest, nearness(t, before, w))
            states.append(w)
        return *states, nearest

    return quad


@functools.cache
def _compiled_normals(dtype: torch.dtype, device: torch.device) -> Callable:
    """Normals (4, cells) of the four steps from `step`; the same for all problems."""

    def normals(key0: torch.Tensor, key1: torch.Tensor, cells: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return normals_of_quad(
            (key0, key1), Purpose.DIFFUSION, cells & MASK, step // STEPS_PER_COUNTER, cells >> 32, dtype
        )

    key0, key1, step = _scalars([0, 0, 0], device)
    return _compiled(normals, (key0, key1, torch.arange(FEWEST_PATHS, device=device), step), (None, None, 0, None))


def _compiled(function: Callable, examples: tuple[torch.Tensor, ...], axes: tuple[int | None, ...]) -> Callable:
    from sam_sde.engines.compiled.compilation import compiled  # torch's compiler takes a second to import

    return compiled(function, examples, axes)


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


def _nearness(problem: Integration) -> Callable:
    """Of a step from `before` to `after` (paths, dim), a number (paths,): 0 or more for every one that crosses."""
    dynamics, region = problem.dynamics, problem.state_region
    if region is None:
        return lambda t, before, after: torch.full_like(before[:, 0], -1.0)
    reach = problem.reach
    if math.isfinite(reach):
        return lambda t, before, after: torch.maximum(region.levels(before), region.levels(after)).amax(-1) + reach

    def variance(t: torch.Tensor, w: torch.Tensor, face: int) -> torch.Tensor:
        normal = region.normal(w, torch.full_like(w[:, 0], face, dtype=torch.int64))
        # 1e-4 more, so that rounding in float32 excludes nothing.
        return 1.0001 * problem.dt * dynamics.g_transpose_prod(t, w, normal).square().sum(-1)

    def nearness(t: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        level0, level1 = region.levels(before), region.levels(after)
        possible = (level1 >= 0).any(-1)
        for face in range(region.faces):
            if problem.crossing == "bridge":
                exponent = 2.0 * level0[:, face] * level1[:, face]
                possible = possible | (exponent < NEGLIGIBLE_EXPONENT * variance(t, before, face))
            else:
                possible = possible | (level1[:, face] >= -shift_distance(variance(t + problem.dt, after, face)))
        return torch.where(possible, 1.0, -1.0).to(before)

    return nearness


def _with_companions(advance: Advance, problem: Integration, w, paths, first_step: int, n_steps: int) -> Chunk:
    """The first path is taken along as often as needed, and left out of the result."""
    n, missing = len(w), FEWEST_PATHS - len(w)
    w, paths = torch.cat([w, w[:1].expand(missing, -1)]), torch.cat([paths, paths[:1].expand(missing)])
    states, suspects = advance(problem, w, paths, first_step, n_steps)
    return Chunk(states[:, :n], None if suspects is None else suspects[:n])


def _scalars(numbers: Iterable[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    """Made on the device: a copy to a GPU would wait for all that is under way there."""
    return tuple(torch.full((), number, device=device) for number in numbers)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _without_data(integration: Integration) -> bool:
    """A sum over samples takes its time either way, and is slow to compile."""
    return not any(isinstance(getattr(part, "surface", None), FiniteSum) for part in integration.dynamics.parts)


ENGINE = Engine(
    prepare=compile_problem,
    methods={"additive": ("euler", "heun"), "diagonal": ("euler",), "general": ("euler",)},
    suits=_without_data,
    worth_from=WORTH_COMPILING,
    chunk_unit=STEPS_PER_COUNTER,
)
>>>>>>> main
