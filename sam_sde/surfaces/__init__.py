"""Loss surfaces: a loss of one weight vector, and its derivatives for many paths at once."""

from sam_sde.surfaces.closed_forms import (
    beale,
    himmelblau,
    monkey_saddle,
    muller_brown,
    rosenbrock,
    scalar_factorization,
    styblinski_tang,
)
from sam_sde.surfaces.expressions import expression_surface
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.python_file import python_surface
from sam_sde.surfaces.registry import SURFACES
from sam_sde.surfaces.separable import double_well, embedded_saddle, quadratic
from sam_sde.surfaces.surface import CriticalPoint, LossSurface, require_surface

__all__ = [
    "SURFACES",
    "CriticalPoint",
    "FiniteSum",
    "LossSurface",
    "beale",
    "double_well",
    "embedded_saddle",
    "expression_surface",
    "himmelblau",
    "monkey_saddle",
    "muller_brown",
    "python_surface",
    "quadratic",
    "require_surface",
    "rosenbrock",
    "scalar_factorization",
    "styblinski_tang",
]
