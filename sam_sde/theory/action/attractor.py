"""Where the flow of a drift goes without noise: to a point that attracts it, or out of a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.theory.action.field import Field
from sam_sde.theory.stability.roots import jacobian, polished

MOST_STEPS = 5_000
ASK_EVERY = 50  # steps, after which a zero is looked for nearby
TURNED = 0.3  # change of the drift in a step, beside it
GROWTH = 1.3
CLOSE = 1e-9  # of 1+‖w‖: what a step is at rest
NEAR = 0.02  # of the way that the flow has come, or of 1+‖w‖: a zero so near is where it goes
SAME = 1e-4  # of 1+‖w‖: the rounding of a start that is meant to be at rest
BESIDE = 1e-3
UNSTABLE = 1e-9  # of the largest rate
KEPT = 400
HALVINGS = 50  # of the step that leaves

RestNear = Callable[[np.ndarray], "np.ndarray | None"]


@dataclass(frozen=True)
class Flow:
    """Where it ends. path (points, dim): the way there; leaves: whether that is outside of the region."""

    path: np.ndarray
    leaves: bool

    @property
    def end(self) -> np.ndarray:
        return self.path[-1]


def flow_from(
    field: Field,
    start: np.ndarray,
    inside: Callable[[np.ndarray], bool],
    rest_near: RestNear | None = None,
) -> Flow:
    """The flow w' = b(w) from a start (dim,), to where it rests or leaves.

    inside: whether a point (dim,) is in the region. rest_near: a point near one (dim,) at which the drift jumps and
    the flow comes to rest, if there is one; by default none.
    From a point at rest that does not attract, the flow is followed from beside it, to both sides of each direction in
    which it goes away.

    Raises
        ArgumentError: the flow does not come to rest, or goes to different places from both sides.
    """
    found = _rest_at(field, start, rest_near)
    if found is None:
        return _follow(field, start, inside, rest_near)
    at, values, vectors = found
    away = values.real > UNSTABLE * np.abs(values).max(initial=0.0)
    if not away.any():
        return Flow(at[None], False)
    ways = []
    for direction in vectors[:, away].real.T:
        for sign in (-1.0, 1.0):
            beside = at + sign * BESIDE * _size(at) * direction / np.linalg.norm(direction)
            found = _follow(field, beside, inside, rest_near)
            ways.append(Flow(np.concatenate([at[None], found.path]), found.leaves))
    first = ways[0]
    if all(way.leaves for way in ways):
        return first
    if all(not way.leaves and _is_at(way.end, first.end) for way in ways):
        return first
    ends = ", ".join(dict.fromkeys("out" if way.leaves else _shown(way.end) for way in ways))
    raise ArgumentError(
        "start",
        f"{_shown(start)} is at rest and attracts nothing; from beside it the flow goes to different places: {ends}; "
        "try a start on one side",
    )


def _follow(field: Field, start, inside, rest_near) -> Flow:
    """Euler's steps, shorter where the drift turns and longer where it does not: only where they end counts."""
    at, drift = start, _drift(field, start)
    path = [start]
    step = 1e-3 * _size(start) / max(np.linalg.norm(drift), 1e-300)
    for number in range(MOST_STEPS):
        if step * np.linalg.norm(drift) <= CLOSE * _size(at):
            return Flow(_thinned([*path, at]), False)
        ahead = at + step * drift
        if not inside(ahead):
            return Flow(_thinned([*path, _crossing(inside, at, ahead)]), True)
        then = _drift(field, ahead)
        turned = np.linalg.norm(then - drift) / max(np.linalg.norm(drift), 1e-300)
        if not turned <= 2 * TURNED:
            step /= 2
            continue
        at, drift = ahead, then
        path.append(at)
        if turned < TURNED:
            step *= GROWTH
        if number % ASK_EVERY == ASK_EVERY - 1:
            found = _rest(field, at, rest_near, NEAR * min(np.linalg.norm(at - start), _size(at)))
            if found is not None and inside(found):
                return Flow(_thinned([*path, found]), False)
    raise ArgumentError(
        "start",
        f"without noise the flow from {_shown(start)} does not come to rest, it is at {_shown(at)} after {MOST_STEPS} "
        "steps; the action of a way out is that from a point at rest; try such a start",
    )


def _crossing(inside: Callable[[np.ndarray], bool], at: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Where the boundary is crossed on the way from a point inside to one that is not."""
    for _ in range(HALVINGS):
        middle = (at + ahead) / 2
        at, ahead = (middle, ahead) if inside(middle) else (at, middle)
    return ahead


def _rest(field: Field, at: np.ndarray, rest_near, reach: float) -> np.ndarray | None:
    """The point at rest that the flow near `at` goes to, where one is within reach."""
    if rest_near is not None:
        found = rest_near(at)
        if found is not None and np.linalg.norm(found - at) <= reach:
            return found
    found = _zero_near(field, at)
    if found is None or not np.linalg.norm(found - at) <= reach:
        return None
    return found if (np.linalg.eigvals(jacobian(field.drift, found)).real < 0).all() else None


def _rest_at(
    field: Field, start: np.ndarray, rest_near: RestNear | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The point at rest that a start is, up to the rounding of its digits, with eigenvalues and eigenvectors there."""
    if rest_near is not None:
        found = rest_near(start)
        if found is not None and _is_at(found, start):
            return found, np.full(field.dim, -1.0), np.eye(field.dim)
    found = _zero_near(field, start)
    if found is None or not _is_at(found, start):
        return None
    return found, *np.linalg.eig(jacobian(field.drift, found))


def _zero_near(field: Field, at: np.ndarray) -> np.ndarray | None:
    try:
        return polished(lambda point: _drift(field, point), lambda point: jacobian(field.drift, point), at)
    except ArgumentError:  # a step that leads to where the drift is not finite
        return None


def _drift(field: Field, point: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return field.drift(torch.from_numpy(np.ascontiguousarray(point))[None])[0].numpy()


def _size(point: np.ndarray) -> float:
    return 1.0 + float(np.linalg.norm(point))


def _is_at(found: np.ndarray, point: np.ndarray) -> bool:
    return bool(np.linalg.norm(found - point) <= SAME * _size(point))


def _thinned(path: list[np.ndarray]) -> np.ndarray:
    keep = np.unique(np.linspace(0, len(path) - 1, KEPT).astype(int))
    return np.array(path)[keep]


def _shown(point: np.ndarray) -> str:
    return shown(np.round(point, 6).tolist())
