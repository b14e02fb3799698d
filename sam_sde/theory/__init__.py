"""What simulation is held against: closed forms and estimates that draw no random numbers."""

from sam_sde.theory.saddle_trap import perturbation_over_noise, trap_exponent

__all__ = ["perturbation_over_noise", "trap_exponent"]
