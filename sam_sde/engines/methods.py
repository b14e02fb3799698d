"""The methods of integration that both engines for SDEs have, as what a step adds to the state.

With z standard normal, Δ = dt and t' = t + Δ/2, in Itô's sense:

    euler  w + b(t, w) Δ + g(t, w) z √Δ
    heun   w + ½ (b(t', w) + b(t', w̃)) Δ + g(t', w) z √Δ, where w̃ = w + b(t', w) Δ + g(t', w) z √Δ

heun sees where the drift jumps, as SAM's does by 2ρ|λ| at a critical point, and averages over the jump. Its g is that
of the state at the start of the step, so that it stays consistent in Itô's sense for noise that depends on the state,
with the weak order 1 (Kloeden and Platen, "Numerical Solution of Stochastic Differential Equations", section 15.5); for
additive noise the order is 2.
"""

from collections.abc import Callable

import torch

from sam_sde.dynamics import Dynamics, Time, covers, times
from sam_sde.layout import in_columns

# (optimizer, t, w (paths, state_dim), z (paths, channels), dt) to what drift and noise add, (paths, state_dim) each.
Increments = Callable[[Dynamics, Time, torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


def euler(dynamics: Dynamics, t: Time, w: torch.Tensor, z: torch.Tensor, dt: float):
    drift, noise = _drift_and_noise(dynamics, times(t, w), w, z)
    return drift * dt, noise * dt**0.5


def heun(dynamics: Dynamics, t: Time, w: torch.Tensor, z: torch.Tensor, dt: float):
    middle = times(t + 0.5 * dt, w)
    drift, noise = _drift_and_noise(dynamics, middle, w, z)
    drift, noise = drift * dt, noise * dt**0.5
    return 0.5 * (drift + dt * dynamics.f(middle, in_columns(w + drift + noise))), noise


def _drift_and_noise(dynamics: Dynamics, t: torch.Tensor, w: torch.Tensor, z: torch.Tensor):
    if hasattr(dynamics, "f_and_g_prod") and covers(dynamics, "f_and_g_prod", "f", "g_prod"):
        return dynamics.f_and_g_prod(t, w, z)
    return dynamics.f(t, w), dynamics.g_prod(t, w, z)


def increments(method: str, dynamics: Dynamics, t: Time, w: torch.Tensor, z: torch.Tensor, dt: float):
    """Of a step that begins at time t, all of it by the optimizer that is active then."""
    return dynamics.choose(t, lambda active: INCREMENTS[method](active, t, w, z[:, : active.channels], dt))


INCREMENTS: dict[str, Increments] = {"euler": euler, "heun": heun}
