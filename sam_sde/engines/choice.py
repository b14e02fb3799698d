"""The engines by name, and which of them suits a problem."""

from sam_sde import checks
from sam_sde.dynamics import Dynamics, PerturbedSGD
from sam_sde.engines import torchsde_engine
from sam_sde.engines.compiled import engine as compiled_engine
from sam_sde.engines.discrete import engine as discrete_engine
from sam_sde.engines.engine import Engine
from sam_sde.engines.problem import EscapeProblem
from sam_sde.errors import ArgumentError
from sam_sde.noise import EmpiricalNoise
from sam_sde.surfaces import FiniteSum

ENGINES = {
    "torchsde": torchsde_engine.ENGINE,
    "compiled": compiled_engine.ENGINE,
    "discrete": discrete_engine.ENGINE,
    "compiled_discrete": compiled_engine.ALGORITHM,
}

SDE_ENGINES = [name for name, engine in ENGINES.items() if engine.of_sde]
# What may be taken where one is asked for; any other is itself.
ONE_OF = {"auto": SDE_ENGINES, "discrete": [name for name, engine in ENGINES.items() if not engine.of_sde]}

NOISE_WORDS = {
    "additive": "constant noise",
    "diagonal": "diagonal noise",
    "general": "noise that depends on the state",
}

# How many samples take with a coordinate the time that one takes in a step on a formula.
SAMPLES_AS_A_STEP = 40

GRADIENT_TO_LOSS = 2  # in time

# In coordinates: what torch takes to be called for a step of a block, however few paths are in it.
CALLS_OF_A_STEP = 2**15

METHODS = tuple(dict.fromkeys(m for engine in ENGINES.values() for ms in engine.methods.values() for m in ms))


def asked_engine(engine: str) -> Engine:
    """The engine that is asked for; for "auto", before it is chosen, the first one for SDEs, as any choice will be.

    Raises ValueError for an unknown one.
    """
    name = checks.one_of("engine", engine, ("auto", *ENGINES))
    return ENGINES[SDE_ENGINES[0] if name == "auto" else name]


def default_method(engine: str) -> str:
    """The method of an integration of which none is said."""
    return "heun" if asked_engine(engine).of_sde else "euler"


def choose_engine(engine: str, problem: EscapeProblem, n_paths: int) -> str:
    """The name of the engine; "auto" is one for SDEs that knows the method, "discrete" one for algorithms.

    Of several it is the one that takes the longest to prepare, where the work is worth that and the problem suits it.

    Raises
        ValueError: an unknown engine or method, a method that does not integrate the noise, or a problem that the
            engine was not made for.
    """
    asked_engine(engine).check(problem)
    fitting = fitting_engines(engine, problem)
    work = work_of(problem, n_paths, asked_engine(engine).of_sde) + problem.n_steps * CALLS_OF_A_STEP
    worth = {name: ENGINES[name].worth_from for name in fitting}
    paying = [name for name in fitting if work >= worth[name] and ENGINES[name].suits(problem)]
    chosen = max(paying, key=worth.get) if paying else min(fitting, key=worth.get)
    ENGINES[chosen].check(problem)
    return chosen


def work_of(problem: EscapeProblem, n_paths: int, of_sde: bool) -> float:
    """Coordinates of all paths in all steps; of data as many as take the time of the samples."""
    samples = max(_samples_of_a_step(part, of_sde) for part in problem.dynamics.parts) + _samples_of_a_look(problem)
    return n_paths * problem.n_steps * problem.dynamics.dim * max(1.0, samples / SAMPLES_AS_A_STEP)


def _samples_of_a_step(dynamics: Dynamics, of_sde: bool) -> int:
    """Of how many samples the SDE, or the algorithm, takes the gradients in a step; 0 on a formula."""
    surface, noise = getattr(dynamics, "surface", None), getattr(dynamics, "noise", None)
    perturbed = isinstance(dynamics, PerturbedSGD)
    if of_sde:
        return (2 if perturbed else 1) * surface.n_samples if isinstance(surface, FiniteSum) else 0
    if not isinstance(noise, EmpiricalNoise):
        return 0
    if not perturbed:
        return dynamics.batch_size
    return dynamics.batch_size + (noise.n_samples if dynamics.ascent == "full" else dynamics.batch_size)


def _samples_of_a_look(problem: EscapeProblem) -> float:
    """As many as have their gradients taken in the time of the looks at a region on their loss, for each step."""
    surface, every = getattr(problem.region, "looked_at", None), problem.region.every
    return surface.n_samples / (GRADIENT_TO_LOSS * every) if isinstance(surface, FiniteSum) else 0.0


def fitting_engines(engine: str, problem: EscapeProblem) -> list[str]:
    """The engines that have the method for the noise: the one asked for, or some of `ONE_OF` it."""
    method, noise_type = checks.one_of("method", problem.method, METHODS), problem.dynamics.noise_type
    candidates = ONE_OF.get(engine, [engine])
    fitting = [name for name in candidates if method in ENGINES[name].methods[noise_type]]
    if not fitting:
        others = {m: None for name in candidates for m in ENGINES[name].methods[noise_type]}
        raise ArgumentError(
            "method",
            f"{method!r} does not integrate {NOISE_WORDS[noise_type]}"
            + ("" if engine == "auto" else f" with engine {engine!r}")
            + f"; try {' or '.join(map(repr, others))}",
        )
    return fitting
