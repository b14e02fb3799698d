"""How far noise takes an optimizer from a critical point: exact moments, and the published formulas beside them."""

from sam_sde.theory.displacement.expansion import Expansion, expand
from sam_sde.theory.displacement.formulas import (
    corollary_1,
    heavy_ball_displacement,
    theorem_2,
)
from sam_sde.theory.displacement.linear_arm import LinearArm, linear_arm
from sam_sde.theory.displacement.moments import Theory, theory_of

__all__ = [
    "Expansion",
    "LinearArm",
    "Theory",
    "corollary_1",
    "expand",
    "heavy_ball_displacement",
    "linear_arm",
    "theorem_2",
    "theory_of",
]
