"""The engines by name, what each accepts, and which of them suits a problem."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sam_sde import checks
from sam_sde.dynamics.discrete import require_sde
from sam_sde.engines import torchsde_engine
from sam_sde.engines.compiled import engine as compiled_engine
from sam_sde.engines.discrete import engine as discrete_engine
from sam_sde.engines.integration import Advance
from sam_sde.engines.problem import EscapeProblem
from sam_sde.errors import ArgumentError
from sam_sde.random import STEPS_PER_COUNTER
from sam_sde.surfaces import FiniteSum

SMALLEST_BLOCK = 64

# A GPU has room and use for many more paths at a time than a processor's cache: 33 states of 2^24 numbers are 2 GB.
LARGER_ON_GPU = 2**7

# Coordinates of all paths in all steps from which compiling, twenty seconds the first time, is sooner done.
WORTH_COMPILING = 5e8


@dataclass(frozen=True)
class Engine:
    """A way to advance paths.

    prepare: from a problem and its start (paths, dim) to a function that advances it.
    methods: those it integrates each type of noise with; none where it integrates no SDE.
    chunk: steps between two looks for exits, a multiple of chunk_unit.
    block_coordinates, largest_block: how many paths go together.
    """

    prepare: Callable[[EscapeProblem, torch.Tensor], Advance]
    methods: dict[str, tuple[str, ...]]
    chunk: int
    chunk_unit: int
    block_coordinates: int
    largest_block: int

    def block_size(self, numbers: int, paths_per_worker: int, on_gpu: bool) -> int:
        """Few large blocks, yet one for each worker, of paths with so many `numbers` each."""
        larger = LARGER_ON_GPU if on_gpu else 1
        fitting = min(self.largest_block * larger, self.block_coordinates * larger // numbers)
        return max(SMALLEST_BLOCK, min(fitting, paths_per_worker))


ENGINES = {
    # A step should be long beside the time that torch takes to be called.
    "torchsde": Engine(
        prepare=torchsde_engine.prepare,
        methods={
            "additive": ("euler", "milstein", "srk"),
            "diagonal": ("euler", "milstein", "srk"),
            "general": ("euler",),
        },
        chunk=32,
        chunk_unit=1,
        block_coordinates=2**17,
        largest_block=2**16,
    ),
    # A few larger arrays cost less than many calls, although they do not stay in a processor's fastest cache.
    "compiled": Engine(
        prepare=compiled_engine.compile_problem,
        methods={"additive": ("euler", "heun"), "diagonal": ("euler",), "general": ("euler",)},
        chunk=32,
        chunk_unit=STEPS_PER_COUNTER,
        block_coordinates=2**17,
        largest_block=2**16,
    ),
    "discrete": Engine(
        prepare=discrete_engine.prepare,
        methods={},
        chunk=32,
        chunk_unit=1,
        block_coordinates=2**17,
        largest_block=2**16,
    ),
}

SDE_ENGINES = [name for name, engine in ENGINES.items() if engine.methods]

NOISE_WORDS = {
    "additive": "constant noise",
    "diagonal": "diagonal noise",
    "general": "noise that depends on the state",
}

METHODS = tuple(dict.fromkeys(m for engine in ENGINES.values() for ms in engine.methods.values() for m in ms))


def choose_engine(engine: str, problem: EscapeProblem, n_paths: int) -> str:
    """The name of the engine; "auto" is the compiled one where it knows the method and the work is worth compiling.

    For a loss over data it is torchsde's, which takes as many steps a second.

    Raises
        ValueError: an unknown engine or method, a method that does not integrate the noise, or a problem that the
            engine was not made for.
    """
    if checks.one_of("engine", engine, ("auto", *ENGINES)) == "discrete":
        discrete_engine.check_problem(problem)
        return engine
    require_sde(problem.dynamics)
    method, noise_type = checks.one_of("method", problem.method, METHODS), problem.dynamics.noise_type
    candidates = SDE_ENGINES if engine == "auto" else [engine]
    fitting = [name for name in candidates if method in ENGINES[name].methods[noise_type]]
    if not fitting:
        others = {m: None for name in candidates for m in ENGINES[name].methods[noise_type]}
        raise ArgumentError(
            "method",
            f"{method!r} does not integrate {NOISE_WORDS[noise_type]}"
            + ("" if engine == "auto" else f" with engine {engine!r}")
            + f"; try {' or '.join(map(repr, others))}",
        )
    if len(fitting) == 2:
        if isinstance(getattr(problem.dynamics, "surface", None), FiniteSum):
            return "torchsde"  # the sum over samples takes its time either way, and is slow to compile
        work = n_paths * problem.n_steps * problem.dynamics.dim
        return "compiled" if work >= WORTH_COMPILING else "torchsde"
    return fitting[0]
