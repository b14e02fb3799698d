"""Where an optimizer can end: critical points, which of them attract it, and from where; no random numbers."""

from sam_sde.theory.stability.arms import Stability, stability
from sam_sde.theory.stability.linear import admitted, rho_threshold
from sam_sde.theory.stability.points import Critical, critical_points

__all__ = ["Critical", "Stability", "admitted", "critical_points", "rho_threshold", "stability"]
