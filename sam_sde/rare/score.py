"""Scores: what says how far a state is on its way out.

A score is the level of a region, which need not be the one to leave: only its values count, not their sign.
"""

from collections.abc import Callable

import torch

from sam_sde.checks import nearest, shown
from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError, InputError
from sam_sde.escape import Start
from sam_sde.regions import Ball, Box, LevelSet, LossAbove, LossBelow, Region, UnstableDistance

# By a name; "auto" is one of them.
SCORES = ("auto", "region", "unstable", "loss_rises", "loss_falls")

# Regions around a saddle whose own level grows in the directions too in which nothing leaves.
AROUND = (Ball, Box, LossAbove)

# Eigenvectors are only looked for unasked where that takes no time.
MOST_COORDINATES = 100


def score_of(score: str | Region | Callable, dynamics: Dynamics, region: Region, start: Start) -> Region:
    """The score that is asked for, as a region.

    "region": the level of the region to leave. "unstable": the distance along the unstable eigenvectors at the start,
    a saddle. "loss_rises", "loss_falls": the loss, or minus it. "auto": "unstable" where the start is a saddle and the
    region a ball, a box or the loss above a level, else "region". A function: of ONE vector w (dim,). A region: its
    level.

    Raises
        ArgumentError: an unknown name, no saddle at the start, dynamics without a loss.
    """
    if isinstance(score, Region):
        return score
    if callable(score):
        return LevelSet(score)
    if not isinstance(score, str) or score not in SCORES:
        raise ArgumentError("score", f"unknown value {shown(score)}; {nearest(score, SCORES)}, a region or a function")
    if score == "region":
        return region
    if score == "auto":
        return _unasked(dynamics, region, start)
    surface = getattr(dynamics, "surface", None)
    if surface is None:
        raise ArgumentError("score", f"{score!r} needs a loss, and {type(dynamics).__name__} has none; try 'region'")
    if score == "unstable":
        return _unstable(surface, region, start)
    return LossBelow(surface, 0.0) if score == "loss_rises" else LossAbove(surface, 0.0)


def _unasked(dynamics: Dynamics, region: Region, start: Start) -> Region:
    surface = getattr(dynamics, "surface", None)
    if surface is None or not isinstance(region, AROUND) or dynamics.dim > MOST_COORDINATES:
        return region
    try:
        return _unstable(surface, region, start)
    except InputError:
        return region


def _unstable(surface, region: Region, start: Start) -> Region:
    try:
        score = UnstableDistance(surface, start.mean, getattr(region, "radius", 1.0))
        score.distance = 0.0  # its level is the distance itself
        return score
    except ArgumentError as error:
        raise ArgumentError("score", f"'unstable': {error.message}; try 'region'") from None


def require_score(score: Region, w: torch.Tensor) -> None:
    """Raises ArgumentError where the score at weights w (paths, dim) of the run's dtype is none."""
    try:
        score.check_start(w)
        levels = score.levels(w)
    except ArgumentError as error:
        if error.name == "start":  # a score may have any sign
            levels = score.levels(w)
        else:
            raise ArgumentError("score", error.message) from None
    if not torch.isfinite(levels).all():
        raise ArgumentError("score", f"expected a finite number at the start, got {levels.flatten()[0].item():g}")
