"""Where an optimizer can end: critical points, which of them attract it, and from where; no random numbers."""

from sam_sde.theory.stability.arms import Stability, stability
from sam_sde.theory.stability.basins import ends_of, shares
from sam_sde.theory.stability.descent import critical_rho
from sam_sde.theory.stability.linear import admitted, rho_threshold
from sam_sde.theory.stability.points import Critical, critical_points
from sam_sde.theory.stability.stalls import Stall, stalls

__all__ = [
    "Critical",
    "Stability",
    "Stall",
    "admitted",
    "critical_points",
    "critical_rho",
    "ends_of",
    "rho_threshold",
    "shares",
    "stability",
    "stalls",
]
