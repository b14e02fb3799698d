"""The regions of losses above or below a level."""

from __future__ import annotations

import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Count
from sam_sde.regions.region import Region
from sam_sde.surfaces import FiniteSum, LossSurface, require_surface
from sam_sde.surfaces.samples import take


class _LossSide(Region):
    """One side of a level of the loss: sign · (ℓ(w) - level) < 0.

    samples: m of the n of a loss over data, drawn once and the same for all paths and runs: the loss is then the mean
        over these, and its level that of another region. At weights where the losses have the deviation s the two
        differ by s √(1/m - 1/n) or so, the same way for all that are near each other; samples drawn anew at each look
        would let paths out by chance. `EscapeResult` has the exit points, to look at the loss there.
    every: with many samples a look at the loss costs more than the steps of the algorithm. It is then taken after every
        so many of them, counted from the start, at all samples: a path leaves at the first look that finds it outside.
        Times are multiples of every · lr, up to (every - 1) · lr too long, and longer where a path was outside between
        two looks alone. For crossing "none" only.

    Raises
        ValueError: every is below 1; samples are none of the data's number, or the loss is not over data.
    """

    sign: float

    def __init__(self, surface: LossSurface, level: float, every: Count = 1, samples: Count | None = None):
        self.surface = require_surface(surface)
        self.level = checks.real("level", level)
        self.every = checks.whole("every", every, low=1)
        self.samples = samples
        self.looked_at = surface if samples is None else _of_samples(surface, samples)
        self.dim = surface.dim

    def levels(self, w):
        return self.sign * (self.looked_at.value(w)[:, None] - self.level)

    def normal(self, w, face):
        return self.sign * self.looked_at.gradient(w)

    def __repr__(self):
        return f"{type(self).__name__}({self.level:g})"


def _of_samples(surface: LossSurface, samples: int) -> FiniteSum:
    """The loss over some of the data."""
    if not isinstance(surface, FiniteSum):
        raise ArgumentError("samples", f"{surface!r} is not a loss over data; leave samples out")
    checks.whole("samples", samples, low=1, high=surface.n_samples)
    order = torch.randperm(surface.n_samples, generator=torch.Generator().manual_seed(0))
    data = take(surface.samples.data, order[:samples])
    return FiniteSum(surface.sample_loss, data, surface.dim, name=f"{surface.name} of {samples} samples")


class LossBelow(_LossSide):
    """ℓ(w) < level: left when the loss rises to `level`."""

    sign = 1.0


class LossAbove(_LossSide):
    """ℓ(w) > level: left when the loss falls to `level`."""

    sign = -1.0


def loss_region(
    surface: LossSurface,
    below: float | None = None,
    above: float | None = None,
    every: Count = 1,
    samples: Count | None = None,
) -> LossBelow | LossAbove:
    """The loss below a level, or above one; see them for the rest. Raises ArgumentError unless one of them is given."""
    if (below is None) == (above is None):
        got = "neither" if below is None else "both"
        raise ArgumentError("region", f"expected one of below and above, got {got}")
    if below is None:
        return LossAbove(surface, checks.real("above", above), every, samples)
    return LossBelow(surface, checks.real("below", below), every, samples)
