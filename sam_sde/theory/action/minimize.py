"""The path of least action between two points, or from a point to a boundary: splines of more and more pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from torch import Tensor

from sam_sde.errors import ArgumentError
from sam_sde.theory.action.boundary import FixedEnd, LostBoundaryError, SlidingEnd
from sam_sde.theory.action.curve import evenly, lengths, splines
from sam_sde.theory.action.field import Field

UNEVEN = 0.1  # weight of uneven speed beside the action, which is the same at any speed
FINE_PANELS, FINE_POINTS = 8, 2001
COSTLY, LOOKS = 0.99, 65  # the part of a way that makes so much of its action, and the points by which it is known
STEEPEST = 3  # power of the parameter with which arc length grows at most; cubic splines are no steeper
SLID = 1e-3  # of the path's length: an end that moves no farther stays


@dataclass(frozen=True)
class Effort:
    """How long is searched: iterations, turns (directions in which an end slides one after the other), tolerance."""

    iterations: int
    turns: int
    tolerance: float


ROUGH, THOROUGH = Effort(40, 1, 1e-6), Effort(100, 3, 1e-9)


@dataclass(frozen=True)
class Curve:
    """A path, of so many pieces, and its action S.

    points (points, dim): on it, at even distances; costly (points, dim): likewise, of the part before the flow goes on
    for nothing.
    """

    points: np.ndarray
    action: float
    intervals: int
    costly: np.ndarray

    @property
    def grading(self) -> int:
        """p for arc length that grows as s^p, so that about half of the pieces are on the costly part."""
        whole = lengths(self.points)[-1]
        share = lengths(self.costly)[-1] / whole if whole > 0 else 1.0
        return int(np.clip(np.round(np.log2(1 / max(share, 1e-9))), 1, STEEPEST))

    @property
    def end(self) -> np.ndarray:
        return self.points[-1]


def straight(field: Field, start: np.ndarray, end: np.ndarray, intervals: int) -> Curve:
    return measured(field, np.linspace(start, end, FINE_POINTS), intervals)


def measured(field: Field, points: np.ndarray, intervals: int, grading: int = 1) -> Curve:
    """The curve of so many pieces near points at even distances."""
    spline = splines(intervals, FINE_PANELS)
    control = spline.fit(_graded(points, grading))
    with torch.no_grad():
        cost = field.cost(_tensor(spline.values @ control), _tensor(spline.slopes @ control)).numpy()
    s = np.linspace(0, 1, FINE_POINTS)
    dense = spline.at(s) @ control
    spent = np.cumsum(spline.weights * cost)
    costly = dense[s <= spline.s[min(np.searchsorted(spent, COSTLY * spent[-1]), len(spent) - 1)]]
    return Curve(evenly(dense, FINE_POINTS), float(spent[-1]), intervals, evenly(costly, LOOKS))


def minimized(
    field: Field, curve: Curve, end: FixedEnd | SlidingEnd, intervals: int, effort: Effort = THOROUGH
) -> Curve:
    """The path of least action near a curve, of so many pieces; its end is where `end` lets it be."""
    grading = curve.grading
    best = measured(field, curve.points, intervals, grading)
    if field.dim == 1:  # there is only one way
        return best
    for _ in range(effort.turns if end.slides else 1):
        points, moved = _turn(field, best.points, end.turned_to(best.end), intervals, effort, grading)
        found = measured(field, points, intervals, grading)
        gained = best.action - found.action
        if not gained > 0:
            break
        best = found
        if moved <= SLID or gained <= effort.tolerance * best.action:
            break
    return best


def _turn(
    field: Field, points: np.ndarray, end: FixedEnd | SlidingEnd, intervals: int, effort: Effort, grading: int
) -> tuple[np.ndarray, float]:
    """Points of a better curve, and how far the end has moved beside the path's length."""
    spline = splines(intervals)
    first = spline.fit(_graded(points, grading))
    free = spline.count - 1 if end.slides else spline.count - 2
    scaling = spline.scaling[:free, :free]
    noise = field.factor(_tensor(points[:1]))[0].detach().numpy()
    # Changes are measured by the noise at the start and by the way's length in its units: a step of 1 is a large one.
    unit = noise * max(lengths(np.linalg.solve(noise, points.T).T)[-1], 1e-300)
    speeds = grading * spline.s ** (grading - 1)
    given = tuple(_tensor(each) for each in (spline.values, spline.slopes, spline.weights, speeds, noise))
    scale = max(_sum(field, _tensor(first), *given)[0].item(), 1e-300)

    def control(x: np.ndarray) -> np.ndarray:
        moved = first.copy()
        moved[1 : 1 + free] += solve_triangular(scaling, x.reshape(free, -1)) @ unit.T
        return moved

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        at = control(x)
        try:
            at[-1], pull_back = end.place(at[-1])
        except LostBoundaryError:
            return np.inf, np.zeros_like(x)
        leaf = _tensor(at).requires_grad_()
        try:
            action, uneven = _sum(field, leaf, *given)
        except ArgumentError:  # a step too far, to where the drift is not finite
            return np.inf, np.zeros_like(x)
        total = action / scale + UNEVEN * uneven
        (gradient,) = torch.autograd.grad(total, leaf)
        gradient = gradient.numpy().copy()
        gradient[-1] = pull_back(gradient[-1])
        inner = solve_triangular(scaling, gradient[1 : 1 + free] @ unit, trans="T")
        return total.item(), inner.ravel()

    start = np.zeros(free * field.dim)
    options = {"maxiter": effort.iterations, "maxcor": 20, "ftol": effort.tolerance, "gtol": 1e-9}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    at = control(found)
    at[-1], _ = end.place(at[-1])
    dense = spline.at(np.linspace(0, 1, FINE_POINTS)) @ at
    length = max(lengths(dense)[-1], 1e-300)
    return evenly(dense, FINE_POINTS), float(np.linalg.norm(at[-1] - points[-1]) / length)


def _sum(
    field: Field, control: Tensor, values: Tensor, slopes: Tensor, weights: Tensor, speeds: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """The action, and how far the speed is from being proportional to `speeds`, whose mean is 1; 0 where it is."""
    velocities = slopes @ control
    action = weights @ field.cost(values @ control, velocities)
    # Speed is measured by the noise at the start, in whose units no coordinate is small.
    scaled = torch.linalg.solve_triangular(noise, velocities.mT, upper=False)
    squared = scaled.square().sum(0).clamp_min(1e-300)
    return action, (weights @ (squared / speeds)) / (weights @ squared.sqrt()).square() - 1


def _graded(points: np.ndarray, grading: int) -> np.ndarray:
    """Points at even distances as points at even parameters."""
    if grading == 1:
        return points
    even = np.linspace(0, 1, len(points))
    return np.stack([np.interp(even**grading, even, x) for x in points.T], axis=-1)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
