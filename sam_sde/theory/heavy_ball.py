"""The heavy ball near a critical point: whether a step of Euler resolves it."""

import torch

from sam_sde.dynamics import GradientDynamics
from sam_sde.theory.curvature import spectrum_at


def lost_damping(dynamics: GradientDynamics, at: torch.Tensor, dt: float) -> float | None:
    """dt·‖H‖/(1-γ): the fraction by which a step of Euler changes the damping 1-γ of an underdamped heavy ball.

    Euler's step takes w along the old velocity, and the determinant of (w, v) becomes 1 - ((1-γ) - λ dt) dt/η. The
    scheme is unstable at a minimum where the fraction reaches 1, while the algorithm itself, which takes w along the
    new velocity, is not. `at` (dim,) is the point of the Hessian H.

    None for other dynamics, and where there is no finite Hessian.
    """
    if not isinstance(dynamics, GradientDynamics) or dynamics.state_dim == dynamics.dim:
        return None
    spectrum = spectrum_at(dynamics.surface, at)
    if spectrum is None:
        return None
    curvature = spectrum[0].abs().max().item() + dynamics.weight_decay
    return dt * curvature / (1.0 - dynamics.momentum)
