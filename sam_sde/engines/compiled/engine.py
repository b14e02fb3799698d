"""The fast engines: the same steps as those of torchsde and of the algorithm, with the same noise, compiled by torch.

A compiled function draws the normals of four steps, another one takes them and marks the paths that come near the
boundary; only those are looked at for exits. Problems whose steps differ in nothing but numbers are compiled once.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch

from sam_sde.engines.compiled.errors import CannotCompileError, first_line
from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.memory import Memory
from sam_sde.engines.compiled.minibatch_steps import SAMPLES_AT_ONCE
from sam_sde.engines.compiled.on_data import MOST_RECORDED, StepsOnData, fits_in_memory
from sam_sde.engines.compiled.quads import FEWEST_PATHS, Functions, scalars, with_companions
from sam_sde.engines.compiled.steps import algorithm_step_of, step_of
from sam_sde.engines.compiled.sums import SDEOnData
from sam_sde.engines.discrete import engine as discrete
from sam_sde.engines.engine import Engine
from sam_sde.engines.integration import NOISE_TYPES, Advance, Chunk, Integration
from sam_sde.engines.methods import INCREMENTS
from sam_sde.errors import ArgumentError
from sam_sde.noise import EmpiricalNoise
from sam_sde.random import STEPS_PER_COUNTER
from sam_sde.surfaces import FiniteSum

# Coordinates of all paths in all steps from which compiling, twenty seconds the first time, is sooner done. With data
# counted as `choose_engine` does.
WORTH_COMPILING = 5e8

# What is missing, or is called in vain, where torch's internals are not those that this was written for.
OTHER_TORCH = (ImportError, AttributeError, TypeError)


def compile_problem(problem: Integration, start: torch.Tensor) -> Advance:
    """A function that advances paths of this problem, compiled for the dtype and device of `start` (paths, dim).

    Raises
        CannotCompileError: the loss, the noise or the level function is nothing that torch's compiler understands, or
            there is no C++ compiler.
    """
    with _telling_why_not():
        if _in_one_recording(problem):
            return _compiled_steps(problem, start, step_of)
        return _compiled_sums(problem, start)


def _compiled_steps(problem: Integration, start: torch.Tensor, step_of: Callable) -> "CompiledSteps":
    layout = Layout(start.shape[1], problem.dynamics.channels)
    functions = _functions(problem, step_of(problem), start, layout)
    return CompiledSteps(functions, layout, problem.stream.key, start)


@contextmanager
def _telling_why_not() -> Iterator[None]:
    """Whatever is raised is raised as CannotCompileError, with its first line."""
    try:
        yield
    except CannotCompileError:
        raise
    except Exception as error:
        raise CannotCompileError(first_line(error)) from error


@torch.no_grad()
def _functions(problem: Integration, take: Callable, start: torch.Tensor, layout: Layout) -> Functions:
    # Imported here, for these lead to torch's compiler, which takes a second to import, and to its internals.
    try:
        from sam_sde.engines.compiled.loops import functions_of

        return functions_of(problem, take, start, layout)
    except OTHER_TORCH as error:
        from sam_sde.engines.compiled.torch_compile import functions_of

        return functions_of(problem, take, start, layout, first_line(error))


def _in_one_recording(problem: Integration) -> bool:
    """Whether a step, with the gradients of all samples of data, is short enough for that."""
    return all(part.n_samples <= SAMPLES_AT_ONCE for part in _data_of(problem))


@torch.no_grad()
def _compiled_sums(problem: Integration, start: torch.Tensor) -> SDEOnData:
    from sam_sde.engines.compiled.loops import sum_of_level_of, weighted_gradients_of

    options = {"start": start, "n_paths": max(FEWEST_PATHS, min(len(start), MOST_RECORDED))}
    functions = (partial(function, **options) for function in (weighted_gradients_of, sum_of_level_of))
    return SDEOnData(problem, start, *functions)


class CompiledSteps:
    """Advances paths; way: how the steps were compiled, "by coordinates", "in rows", or another one and its reason.

    Several threads may use it at a time.
    """

    def __init__(self, functions: Functions, layout: Layout, key: tuple[int, int], start: torch.Tensor):
        self.way = functions.way
        self._functions, self._layout, self._key = functions, layout, scalars(key, start.device)
        self._memory = Memory(layout, start[:0].clone())

    @torch.no_grad()
    def __call__(self, problem: Integration, w: torch.Tensor, paths: torch.Tensor, first_step: int, n_steps: int):
        if len(w) < FEWEST_PATHS:
            return with_companions(self, problem, w, paths, first_step, n_steps)
        anchor, states, places = self._memory.states(len(w), math.ceil(n_steps / STEPS_PER_COUNTER))
        cells, shared = self._memory.cells(paths), first_step % STEPS_PER_COUNTER
        anchor[:] = w
        states[0] = w - anchor
        nearest = torch.full_like(anchor[:, 0], -1.0)
        for quad, (before, after) in enumerate(places):
            (step,) = scalars([first_step + STEPS_PER_COUNTER * quad], w.device)
            z = self._layout.normals(self._normals(cells, step, shared))
            nearest = self._functions.quad(anchor, before, z, step, nearest, *after)
        # One that is not a number deserves a look.
        suspects = None if problem.state_region is None else ~(nearest < 0)
        return Chunk(states[: n_steps + 1], states.dtype, anchor, suspects)

    def _normals(self, cells: torch.Tensor, step: torch.Tensor, shared: int) -> torch.Tensor:
        """Of four steps from `step` on (4, cells); two counters hold them where the first has `shared` steps before."""
        z = self._functions.normals(*self._key, cells, step)
        if not shared:
            return z
        following = self._functions.normals(*self._key, cells, step + STEPS_PER_COUNTER)
        return torch.cat([z[shared:], following[:shared]])


def _data_of(integration: Integration) -> list[FiniteSum]:
    """The losses over data that its optimizers descend."""
    surfaces = [getattr(part, "surface", None) for part in integration.dynamics.parts]
    return [surface for surface in surfaces if isinstance(surface, FiniteSum)]


def _without_data(integration: Integration) -> bool:
    return not _data_of(integration)


def _suits_sde(integration: Integration) -> bool:
    """Of a few samples the recording of a step has each operation, and is slow to compile."""
    return _without_data(integration) or not _in_one_recording(integration)


ENGINE = Engine(
    prepare=compile_problem,
    methods=dict.fromkeys(NOISE_TYPES, tuple(INCREMENTS)),
    suits=_suits_sde,
    worth_from=WORTH_COMPILING,
    longest_chunk=128,
    chunk_unit=STEPS_PER_COUNTER,
    in_threads=True,
)


def compile_algorithm(problem: Integration, start: torch.Tensor) -> Advance:
    """As `compile_problem`, of the optimizer's own steps, on a formula or on data."""
    with _telling_why_not():
        if _takes_samples(problem):
            return _compiled_on_data(problem, start)
        return _compiled_steps(problem, start, algorithm_step_of)


@torch.no_grad()
def _compiled_on_data(problem: Integration, start: torch.Tensor) -> StepsOnData:
    from sam_sde.engines.compiled.loops import draw_on, minibatch_functions_of, sum_of_level_of

    return StepsOnData(problem, start, minibatch_functions_of, sum_of_level_of, draw_on(start.device))


def check_algorithm(integration: Integration) -> None:
    """Raises ArgumentError where it is none of an algorithm, or has other minibatches than are compiled."""
    discrete.check(integration)
    if not (_takes_samples(integration) or _is_formula(integration)):
        raise ArgumentError(
            "engine",
            "'compiled_discrete' has minibatches of data's samples, or one a step with Gaussian noise on a formula, "
            "not Gaussian noise on data or in micro-batches; try 'discrete'",
        )


def _takes_samples(integration: Integration) -> bool:
    return all(isinstance(part.noise, EmpiricalNoise) for part in integration.dynamics.parts)


def _is_formula(integration: Integration) -> bool:
    return _without_data(integration) and all(map(discrete.is_gaussian, integration.dynamics.parts))


def _suits_algorithm(integration: Integration) -> bool:
    if _takes_samples(integration):
        return all(map(fits_in_memory, integration.dynamics.parts))
    return _is_formula(integration)


ALGORITHM = replace(
    ENGINE,
    prepare=compile_algorithm,
    methods=discrete.ENGINE.methods,
    of_sde=False,
    check=check_algorithm,
    default_crossing="none",
    suits=_suits_algorithm,
)
