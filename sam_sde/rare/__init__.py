"""Escapes too rare to wait for: multilevel splitting inside a renewal cycle."""

from sam_sde.rare.measuring import KeptRepeats, measure
from sam_sde.rare.pilot import Plan
from sam_sde.rare.preparation import (
    FEWEST_REPEATS,
    FEWEST_WALKERS,
    REPEATS,
    WALKERS,
    RareRun,
    prepare_halved,
    prepare_rare,
)
from sam_sde.rare.result import RareResult
from sam_sde.rare.score import SCORES
from sam_sde.rare.settling import NotRareError
from sam_sde.rare.simulation import rare_escape_times
from sam_sde.rare.splitting import Repeat

__all__ = [
    "FEWEST_REPEATS",
    "FEWEST_WALKERS",
    "REPEATS",
    "SCORES",
    "WALKERS",
    "KeptRepeats",
    "NotRareError",
    "Plan",
    "RareResult",
    "RareRun",
    "Repeat",
    "measure",
    "prepare_halved",
    "prepare_rare",
    "rare_escape_times",
]
