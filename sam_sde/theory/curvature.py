"""The Hessian at many states: its eigenvalues and eigenvectors, and the gradient that stationary noise has there.

Whatever in this room looks at eigenvalues looks here; where a matrix is not finite they are NaN.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sam_sde.noise import Noise
from sam_sde.surfaces import LossSurface
from sam_sde.theory.lanczos import lanczos, symmetric_spectrum

DENSE_DIM = 100  # beyond, products cost less than the whole matrix
MOST_STEPS = 300
RESIDUAL = 1e-5  # of the largest eigenvalue: a bound on the error of Lanczos' ones

# tr(|H| Σ) beyond DENSE_DIM is the mean over so many random vectors, each by so many steps of a quadrature.
PROBES = 8
PROBE_STEPS = 20
SEED = 0

MOST_FOR_A_WARNING = 500

NUMBERS_AT_ONCE = 2**22  # 32 MiB in double precision


def spectrum_at(surface: LossSurface, at: Tensor) -> tuple[Tensor, Tensor] | None:
    """Eigenvalues (dim,) of H at one point (dim,), ascending, and eigenvectors (dim, dim), in columns, in float64.

    None where the Hessian is not finite, or so large that its eigenvalues cost more than the warning they are for.
    """
    if surface.dim > MOST_FOR_A_WARNING:
        return None
    values, vectors = symmetric_spectrum(surface.hessian(at.double()[None])[0])
    return (values, vectors) if torch.isfinite(values).all() else None


class Curvature(NamedTuple):
    """Smallest and largest eigenvalue of H (paths,), and tr(|H| Σ) (paths,); NaN where H is not finite."""

    smallest: Tensor
    largest: Tensor
    noise_trace: Tensor

    @property
    def norm(self) -> Tensor:
        """‖H‖ (paths,)."""
        return torch.maximum(self.smallest.abs(), self.largest.abs())


def curvature(surface: LossSurface, noise: Noise, w: Tensor, shift: float = 0.0) -> Curvature:
    """The curvature of ℓ + (shift/2)‖w‖² at w (paths, dim): exact up to dim 100, from products with H beyond."""
    return (_dense if surface.dim <= DENSE_DIM else _from_products)(surface, noise, w, shift)


def paths_at_once(surface: LossSurface, noise: Noise) -> int:
    """How many states `curvature` can take in bounded memory."""
    dim = surface.dim
    columns = max(dim, noise.channels(dim)) if dim <= DENSE_DIM else min(dim, MOST_STEPS)
    return max(1, NUMBERS_AT_ONCE // (dim * columns))


def _dense(surface: LossSurface, noise: Noise, w: Tensor, shift: float) -> Curvature:
    values, vectors = symmetric_spectrum(surface.hessian(w))
    values = values + shift
    variances = (vectors.mT @ noise.factor(w)).square().sum(-1)
    return Curvature(values[:, 0], values[:, -1], (values.abs() * variances).sum(-1))


def _from_products(surface: LossSurface, noise: Noise, w: Tensor, shift: float) -> Curvature:
    def product(v: Tensor) -> Tensor:
        return surface.hessian_product(w, v) + shift * v

    generator = torch.Generator().manual_seed(SEED)

    def normals(count: int) -> Tensor:
        return torch.randn(count, dtype=w.dtype, generator=generator).to(w.device).expand(len(w), -1)

    values = lanczos(product, normals(surface.dim), min(surface.dim, MOST_STEPS), RESIDUAL).values
    noise_trace = torch.zeros_like(values[:, 0])
    for _ in range(PROBES):
        u = noise.product(w, normals(noise.channels(surface.dim)))
        ritz = lanczos(product, u, min(surface.dim, PROBE_STEPS))
        noise_trace += u.square().sum(-1) * (ritz.shares * ritz.values.abs()).sum(-1) / PROBES
    return Curvature(values[:, 0], values[:, -1], noise_trace)
