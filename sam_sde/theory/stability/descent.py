"""The algorithm without noise, from many starts at once; and the ρ from which on a start is trapped."""

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sam_sde import checks
from sam_sde.dynamics import Dynamics, Minibatch, PerturbedSGD, times
from sam_sde.dynamics.schedules import factor_at
from sam_sde.errors import ArgumentError
from sam_sde.theory.stability.arms import is_normalized, require_arm
from sam_sde.theory.stability.points import MOST_COORDINATES, critical_point_at

LOOK_EVERY = 100  # steps
STILL = 1e-12  # a path that moves by no more in two steps, relative to 1+‖w‖, is at rest, or steps to and fro
FAR = 1e8  # where a path is lost

AT_ONCE = 32  # radii that are tried together: each pass narrows the interval by as much
NARROWEST = 1e-12
LATE = 0.9  # of the time, after which a path that is trapped still comes nearer


@torch.no_grad()
def descend(dynamics: Dynamics, start: Tensor, n_steps: int, *, together: bool = False) -> Tensor:
    """The weights (paths, dim) after n_steps of the algorithm from `start` (paths, dim), in float64 and without noise.

    A path that is at rest takes no more steps; one that is lost, at infinity, is NaN. together: all paths take all
    steps, as where the optimizer holds something for each.
    """
    state = dynamics.initial_state(start, start.new_zeros(len(start), dynamics.channels))
    ends, place = state.clone(), torch.arange(len(state))
    before, last = state, state
    for step in range(n_steps):
        now = dynamics.active(step * dynamics.lr)
        gradient = now.surface.gradient
        t = times(step * dynamics.lr, state)
        before, last, state = last, state, now.step(t, state, [Minibatch(gradient, gradient, gradient)])
        if step % LOOK_EVERY == LOOK_EVERY - 1 and not together:
            lost = ~(state.abs() < FAR).all(-1)
            over = lost | (_is_still(before, state) & (now is dynamics.active(math.inf)))
            ends[place] = torch.where(lost[:, None], torch.nan, state)
            place, state, last = place[~over], state[~over], last[~over]
            if not len(place):
                break
    ends[place] = torch.where((state.abs() < FAR).all(-1, keepdim=True), state, torch.nan)
    return dynamics.weights(ends)


def _is_still(before: Tensor, state: Tensor) -> Tensor:
    """Which paths (paths,) no longer move."""
    return (state - before).norm(dim=-1) <= STILL * (1.0 + state.norm(dim=-1))


def critical_rho(
    dynamics: Dynamics,
    start: Sequence[float],
    at: Sequence[float],
    *,
    t_max: float,
    low: float = 0.0,
    high: float = 1.0,
    tolerance: float = 1e-4,
) -> float:
    """The ρ from which on the algorithm, without noise, is trapped at a point that it passes: to `tolerance`.

    dynamics: SAM, USAM or another optimizer with a radius, whose own ρ does not count. start, at (dim,): where it
    begins, and the saddle. Normalized SAM is trapped where it is less than ρ/2 from the saddle at t_max (t = lr ·
    steps), for at the distance ρ it can stall on the edge of the trap; others where they are nearer than at the start
    and at 0.9 t_max. low, high: where ρ is searched for. Many are tried at once, and the smallest one that is trapped
    is refined.

    Raises
        ValueError: a value out of its range, an optimizer without ρ, a start at the saddle, or none there; `low` traps
            already, or no ρ up to `high` does.
    """
    arm = require_arm(dynamics)
    if not isinstance(arm, PerturbedSGD) or not hasattr(arm, "rho"):
        raise ArgumentError("dynamics", f"expected one with a radius such as SAM(...), got {type(dynamics).__name__}")
    start, at = (checks.vector(name, point, arm.dim) for name, point in (("start", start), ("at", at)))
    n_steps = math.ceil(checks.positive("t_max", t_max) / arm.lr * (1 - NARROWEST))
    low, tolerance = checks.non_negative("low", low), checks.positive("tolerance", tolerance)
    if checks.positive("high", high) <= low:
        raise ArgumentError("high", f"expected more than low = {low:g}, got {high:g}")
    if arm.dim <= MOST_COORDINATES:
        at = torch.from_numpy(critical_point_at(arm.surface, at.numpy(), "at").location)
    if (start == at).all():
        raise ArgumentError("start", f"expected another point than the saddle itself, got {checks.shown(at.tolist())}")
    while True:
        radii = np.linspace(low, high, 1 + min(AT_ONCE, math.ceil((high - low) / tolerance)))
        trapped = _trapped(arm, radii, start, at, n_steps)
        if not trapped.any():
            raise ArgumentError("high", f"expected a radius that traps, and none up to {high:g} does; try a larger one")
        if trapped[0]:
            raise ArgumentError("low", f"expected a radius that does not trap, got {low:g}; try a smaller one")
        first = int(trapped.argmax())
        low, high = radii[first - 1], radii[first]
        if high - low <= max(tolerance, NARROWEST * high):
            return float(0.5 * (low + high))


def _trapped(dynamics: PerturbedSGD, radii: np.ndarray, start: Tensor, at: Tensor, n_steps: int) -> np.ndarray:
    """Whether each of the radii traps."""
    factors = torch.from_numpy(radii)[:, None]
    perturbation, schedule = copy.copy(dynamics.perturbation), dynamics.rho_schedule
    perturbation.rho = 1.0
    swept = copy.copy(dynamics)
    swept.perturbation = perturbation
    swept.rho_schedule = lambda t: factors * factor_at(schedule, t, factors)
    begin = start.expand(len(radii), -1).contiguous()

    def distance(steps: int) -> Tensor:
        return (descend(swept, begin, steps, together=True) - at).norm(dim=-1)

    end = distance(n_steps)
    if is_normalized(dynamics):
        return (end < 0.5 * factors[:, 0]).numpy()
    return ((end < (start - at).norm()) & (end < distance(math.floor(LATE * n_steps)))).numpy()
