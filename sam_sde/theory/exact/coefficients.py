"""Drift and covariance of an SDE as functions of numpy points, after the checks that an exact solution needs."""

from __future__ import annotations

import numpy as np
import torch

from sam_sde import checks
from sam_sde.checks import shown
from sam_sde.dynamics import Dynamics, times
from sam_sde.errors import ArgumentError
from sam_sde.regions import Region
from sam_sde.theory.autonomous import is_autonomous

MOST_DIMENSIONS = 2
POINTS_AT_ONCE = 2**16

VANISHING = 1e-9  # of the variance in another direction, or of the largest one at the start
ZOOMS, PATCH = 40, 9
FARTHEST = 1e5  # from the start, beside its own size: no boundary is looked for beyond


class Coefficients:
    """f (points, dim), g gᵀ (points, dim, dim) and the levels (points, faces) of a region at points (points, dim).

    Raises
        ArgumentError: more than two dimensions, a velocity in the state, drift or noise that change with time, what no
            SDE is known of, or a start that is not inside or where something is not finite.
    """

    def __init__(self, dynamics: Dynamics, start: object, region: Region):
        if not isinstance(dynamics, Dynamics):
            raise ArgumentError(
                "dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {shown(dynamics)}"
            )
        if not isinstance(region, Region):
            raise ArgumentError("region", f"expected a Region such as Ball(...) or LevelSet(...), got {shown(region)}")
        if dynamics.dim > MOST_DIMENSIONS:
            raise ArgumentError(
                "dynamics",
                f"exact escape times are known in one and two dimensions, got {dynamics.dim} weights; try escape_times",
            )
        for part in dynamics.parts:
            part.check_sde()
        if dynamics.state_dim != dynamics.dim:
            raise ArgumentError(
                "momentum",
                "exact escape times are known without a velocity in the state; try momentum 0, or momentum_model "
                "'overdamped'",
            )
        self.dynamics, self.region, self.dim = dynamics, region, dynamics.dim
        self.start = checks.vector("start", start, dynamics.dim).numpy()
        at = torch.as_tensor(self.start)[None]
        region.check_start(at)
        dynamics.check_start(at)
        self._require_autonomous(at)

    def drift(self, points: np.ndarray) -> np.ndarray:
        return self._batched(lambda x: self.dynamics.f(times(0.0, x), x), points)

    def covariance(self, points: np.ndarray) -> np.ndarray:
        return self._batched(lambda x: self.dynamics.covariance(times(0.0, x), x), points)

    def levels(self, points: np.ndarray) -> np.ndarray:
        return self._batched(self.region.levels, points)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Whether each point (points, dim) is in the region."""
        return (self.levels(points) < 0).all(-1)

    def check_inside(self, points: np.ndarray, drift: np.ndarray, covariance: np.ndarray) -> None:
        """Raises ArgumentError where `drift` or `covariance` at points inside is not finite, or this singular."""
        finite = np.isfinite(drift).all(-1) & np.isfinite(covariance).all((-1, -2))
        if not finite.all():
            where = shown(points[~finite][0].tolist())
            raise ArgumentError("dynamics", f"drift or noise is not finite inside the region, at {where}")
        variances = np.linalg.eigvalsh(covariance)
        for worst in np.flatnonzero(variances[:, 0] <= VANISHING * variances[:, -1])[:1]:
            self._require_noise(points[worst], variances[worst, 0], variances[worst, -1])

    def require_elliptic(self, points: np.ndarray) -> None:
        """Raises ArgumentError where the covariance vanishes at points (points, dim) inside, or between them.

        There it is looked for around the point where it is smallest.
        """
        variances = np.linalg.eigvalsh(self.covariance(points))
        smallest, largest = variances[:, 0].min(), np.linalg.eigvalsh(self.covariance(self.start[None])).max()
        at = points[variances[:, 0].argmin()]
        width = np.ptp(points, axis=0) / len(points) ** (1 / self.dim)
        offsets = np.stack(np.meshgrid(*[np.linspace(-1, 1, PATCH)] * self.dim), -1).reshape(-1, self.dim)
        for _ in range(ZOOMS):
            self._require_noise(at, smallest, largest)
            around = at + width * offsets
            around = around[self.inside(around)]
            nearby = np.linalg.eigvalsh(self.covariance(around))[:, 0]
            if len(nearby) and nearby.min() < smallest:
                at, smallest = around[nearby.argmin()], nearby.min()
            width = width / 2

    def _require_noise(self, at: np.ndarray, smallest: float, largest: float) -> None:
        if smallest <= VANISHING * largest:
            raise ArgumentError(
                "noise",
                f"the covariance vanishes inside the region, at {shown(at.tolist())}: without noise in every direction "
                "(ellipticity) the equation of the escape time cannot be solved; try another noise or region",
            )

    def _batched(self, function, points: np.ndarray) -> np.ndarray:
        if not len(points):
            return self._batched(function, self.start[None])[:0]
        with torch.no_grad():
            tensors = torch.as_tensor(np.ascontiguousarray(points, dtype=np.float64)).split(POINTS_AT_ONCE)
            return torch.cat([function(some) for some in tensors]).double().numpy()

    def _require_autonomous(self, at: torch.Tensor) -> None:
        if not is_autonomous(self.dynamics, at):
            raise ArgumentError(
                "dynamics",
                "exact escape times are known where drift and noise do not change with time; leave out lr_schedule, "
                "rho_schedule and switches",
            )


def region_extents(coefficients: Coefficients, directions: np.ndarray) -> np.ndarray:
    """How far the region reaches from the start along unit vectors (directions, dim); infinite where it has no end.

    Raises ArgumentError where it has none in any direction.
    """
    start, along = torch.as_tensor(coefficients.start), torch.as_tensor(directions)
    farthest = FARTHEST * max(1.0, float(start.abs().max()))
    rough = coefficients.region.extent(start, along, farthest)
    if not torch.isfinite(rough).any():
        raise ArgumentError(
            "region",
            f"no boundary of {coefficients.region} was found from {shown(start.tolist())} up to the distance "
            f"{farthest:g}; try a bounded region",
        )
    # Looked at from nearby the distance has more digits, and a gap that is narrow beside `farthest` is seen.
    near = coefficients.region.extent(start, along, 2 * float(rough[torch.isfinite(rough)].max()))
    return torch.where(torch.isfinite(near), near, rough).numpy()
