"""Engines advance a block of paths until they leave, t_max, or failure."""

from sam_sde.engines.block import BlockResult, exits_in, last_finite_step, run_block
from sam_sde.engines.choice import (
    ENGINES,
    METHODS,
    asked_engine,
    choose_engine,
    default_method,
    fitting_engines,
    work_of,
)
from sam_sde.engines.compiled.engine import CannotCompileError
from sam_sde.engines.engine import Engine
from sam_sde.engines.half_steps import half_steps
from sam_sde.engines.integration import Advance, Chunk, Integration, integrate
from sam_sde.engines.problem import EscapeProblem

__all__ = [
    "ENGINES",
    "METHODS",
    "Advance",
    "BlockResult",
    "CannotCompileError",
    "Chunk",
    "Engine",
    "EscapeProblem",
    "Integration",
    "asked_engine",
    "choose_engine",
    "default_method",
    "exits_in",
    "fitting_engines",
    "half_steps",
    "integrate",
    "last_finite_step",
    "run_block",
    "work_of",
]
