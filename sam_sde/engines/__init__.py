"""Engines advance a block of paths until they leave, t_max, or failure."""

from sam_sde.engines.block import BlockResult, run_block
from sam_sde.engines.choice import ENGINES, METHODS, Engine, choose_engine
from sam_sde.engines.compiled.engine import CannotCompileError
from sam_sde.engines.integration import Advance, Chunk
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
    "choose_engine",
    "run_block",
]
