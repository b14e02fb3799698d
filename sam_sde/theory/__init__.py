"""What simulation is held against: closed forms and estimates that draw no random numbers."""

from sam_sde.theory.displacement.formulas import heavy_ball_displacement
from sam_sde.theory.heavy_ball import lost_damping
from sam_sde.theory.saddle_trap import perturbation_over_noise, trap_exponent

__all__ = ["heavy_ball_displacement", "lost_damping", "perturbation_over_noise", "trap_exponent"]
