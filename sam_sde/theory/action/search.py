"""The least of the ways that a search finds from several beginnings, on splines of more and more pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam_sde.errors import ArgumentError
from sam_sde.regions import Region
from sam_sde.theory.action.boundary import FixedEnd, LostBoundaryError, SlidingEnd, first_exit
from sam_sde.theory.action.curve import evenly, lengths
from sam_sde.theory.action.field import Field
from sam_sde.theory.action.minimize import FINE_POINTS, ROUGH, THOROUGH, Curve, Effort, measured, minimized, straight
from sam_sde.theory.action.starts import bent_lines, rays

MOST_REFINED = 4
BETWEEN = 0.9  # cosine of the angle between beginnings from which the one that costs more is left out
WORTH = 1.3  # of the least action: beyond, another way is not followed
GOOD = 1e-4  # relative change of the action for which pieces are not halved again
GOOD_OTHERS = 1e-3  # that of ways which cost more
# Of its length: a way that is nearer to another one all along is the same; that of few pieces.
APART, ROUGHLY_APART = 0.02, 0.05
AGAIN = 0.03  # of the action: by so little more costs a way that is found again
CLIPS = 3
FLOOR = 1e-5  # of the action: what the minimization leaves


@dataclass(frozen=True)
class Search:
    """On splines of how many pieces, one after the other, and from how many rays at most."""

    pieces: tuple[int, ...]
    rays: int


WHOLE, QUICK = Search((8, 16, 32, 64, 128), 8), Search((8, 16), 4)


@dataclass(frozen=True, eq=False)
class Way:
    """A way out: its curve, how far the action may be off, and the face by which it leaves, None to a point."""

    curve: Curve
    face: int | None
    error: float = np.inf

    @property
    def action(self) -> float:
        return self.curve.action


def ways_out(field: Field, point: np.ndarray, region: Region, search: Search = WHOLE) -> list[Way]:
    """The ways of least action from a point to the boundary of a region, the least first; others that are near it."""
    first = search.pieces[0]
    begun = [Way(straight(field, point, end, first), face) for end, face in rays(field, point, region)]
    found = [_refined(field, way, first, region, ROUGH) for way in _various(begun)[: search.rays]]
    found = [way for way in found if way is not None]
    if not found:
        raise ArgumentError(
            "region", f"the boundary of {region} cannot be followed, its level has no gradient there; try another level"
        )
    return _followed(field, found, region, search.pieces[1:])


def ways_to(field: Field, point: np.ndarray, end: np.ndarray) -> list[Way]:
    """The same from a point to another one."""
    first = WHOLE.pieces[0]
    begun = [Way(measured(field, line, first), None) for line in bent_lines(field, point, end)]
    return _followed(field, [_refined(field, way, first, None, ROUGH) for way in begun], None, WHOLE.pieces[1:])


def _followed(field: Field, ways: list[Way], region: Region | None, refinements: Sequence[int]) -> list[Way]:
    """Of the ways found on few pieces those that count, on so many pieces that the action no longer changes."""
    ways = _distinct(ways, ROUGHLY_APART)[:MOST_REFINED]
    done: list[Way] = []
    for pieces in refinements:
        least = min(way.action for way in [*ways, *done])
        ways = [way for way in ways if way.action <= WORTH * least]
        further = []
        for way in ways:
            finer = _refined(field, way, pieces, region)
            if finer is None:
                continue
            finer = replace(finer, error=max(abs(finer.action - way.action), FLOOR * finer.action))
            costs_more = finer.action - finer.error > least
            good = (GOOD_OTHERS if costs_more else GOOD) * finer.action
            (done if finer.error <= good else further).append(finer)
        ways = [way for way in _distinct([*done, *further]) if way not in done]
        if not ways:
            break
    best, *others = _distinct([*done, *ways])
    others = [way for way in others if way.action <= WORTH * best.action]
    return [replace(best, error=max(best.error, _uncertainty(best, others))), *others]


def _uncertainty(best: Way, others: Sequence[Way]) -> float:
    """How far the action of a way may be off where the search has found it twice and stopped at different ones.

    That is so where the drift jumps on the way, as that of normalized SAM does at a critical point.
    """
    length = lengths(best.curve.points)[-1]
    again = [
        way.action - best.action
        for way in others
        if np.linalg.norm(way.curve.end - best.curve.end) <= APART * length and way.action <= (1 + AGAIN) * best.action
    ]
    return min(again, default=0.0)


def _refined(field: Field, way: Way, pieces: int, region: Region | None, effort: Effort = THOROUGH) -> Way | None:
    """A way on so many pieces; None where its end cannot slide on the boundary."""
    if region is None:
        return replace(way, curve=minimized(field, way.curve, FixedEnd(way.curve.end), pieces, effort))
    for _ in range(CLIPS):
        try:
            curve = minimized(field, way.curve, SlidingEnd(region, way.face, way.curve.end), pieces, effort)
        except LostBoundaryError:
            return None
        way = replace(way, curve=curve)
        exit_ = first_exit(region, curve.points[:-1])
        if exit_ is None:
            break
        points, face = exit_
        points = evenly(points, FINE_POINTS)
        if face == way.face and len(exit_[0]) > 0.99 * len(curve.points):
            break  # along the boundary, up to the splines' own error
        way = Way(measured(field, points, pieces), face)
    return way


def _distinct(ways: Sequence[Way], apart: float = APART) -> list[Way]:
    """The ways in order of their action, without those that are the same as one before."""
    kept: list[Way] = []
    for way in sorted(ways, key=lambda way: way.action):
        if not any(_same(way.curve, other.curve, apart) for other in kept):
            kept.append(way)
    return kept


def _same(curve: Curve, other: Curve, apart: float) -> bool:
    """Whether two ways are near each other as long as they cost something."""
    length = lengths(other.costly)[-1]
    return bool(np.linalg.norm(curve.costly - other.costly, axis=1).max() <= apart * length)


def _various(ways: Sequence[Way]) -> list[Way]:
    """Straight ways in different directions, those that cost less before others."""
    kept: list[Way] = []
    directions = []
    for way in sorted(ways, key=lambda way: way.action):
        along = way.curve.points[-1] - way.curve.points[0]
        along = along / np.linalg.norm(along)
        if np.isfinite(way.action) and all(along @ other < BETWEEN for other in directions):
            kept.append(way)
            directions.append(along)
    return kept
