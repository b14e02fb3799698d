"""What the states are in which paths ended: minima, saddles, stalls of SAM, or places on the way."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sam_sde import checks
from sam_sde.dynamics import Dynamics, GradientDynamics, Switch
from sam_sde.dynamics.schedules import AFTER
from sam_sde.errors import ArgumentError
from sam_sde.statistics import outcome_words
from sam_sde.theory.curvature import Curvature, curvature, paths_at_once

STATES = ("minimum", "saddle", "stalled", "moving")

NOISE_WIDTH = 3.0  # standard deviations
ROUNDING = 8.0  # roundings of the state's numbers


class Ended(NamedTuple):
    """How paths ended, row by row: weights then and at the start (paths, dim), time (paths,) and outcome (paths,).

    t_max, dt: of their run. rounding: the relative rounding ε of the weights. device: where to compute.
    """

    points: np.ndarray
    starts: Tensor
    times: np.ndarray
    outcome: np.ndarray
    t_max: float
    dt: float
    rounding: float
    device: torch.device


def end_states(dynamics: Dynamics, ended: Ended, tolerance: float = 1e-3) -> pd.DataFrame:
    """The paths, each judged where it ended; see `EscapeResult.ends`."""
    tolerance = checks.non_negative("tolerance", tolerance)
    blocks = []
    for part, paths in _optimizers(dynamics, np.arange(len(ended.times)), ended.times):
        at_once = paths_at_once(part.surface, part.noise)
        some = np.split(paths, range(at_once, len(paths), at_once))
        blocks += [_judged(part, ended, block, tolerance) for block in some if len(block)]
    return pd.concat(blocks).sort_values("path", ignore_index=True)


def check_ends(dynamics: Dynamics, start: Tensor) -> None:
    """Raises ArgumentError where end states could not be judged, found out at a point `start` (1, dim)."""
    for part, _ in _optimizers(dynamics, np.zeros(1, dtype=int), np.zeros(1)):
        try:
            _measured(part, start, start.new_zeros(1))
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise ArgumentError(
                "ends",
                f"expected a loss with second derivatives in double precision, got {type(error).__name__} "
                f"at the start: {said}",
            ) from error


def _optimizers(dynamics: Dynamics, paths: np.ndarray, times: np.ndarray) -> list[tuple[GradientDynamics, np.ndarray]]:
    """The optimizers that made the last steps, each with its paths."""
    if isinstance(dynamics, Switch):
        late = AFTER * times[paths] > dynamics.at
        return _optimizers(dynamics.first, paths[~late], times) + _optimizers(dynamics.second, paths[late], times)
    if not isinstance(dynamics, GradientDynamics):
        raise ArgumentError(
            "ends",
            f"expected an optimizer on a surface such as SGD(...) or SAM(...), got {type(dynamics).__name__}; "
            "without a loss there is no gradient to judge its states by",
        )
    return [(dynamics, paths)]


class _Measured(NamedTuple):
    """What is known of end states w (paths, dim), with gradients at w and at w^p, and the curvature at w."""

    w: Tensor
    perturbed: Tensor
    gradient: Tensor
    perturbed_gradient: Tensor
    here: Curvature

    @property
    def norms(self) -> tuple[Tensor, Tensor]:
        """‖∇ℓ(w)‖ and ‖∇ℓ(w^p)‖ (paths,)."""
        return self.gradient.norm(dim=-1), self.perturbed_gradient.norm(dim=-1)


def _judged(dynamics: GradientDynamics, ended: Ended, paths: np.ndarray, tolerance: float) -> pd.DataFrame:
    w = torch.as_tensor(ended.points[paths], dtype=torch.float64, device=ended.device)
    time = torch.as_tensor(ended.times[paths], device=ended.device)
    ends = _measured(dynamics, w, time)
    damping = 1.0 - dynamics.momentum  # the weights move by the gradient over it
    start = ended.starts[torch.as_tensor(paths, device=ended.device)]
    typical = torch.where(time > 0, damping * (w - start).norm(dim=-1) / time, 0.0)
    rounding = ROUNDING * ended.rounding * w.norm(dim=-1) * ends.here.norm
    slow = torch.fmax(tolerance * typical, rounding)
    critical = _at_rest(ends.norms[0], torch.hypot(_noise(dynamics, ends.here), _turn(dynamics, ends, ended.dt)), slow)
    stalled = _stalled(dynamics, ends, slow) & ~critical
    unstable = ends.here.smallest < -damping / ended.t_max
    columns = {
        "loss": dynamics.surface.value(w),
        **dict(zip(("gradient_norm", "perturbed_gradient_norm"), ends.norms, strict=True)),
        "smallest_eigenvalue": ends.here.smallest,
        "largest_eigenvalue": ends.here.largest,
    }
    return pd.DataFrame(
        {
            "path": paths,
            "outcome": outcome_words(ended.outcome[paths]),
            "time": ended.times[paths],
            **{name: values.cpu().numpy() for name, values in columns.items()},
            "state": np.select([x.cpu() for x in (critical & ~unstable, critical, stalled)], STATES[:3], STATES[3]),
        }
    )


def _measured(dynamics: GradientDynamics, w: Tensor, time: Tensor) -> _Measured:
    perturbed, decay = dynamics.perturbed(time[:, None].to(w), w), dynamics.weight_decay * w
    gradient, perturbed_gradient = (dynamics.surface.gradient(at) + decay for at in (w, perturbed))
    here = curvature(dynamics.surface, dynamics.noise, w, dynamics.weight_decay)
    return _Measured(w, perturbed, gradient, perturbed_gradient, here)


def _at_rest(norm: Tensor, fluctuation: Tensor, slow: Tensor) -> Tensor:
    return torch.isfinite(norm) & (norm <= torch.fmax(NOISE_WIDTH * fluctuation, slow))


def _noise(dynamics: GradientDynamics, at: Curvature) -> Tensor:
    """√E‖∇ℓ‖² (paths,) of stationary noise in a well with the curvature |H|: √(η tr(|H| Σ)/(2B(1-γ)))."""
    return dynamics.noise_scale * (at.noise_trace / (2.0 * (1.0 - dynamics.momentum))).sqrt()


def _turn(dynamics: GradientDynamics, ends: _Measured, dt: float) -> Tensor:
    """dt ‖H (∇ℓ(w^p) - ∇ℓ(w))‖/2 (paths,): half of what SAM's perturbation changes the gradient by in a step."""
    difference = (ends.perturbed_gradient - ends.gradient).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return 0.5 * dt * dynamics.surface.hessian_product(ends.w, difference).norm(dim=-1)


def _stalled(dynamics: GradientDynamics, ends: _Measured, slow: Tensor) -> Tensor:
    """Where ∇ℓ(w^p) is at rest, and smaller than ∇ℓ(w)."""
    norm, perturbed_norm = ends.norms
    stalled = perturbed_norm < norm
    if stalled.any():
        there = curvature(dynamics.surface, dynamics.noise, ends.perturbed[stalled], dynamics.weight_decay)
        stalled[stalled.clone()] = _at_rest(perturbed_norm[stalled], _noise(dynamics, there), slow[stalled])
    return stalled
