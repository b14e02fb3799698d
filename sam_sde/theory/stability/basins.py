"""Where the algorithm ends without noise, from many starts."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.surfaces import LossSurface
from sam_sde.theory.stability.arms import is_normalized, require_arm
from sam_sde.theory.stability.descent import descend
from sam_sde.theory.stability.linear import FLAT
from sam_sde.theory.stability.points import Critical
from sam_sde.theory.stability.stalls import Stall

ENDS = ("minimum", "saddle", "maximum", "stall", "moving", "lost")

ARRIVED = 1e-3  # relative to 1+‖w‖; of normalized SAM, which steps to and fro, half of ρ
NEWTON_STEPS = 20


def ends_of(
    dynamics: Dynamics,
    starts: np.ndarray,
    *,
    t_max: float,
    points: Sequence[Critical],
    stalls: Sequence[Stall] = (),
) -> pd.DataFrame:
    """Where the algorithm is at t_max from each of the `starts` (starts, dim), without noise.

    Columns: `kind`, one of ENDS: the kind of the critical point that is near, a stall, on the way (moving), or at
    infinity (lost); `point`: its number among `points` or `stalls`, NaN where it is none of them.

    Raises
        ValueError: t_max is not above 0, or the optimizer is none on a surface.
    """
    arm = require_arm(dynamics)
    n_steps = math.ceil(checks.positive("t_max", t_max) / arm.lr * (1 - 1e-12))
    ends = descend(dynamics, torch.from_numpy(np.asarray(starts, dtype=float)), n_steps).numpy()
    return named(dynamics, ends, points=points, stalls=stalls)


def named(
    dynamics: Dynamics, ends: np.ndarray, *, points: Sequence[Critical], stalls: Sequence[Stall] = ()
) -> pd.DataFrame:
    """What `ends_of` returns, of runs that are at `ends` (starts, dim)."""
    arm = require_arm(dynamics)
    kind = np.where(np.isfinite(ends).all(1), "moving", "lost").astype(object)
    number = np.full(len(ends), np.nan)
    reach = 0.5 * arm.rho if is_normalized(arm) else ARRIVED * (1.0 + np.linalg.norm(ends, axis=1))
    _name_near(ends, reach, [(point.location, point.kind) for point in points], kind, number)
    at_stall = ARRIVED * (1.0 + np.linalg.norm(ends, axis=1))
    _name_near(ends, at_stall, [(stall.location, "stall") for stall in stalls], kind, number)
    other = kind == "moving"
    if other.any():
        kind[other] = _kinds_near(arm.surface, ends[other], np.broadcast_to(reach, len(ends))[other])
    return pd.DataFrame({"kind": kind, "point": number})


def _name_near(
    ends: np.ndarray,
    reach: float | np.ndarray,
    known: Sequence[tuple[np.ndarray, str]],
    kind: np.ndarray,
    number: np.ndarray,
) -> None:
    """Writes down kind and number of the nearest known place, where it is within reach and nothing else is."""
    if not known:
        return
    distance = np.stack([np.linalg.norm(ends - location, axis=1) for location, _ in known])
    nearest = np.nan_to_num(distance, nan=np.inf).argmin(0)
    near = (np.take_along_axis(distance, nearest[None], 0)[0] <= reach) & (kind == "moving")
    kind[near] = np.array([name for _, name in known], dtype=object)[nearest[near]]
    number[near] = nearest[near]


def _kinds_near(surface: LossSurface, ends: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The kind of the critical point that Newton's method finds within reach, as in a valley; "moving" without one."""
    w = torch.from_numpy(ends)
    with torch.no_grad():
        for _ in range(NEWTON_STEPS):
            w = w - _newton_step(surface, w)
        near = ((w - torch.from_numpy(ends)).norm(dim=-1) <= torch.from_numpy(reach)).numpy()
        values = torch.linalg.eigvalsh(surface.hessian(torch.where(torch.isfinite(w), w, 0.0)))
        near &= (_newton_step(surface, w).norm(dim=-1) <= FLAT * (1.0 + w.norm(dim=-1))).numpy()
    flat = FLAT * values.abs().amax(-1)
    falls, rises = (values[:, 0] < -flat).numpy(), (values[:, -1] > flat).numpy()
    return np.where(near, np.where(falls, np.where(rises, "saddle", "maximum"), "minimum"), "moving").astype(object)


def _newton_step(surface: LossSurface, w: torch.Tensor) -> torch.Tensor:
    """H⁺∇ℓ (paths, dim), flat directions left out; NaN where it is not finite."""
    hessian, gradient = surface.hessian(w), surface.gradient(w)
    finite = torch.isfinite(hessian).all(-1).all(-1) & torch.isfinite(gradient).all(-1)
    inverse = torch.linalg.pinv(torch.where(finite[:, None, None], hessian, 0.0), rtol=FLAT, hermitian=True)
    return torch.where(finite[:, None], (inverse @ gradient[..., None])[..., 0], torch.nan)


def shares(ends: pd.DataFrame) -> pd.DataFrame:
    """How many of the starts end where: `kind`, `point`, `n_starts`, `fraction`, in the order of ENDS."""
    counts = ends.groupby(["kind", "point"], dropna=False).size().rename("n_starts").reset_index()
    counts["fraction"] = counts["n_starts"] / len(ends)
    order = counts["kind"].map({kind: i for i, kind in enumerate(ENDS)})
    return counts.assign(order=order).sort_values(["order", "point"], ignore_index=True).drop(columns="order")
