"""The regions of losses above or below a level."""

from __future__ import annotations

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Count
from sam_sde.regions.region import Region
from sam_sde.surfaces import LossSurface, require_surface


class _LossSide(Region):
    """One side of a level of the loss: sign · (ℓ(w) - level) < 0.

    every: with many samples a look at the loss costs more than the steps of the algorithm. It is then taken after every
        so many of them, counted from the start, at all samples: a path leaves at the first look that finds it outside.
        Times are multiples of every · lr, up to (every - 1) · lr too long, and longer where a path was outside between
        two looks alone. For crossing "none" only.

    Raises
        ValueError: every is below 1.
    """

    sign: float

    def __init__(self, surface: LossSurface, level: float, every: Count = 1):
        self.surface = require_surface(surface)
        self.level = checks.real("level", level)
        self.every = checks.whole("every", every, low=1)
        self.dim = surface.dim

    def levels(self, w):
        return self.sign * (self.surface.value(w)[:, None] - self.level)

    def normal(self, w, face):
        return self.sign * self.surface.gradient(w)

    def __repr__(self):
        return f"{type(self).__name__}({self.level:g})"


class LossBelow(_LossSide):
    """ℓ(w) < level: left when the loss rises to `level`."""

    sign = 1.0


class LossAbove(_LossSide):
    """ℓ(w) > level: left when the loss falls to `level`."""

    sign = -1.0


def loss_region(
    surface: LossSurface, below: float | None = None, above: float | None = None, every: Count = 1
) -> LossBelow | LossAbove:
    """The loss below a level, or above one; see them for `every`. Raises ArgumentError unless one of them is given."""
    if (below is None) == (above is None):
        got = "neither" if below is None else "both"
        raise ArgumentError("region", f"expected one of below and above, got {got}")
    if below is None:
        return LossAbove(surface, checks.real("above", above), every)
    return LossBelow(surface, checks.real("below", below), every)
