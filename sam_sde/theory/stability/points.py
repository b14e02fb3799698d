"""Critical points of a surface: those that it knows, and those that are found inside bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError, InputError
from sam_sde.surfaces import LossSurface, require_surface
from sam_sde.theory.stability.linear import is_flat
from sam_sde.theory.stability.roots import APART, Bounds, as_bounds, find_zeros, polished

STARTS = 64
MOST_COORDINATES = 1_000
FLAT_GRADIENT = 1e-8  # of ‖H‖(1+‖w‖): the gradient at a critical point
ROUNDED = 1e-3  # of 1+‖w‖: what a point that somebody names may lack of its digits
SAME_LOSS = 1e-9  # relative: degenerate points of one loss are those of one valley
PROBES = (1e-3, 1e-2)  # how far to look along a flat direction, relative to 1+‖w‖


@dataclass(frozen=True, eq=False)
class Critical:
    """A point (dim,) where the gradient vanishes.

    eigenvalues (dim,), ascending, and eigenvectors (dim, dim), in columns, of the Hessian; index: how many of them are
    negative; kind: minimum, saddle (degenerate ones too) or maximum; loss: ℓ there.
    """

    location: np.ndarray
    kind: str
    index: int
    loss: float
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray


def critical_points(
    surface: LossSurface, bounds: Sequence[Sequence[float]] | None = None, *, starts: int = STARTS
) -> list[Critical]:
    """The critical points of a surface: those that it lists, and with `bounds` also those that are found inside.

    bounds: the corners [low, high] of a box (dim,). starts: from how many points in the box, spread evenly and always
    the same, the gradient's zeros are searched for. That finds all of them only if there are starts enough. What is
    known or found is polished by Newton's method, and each point stands once; of the degenerate ones that are found,
    as along a valley, one for each loss. Those that are known come first, then by their loss.

    Raises
        ValueError: no point is known or found, the bounds are none of the surface, or it has over 1,000 coordinates.
    """
    if require_surface(surface).dim > MOST_COORDINATES:
        raise ArgumentError(
            "surface", f"expected at most {MOST_COORDINATES} coordinates, for whose Hessian is room, got {surface.dim}"
        )
    points = [_classified(surface, _polish(surface, known.location), known.kind) for known in surface.critical_points]
    if bounds is not None:
        box = as_bounds(bounds, surface.dim)
        zeros = find_zeros(surface.gradient, box, box.starts(checks.whole("starts", starts, low=1)))
        found = sorted((_classified(surface, zero) for zero in zeros), key=lambda point: point.loss)
        for point in found:
            if not any(_is_same(point, other) for other in points):
                points.append(point)
        if not points:
            raise _none_found(surface, box, starts)
    if not points:
        raise ArgumentError(
            "bounds", f"missing; the surface {surface.name} lists no critical point, so say where to look for some"
        )
    return points


def critical_point_at(surface: LossSurface, location: np.ndarray, name: str) -> Critical:
    """The critical point that `location` (dim,) is, up to the rounding of its digits.

    Raises ArgumentError where the argument `name` is none.
    """
    found = _polish(surface, location, ROUNDED)
    gradient = surface.gradient(torch.from_numpy(found)[None])[0].norm().item()
    point = _classified(surface, found)
    if not gradient <= FLAT_GRADIENT * np.abs(point.eigenvalues).max() * (1.0 + np.linalg.norm(found)):
        place = checks.shown(np.asarray(location).tolist())
        raise ArgumentError(name, f"{place} is no critical point, the gradient there has norm {gradient:.4g}")
    return point


def _polish(surface: LossSurface, location: Sequence[float], apart: float = APART) -> np.ndarray:
    """A known point without the rounding of its list; as it is where Newton's method leads elsewhere."""
    known = np.array(location, dtype=float)
    found = polished(
        lambda point: surface.gradient(torch.from_numpy(point)[None])[0].numpy(),
        lambda point: surface.hessian(torch.from_numpy(point)[None])[0].numpy(),
        known,
    )
    near = found is not None and np.linalg.norm(found - known) <= apart * (1.0 + np.linalg.norm(known))
    return found if near else known


def _classified(surface: LossSurface, location: np.ndarray, kind: str | None = None) -> Critical:
    at = torch.from_numpy(location)[None]
    with torch.no_grad():
        loss = surface.value(at).item()
        values, vectors = (each[0].numpy() for each in torch.linalg.eigh(surface.hessian(at)))
    flat = is_flat(values)
    index = int(((values < 0) & ~flat).sum())
    kind = kind or _kind(surface, location, values, vectors, flat)
    return Critical(location, kind, index, loss, values, vectors)


def _kind(surface: LossSurface, location: np.ndarray, values: np.ndarray, vectors: np.ndarray, flat: np.ndarray) -> str:
    """By the signs of the eigenvalues, and along flat directions by the loss beside the point."""
    falls, rises = (values[~flat] < 0).any(), (values[~flat] > 0).any()
    if flat.any():
        change = _changes(surface, location, vectors[:, flat].T)
        falls, rises = falls or (change < 0).any(), rises or (change > 0).any()
    if falls and rises:
        return "saddle"
    return "maximum" if falls else "minimum"


def _changes(surface: LossSurface, location: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How the loss changes along the directions, both ways; 0 where that is rounding."""
    size = 1.0 + np.linalg.norm(location)
    beside = [location + sign * probe * size * directions for probe in PROBES for sign in (-1, 1)]
    with torch.no_grad():
        values = surface.value(torch.from_numpy(np.concatenate([location[None], *beside]))).numpy()
    change = values[1:] - values[0]
    return np.where(np.abs(change) <= 1e-12 * max(np.abs(values).max(), 1e-300), 0.0, change)


def _is_same(point: Critical, other: Critical) -> bool:
    apart = np.linalg.norm(point.location - other.location)
    if apart <= APART * (1.0 + np.linalg.norm(point.location)):
        return True
    flat = is_flat(point.eigenvalues).any() and is_flat(other.eigenvalues).any()
    equal = abs(point.loss - other.loss) <= SAME_LOSS * (1.0 + abs(other.loss))
    return bool(flat and equal and point.kind == other.kind)


def _none_found(surface: LossSurface, box: Bounds, starts: int) -> InputError:
    points = torch.from_numpy(box.starts(starts))
    norms = surface.gradient(points).norm(dim=-1)
    least = int(norms.nan_to_num(nan=torch.inf).argmin())
    place = ", ".join(f"{x:.4g}" for x in points[least, :8].tolist())
    return ArgumentError(
        "bounds",
        f"no critical point found from {starts} starts; of these the gradient is smallest, {norms[least]:.3g}, at "
        f"({place}); try other bounds or more starts",
    )
