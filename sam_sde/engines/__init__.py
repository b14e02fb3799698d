"""Engines advance a block of paths until they leave, t_max, or failure."""

from sam_sde.engines import torchsde_engine
from sam_sde.engines.block import BlockResult, run_block
from sam_sde.engines.problem import METHODS, EscapeProblem

# The engines by name, each a function that advances a block by a chunk of steps; "auto" is the first.
ENGINES = {"torchsde": torchsde_engine.advance}

__all__ = ["ENGINES", "METHODS", "BlockResult", "EscapeProblem", "run_block"]
