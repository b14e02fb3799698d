"""Regions that a path must leave: level functions that are negative inside."""

from __future__ import annotations

import abc
from collections.abc import Callable

import torch

from sam_sde import checks
from sam_sde.checks import shown
from sam_sde.device_copies import DeviceCopies
from sam_sde.errors import ArgumentError
from sam_sde.layout import row_norm
from sam_sde.parameters import Point, Positive, Vector
from sam_sde.regions.extent import ray_lengths
from sam_sde.surfaces import LossSurface, require_surface

WITHOUT_WRITING = "try without in-place operations, counters and random numbers: x = x / 4 instead of x /= 4"


class Region(abc.ABC):
    """The set where every one of its faces has a negative level φ(w).

    Shapes: w (paths, dim), levels (paths, faces), face (paths,), normal (paths, dim).

    Attributes
        dim: number of coordinates; None if any.
        faces: number of level functions.
        every: after how many steps of the algorithm it is looked at whether a path is outside; 1 means each.
        slope: 1 where φ is a signed distance, or |∇φ| where that is the same everywhere; None, the default, where it is
            not known: the distance that a crossing needs is then found along the gradient.
    """

    dim: int | None = None
    faces = 1
    slope: float | None = None
    every = 1

    @abc.abstractmethod
    def levels(self, w: torch.Tensor) -> torch.Tensor:
        """φ(w) of each face, each path by itself."""

    def normal(self, w: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        """∇φ(w) of one face, chosen for each path; here by differentiating `levels`."""
        levels, transposed = torch.func.vjp(lambda w: self.levels(w).to(w.dtype), w)
        return transposed(torch.zeros_like(levels).scatter_(-1, face[:, None], 1.0))[0]

    def extent(self, inside: Point, directions: torch.Tensor, farthest: float) -> torch.Tensor:
        """How far the region extends from a point inside, along each of the `directions`.

        inside (dim,), directions (directions, dim): unit vectors. Returns the distances (directions,) to the boundary,
        float64; infinite where there is none up to `farthest`. They are exact, or as exact as `ray_lengths` finds them.

        Raises
            ValueError: the point is not inside, or not of the directions' dimension; farthest is not above 0.
        """
        inside = checks.vector("inside", inside, directions.shape[-1])
        checks.positive("farthest", farthest)
        if not (self.levels(inside[None]) < 0).all():
            raise ArgumentError("inside", f"expected a point inside the region {self}, got {shown(inside.tolist())}")
        with torch.no_grad():
            distance = self._distances(inside, directions.to(inside), farthest)
        return torch.where(distance <= farthest, distance, torch.inf)

    def _distances(self, inside: torch.Tensor, directions: torch.Tensor, farthest: float) -> torch.Tensor:
        """What `extent` returns; beyond `farthest` it may be anything that is farther."""
        return ray_lengths(lambda w: (self.levels(w) < 0).all(-1), inside, directions, farthest)

    def check_start(self, w: torch.Tensor) -> None:
        """Raises ValueError where w (paths, dim) has another number of coordinates or is not inside.

        The levels must be numbers that depend on w alone, and leave it as it is.
        """
        if self.dim not in (None, w.shape[-1]):
            raise ArgumentError("region", f"made for {self.dim} coordinates, but a state has {w.shape[-1]}")
        level = self._checked_levels(w).amax(-1)
        self._check_slope(w)
        outside = ~(level < 0)
        if outside.any():
            worst = int(outside.nonzero()[0])
            point = ", ".join(f"{x:.6g}" for x in w[worst, :8].tolist())
            who = f"{int(outside.sum())} of {len(w)} paths start" if len(w) > 1 else "it lies"
            raise ArgumentError(
                "start",
                f"{who} outside the region {self}, at ({point}), where the region's level is "
                f"{level[worst].item():.6g} and should be negative",
            )

    def _checked_levels(self, w: torch.Tensor) -> torch.Tensor:
        given = w.clone()
        try:
            levels, again = self.levels(given), self.levels(w.clone())
        except Exception as error:
            said = " ".join(str(error).split())
            raise ArgumentError(
                "region", f"the levels of {self} failed at the start, {type(error).__name__}: {said}"
            ) from error
        self._check_kind(levels, (len(w), self.faces))
        if given._version:  # counts writes, which zeros would not show
            raise ArgumentError("region", f"the levels of {self} write into the weights; {WITHOUT_WRITING}")
        if not torch.equal(levels.nan_to_num(), again.nan_to_num()):
            raise ArgumentError(
                "region",
                f"the levels of {self} differ from call to call, {levels.flatten()[0].item():.6g} and then "
                f"{again.flatten()[0].item():.6g} at the first start; {WITHOUT_WRITING}",
            )
        return levels

    def _check_slope(self, w: torch.Tensor) -> None:
        """At a centre, where a distance has a kink, the gradient may be anything up to the slope."""
        for face in range(self.faces if self.slope is not None else 0):
            length = row_norm(self.normal(w, torch.full_like(w[:, 0], face, dtype=torch.int64)))
            wrong = (length > 0) & ((length / self.slope - 1).abs() > 1e-3)
            if wrong.any():
                raise ArgumentError(
                    "region",
                    f"{self} says that its slope is {self.slope:g}, but at the start the gradient of its level has the "
                    f"length {length[wrong][0].item():.6g}; try slope = None, for a slope that is not known",
                )

    def _check_kind(self, levels: object, shape: tuple[int, ...]) -> None:
        if not isinstance(levels, torch.Tensor):
            raise ArgumentError("region", f"expected a tensor of levels, got {type(levels).__name__}")
        if levels.shape != shape:
            raise ArgumentError(
                "region", f"expected levels of the shape (paths, faces) = {shape}, got {tuple(levels.shape)}"
            )
        if levels.dtype is torch.bool or levels.is_complex():
            raise ArgumentError("region", f"expected levels that are real numbers, negative inside, got {levels.dtype}")

    def __repr__(self) -> str:
        return type(self).__name__


class Ball(Region):
    """‖w - centre‖ < radius; φ is the signed distance."""

    slope = 1.0

    def __init__(self, centre: Point, radius: Positive):
        self._centre = DeviceCopies(checks.vector("centre", centre))
        self.radius = checks.positive("radius", radius)
        self.dim = len(self._centre.value)

    def levels(self, w):
        return row_norm(w - self._centre.like(w)) - self.radius

    def normal(self, w, face):
        return _unit(w - self._centre.like(w))

    def _distances(self, inside, directions, farthest):
        """The positive root of ‖p + s d‖ = radius, without cancellation; p is the point as seen from the centre."""
        from_centre = inside - self._centre.like(inside)
        along, rest = directions @ from_centre, self.radius**2 - from_centre.square().sum()
        root = (along.square() + rest).sqrt()
        return torch.where(along > 0, rest / (root + along), root - along)

    def __repr__(self):
        return f"Ball(centre={_short(self._centre)}, radius={self.radius:g})"


class Slab(Region):
    """|n·(w - centre)| < half_width, n the unit vector along `direction`: two faces, each a signed distance."""

    faces = 2
    slope = 1.0

    def __init__(self, centre: Point, direction: Vector, half_width: Positive):
        self._centre = DeviceCopies(checks.vector("centre", centre))
        self.dim = len(self._centre.value)
        direction = checks.vector("direction", direction, self.dim)
        if direction.norm() == 0:
            raise ArgumentError("direction", "expected a vector that is not zero")
        self._direction = DeviceCopies(direction / direction.norm())
        self.half_width = checks.positive("half_width", half_width)

    def levels(self, w):
        position = ((w - self._centre.like(w)) @ self._direction.like(w))[:, None]
        return torch.cat([-position, position], dim=-1) - self.half_width

    def normal(self, w, face):
        side = torch.where(face == 0, -1.0, 1.0).to(w)
        return side[:, None] * self._direction.like(w)

    def _distances(self, inside, directions, farthest):
        n = self._direction.like(inside)
        position, speed = (inside - self._centre.like(inside)) @ n, directions @ n
        return (self.half_width - speed.sign() * position) / speed.abs()

    def __repr__(self):
        return (
            f"Slab(centre={_short(self._centre)}, direction={_short(self._direction)}, half_width={self.half_width:g})"
        )


class Box(Region):
    """low < w < high in every coordinate: two faces a coordinate, each a signed distance.

    An infinite bound is written as a large number.
    """

    slope = 1.0

    def __init__(self, low: Point, high: Point):
        low = checks.vector("low", low)
        high = checks.vector("high", high, len(low))
        if not (low < high).all():
            raise ArgumentError(
                "low", f"expected it below high everywhere, got {shown(low.tolist())} and {shown(high.tolist())}"
            )
        self._low, self._high = DeviceCopies(low), DeviceCopies(high)
        self.dim = len(low)
        self.faces = 2 * self.dim

    def levels(self, w):
        return torch.cat([self._low.like(w) - w, w - self._high.like(w)], dim=-1)

    def normal(self, w, face):
        sign = torch.where(face < self.dim, -1.0, 1.0).to(w)
        return torch.zeros_like(w).scatter_(-1, (face % self.dim)[:, None], sign[:, None])

    def _distances(self, inside, directions, farthest):
        ahead = torch.where(directions > 0, self._high.like(inside) - inside, inside - self._low.like(inside))
        return (ahead / directions.abs()).amin(-1)

    def __repr__(self):
        return f"Box(low={_short(self._low)}, high={_short(self._high)})"


class UnstableDistance(Region):
    """‖P(w - at)‖ < distance, P the projection on the eigenvectors of H(at) with negative eigenvalues.

    Raises
        ValueError: `at` is no critical point (‖∇ℓ‖ above 1e-4 of the scale that the Hessian sets over
            `distance`), or no eigenvalue there is negative.
    """

    slope = 1.0

    def __init__(self, surface: LossSurface, at: Point, distance: Positive):
        at = checks.vector("at", at, require_surface(surface).dim)
        self.distance = checks.positive("distance", distance)
        values, vectors = torch.linalg.eigh(surface.finite_hessian(at, "at"))
        gradient = surface.gradient(at[None])[0].norm().item()
        scale = values.abs().max().item() * self.distance
        if gradient > 1e-4 * scale:
            raise ArgumentError(
                "at", f"{shown(at.tolist())} is no critical point, the gradient there has norm {gradient:.6g}"
            )
        if values[0] >= -1e-9 * values.abs().max():
            raise ArgumentError("at", f"no unstable direction, the eigenvalues there are {shown(values.tolist())}")
        self.dim = surface.dim
        self._at = DeviceCopies(at)
        self._unstable = DeviceCopies(vectors[:, values < 0])

    def _coordinates(self, w):
        return (w - self._at.like(w)) @ self._unstable.like(w)

    def levels(self, w):
        return row_norm(self._coordinates(w)) - self.distance

    def normal(self, w, face):
        return _unit(self._coordinates(w)) @ self._unstable.like(w).mT

    def __repr__(self):
        return f"UnstableDistance(at={_short(self._at)}, distance={self.distance:g})"


class LevelSet(Region):
    """φ(w) < 0 for any torch function φ of ONE vector w (dim,) that returns a scalar.

    It may be scaled as one likes, and need not be a distance. The crossings "bridge" and "shift" take the direction of
    the boundary from its gradient there, and are refused where it has none.
    """

    def __init__(self, level: Callable[[torch.Tensor], torch.Tensor]):
        if not callable(level):
            raise ArgumentError("level", f"expected a function of one vector that is negative inside, got {level!r}")
        self.level = level

    def levels(self, w):
        return torch.func.vmap(self.level)(w)[:, None].to(w.dtype)

    def check_start(self, w):
        try:
            level = self.level(w[0].clone())
        except Exception as error:
            said = " ".join(str(error).split())
            raise ArgumentError("level", f"failed at the start, {type(error).__name__}: {said}") from error
        if not isinstance(level, torch.Tensor) or level.shape != ():
            got = f"the shape {tuple(level.shape)}" if isinstance(level, torch.Tensor) else type(level).__name__
            raise ArgumentError("level", f"expected a scalar for one vector, got {got}; compute it by torch from w")
        if level.dtype is torch.bool or level.is_complex():
            raise ArgumentError("level", f"expected a real number that is negative inside, got {level.dtype}")
        super().check_start(w)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Unit vectors; the first axis where a vector is zero, for at the centre every direction leads out."""
    length = row_norm(vectors)
    first_axis = torch.eye(1, vectors.shape[-1], dtype=vectors.dtype, device=vectors.device)
    return torch.where(length > 0, vectors / length, first_axis)


def _short(constant: DeviceCopies) -> str:
    return "(" + ", ".join(f"{x:g}" for x in constant.value[:8].tolist()) + ")"
