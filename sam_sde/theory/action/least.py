"""The most likely way out of a region, and its quasipotential."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from sam_sde import checks
from sam_sde.checks import shown
from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Point
from sam_sde.regions import Box, Region, Slab
from sam_sde.theory.action.attractor import RestNear, flow_from
from sam_sde.theory.action.curve import evenly, lengths
from sam_sde.theory.action.field import Field, require_noise_along
from sam_sde.theory.action.of_dynamics import field_of, noise_strength, rest_of
from sam_sde.theory.action.search import QUICK, WHOLE, Search, Way, ways_out, ways_to

POINTS = 201
POOR, UNKNOWN = 0.01, 0.1  # relative errors from which a warning says how far the action is known, and an error
FAR = 1e6  # from the start, beside its own size: a flow that comes so far is lost


@dataclass(frozen=True)
class LeastAction:
    """The way of least action, and what it says of the escape time τ for little noise: log τ ~ V·B/η.

    action: V, in units of the variance of one sample's gradient; 0 where the start's flow leaves without noise.
    error: how far V may be off, as finer curves change it.
    exponent: V·B/η, the logarithm of τ up to what grows more slowly.
    origin (dim,): the point at rest that V is taken from, where the flow from the start goes; the start itself where
        that leaves.
    end (dim,), side: where the way leaves, and the side of the region: low or high in one dimension and of a slab,
        x0_low, … of a box, else boundary; "point" of a way to a point.
    path (points, dim): at even distances from `origin` to `end`. actions (points,): what the way has cost up to there.
    others: end and action of other ways whose action is within 30 % of the least.
    ties: those of them that cost the same up to the errors.
    """

    action: float
    error: float
    exponent: float
    origin: np.ndarray
    side: str
    path: np.ndarray
    actions: np.ndarray
    others: list[tuple[np.ndarray, float]]
    ties: int

    @property
    def end(self) -> np.ndarray:
        return self.path[-1]

    def table(self) -> pd.DataFrame:
        """Columns arc_length, action (so far), x0, x1, …."""
        columns = {f"x{i}": self.path[:, i] for i in range(self.path.shape[1])}
        return pd.DataFrame({"arc_length": lengths(self.path), "action": self.actions, **columns})


def least_action(
    dynamics: Dynamics, *, start: Point, region: Region | None = None, to: Point | None = None
) -> LeastAction:
    """The most likely way out of a region, or to a point, and its quasipotential V, for the SDE of an optimizer.

    For little noise, η/B → 0, paths of dw = b dt + √(η/B) σ dW leave a region near one way, and the logarithm of the
    mean escape time grows as V·B/η (Freidlin and Wentzell), with

        V = min ∫ (|φ'| |b| - <φ', b>) ds,  <u, v> = uᵀ a⁻¹ v,  a = σσᵀ,

    over all curves φ from the point at rest to which the start flows to the boundary. a is the covariance of ONE
    sample's gradient as the optimizer has it, g gᵀ B/η; where that depends on the batch size itself, as for the ascent
    "same", it is that of this batch size. Of gradient descent with a = σ² it is 2ΔL/σ²; of normalized SAM at a saddle
    ρ²|λ|/σ². A rate e^{-V/ε} for noise √ε dW has the same V. The ways are cubic splines whose action L-BFGS lowers from
    several beginnings; the least that is found counts, and there may be others.

    start: one point (dim,) inside the region. region: what is left; or to: a point (dim,) that is reached.

    V is from one point at rest. Where there are others in the region that hold longer, the mean escape time may be that
    of a path which falls into one of them.

    Raises
        ArgumentError: over 100 weights, a velocity, schedules, noise that vanishes in a direction, a start that is not
            inside or does not come to rest, a region without boundary, drift that is not finite on the way.

    >>> least_action(sam, start=[0, 0], region=Ball([0, 0], 1.0)).exponent
    """
    return _of_dynamics(dynamics, start, region, to, WHOLE)


def quick_action(dynamics: Dynamics, *, start: Point, region: Region) -> LeastAction:
    """The same on curves of few pieces, whose action is good to about 1 %."""
    return _of_dynamics(dynamics, start, region, None, QUICK)


def _of_dynamics(
    dynamics: Dynamics, start: Point, region: Region | None, to: Point | None, search: Search
) -> LeastAction:
    at = _checked(dynamics, start, region, to)
    field = field_of(dynamics, at)
    found = least_action_of(field, at, region=region, to=to, rest_near=rest_of(dynamics), search=search)
    return replace(found, exponent=found.action / noise_strength(dynamics))


def require_action(dynamics: Dynamics, *, start: Point, region: Region | None = None, to: Point | None = None) -> None:
    """Raises ArgumentError where it is seen at the start that `least_action` cannot be had."""
    field_of(dynamics, _checked(dynamics, start, region, to))


def least_action_of(
    field: Field,
    start: np.ndarray,
    *,
    region: Region | None = None,
    to: Point | None = None,
    rest_near: RestNear | None = None,
    search: Search = WHOLE,
) -> LeastAction:
    """The same for a drift and a covariance; `exponent` is V itself, that of noise √ε dW with ε = 1."""
    target = None if to is None else checks.vector("to", to, field.dim).numpy()
    farthest = FAR * (1.0 + float(np.linalg.norm(start)))

    def inside(point: np.ndarray) -> bool:
        if region is None:
            if np.linalg.norm(point) > farthest:
                raise ArgumentError("start", f"without noise the flow from {shown(start.tolist())} goes to infinity")
            return True
        return bool((region.levels(torch.from_numpy(point)[None]) < 0).all())

    flow = flow_from(field, start, inside, rest_near)
    if flow.leaves:
        path = evenly(flow.path, POINTS)
        face = int(region.levels(torch.from_numpy(path[-1:])).argmax())
        return LeastAction(
            0.0, 0.0, 0.0, path[0], side_of(region, field.dim, face, path), path, np.zeros(POINTS), [], 0
        )
    origin = flow.end
    if target is not None and np.linalg.norm(target - origin) <= 1e-9 * (1 + np.linalg.norm(origin)):
        path = np.repeat(origin[None], POINTS, axis=0)
        return LeastAction(0.0, 0.0, 0.0, origin, "point", path, np.zeros(POINTS), [], 0)
    ways = ways_out(field, origin, region, search) if target is None else ways_to(field, origin, target)
    return _result(field, origin, ways, region)


def _result(field: Field, origin: np.ndarray, ways: list[Way], region: Region | None) -> LeastAction:
    best, *rest = ways
    require_noise_along(field, best.curve.costly)
    if not best.error <= UNKNOWN * best.action:
        raise ArgumentError(
            "dynamics",
            f"the action of the way out does not settle: it is about {best.action:.3g}, and changes by "
            f"{best.error:.2g} with finer curves; look for a place on the way where drift or noise has no finite value",
        )
    path = evenly(best.curve.points, POINTS)
    if best.error > POOR * best.action:
        warnings.warn(
            f"the least action {best.action:.4g} is known to {100 * best.error / best.action:.1f} % only",
            UserWarning,
            stacklevel=4,
        )
    ties = sum(way.action - best.action <= way.error + best.error for way in rest)
    others = [(way.curve.end, way.action) for way in rest]
    side = side_of(region, field.dim, best.face, path)
    actions = _costs(field, best, path)
    return LeastAction(best.action, best.error, best.action, origin, side, path, actions, others, ties)


def _costs(field: Field, way: Way, path: np.ndarray) -> np.ndarray:
    """What the way has cost up to each point of its path; the last is V."""
    fine = way.curve.points
    middles, steps = torch.from_numpy((fine[1:] + fine[:-1]) / 2), torch.from_numpy(np.diff(fine, axis=0))
    with torch.no_grad():
        costs = np.concatenate([[0.0], np.cumsum(field.cost(middles, steps).numpy().clip(0))])
    along = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(fine)), costs)
    return along * (way.action / costs[-1]) if costs[-1] > 0 else along


def side_of(region: Region | None, dim: int, face: int | None, path: np.ndarray) -> str:
    """The name of the side by which a path leaves, as exact.csv has them."""
    if region is None:
        return "point"
    if dim == 1:
        return "low" if path[-1, 0] < path[0, 0] else "high"
    if isinstance(region, Slab):
        return ("low", "high")[face]
    return f"x{face % dim}_{'low' if face < dim else 'high'}" if isinstance(region, Box) else "boundary"


def _checked(dynamics: Dynamics, start: Point, region: Region | None, to: Point | None) -> np.ndarray:
    """The start (dim,), after the checks of it and of where the way ends."""
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError("dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {shown(dynamics)}")
    if (region is None) == (to is None):
        given = "neither" if region is None else "both"
        raise ArgumentError("region", f"expected one of region and to, got {given}")
    at = checks.vector("start", start, dynamics.dim)
    if to is not None:
        checks.vector("to", to, dynamics.dim)
    elif not isinstance(region, Region):
        raise ArgumentError("region", f"expected a Region such as Ball(...) or LevelSet(...), got {shown(region)}")
    else:
        region.check_start(at[None])
    return at.numpy()
