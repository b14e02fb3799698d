"""Lanczos' method for many symmetric matrices at once, from their products with vectors only."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FIRST_CHECK, TO_NEXT_CHECK = 10, 1.25  # in steps, and by what factor the steps then grow

# A remainder this small beside what was removed from it is rounding: the Krylov space is exhausted.
EXHAUSTED = 1e-12


class Ritz(NamedTuple):
    """Ritz values (paths, steps), ascending, and the share (paths, steps) of the start's square that each carries.

    For a start u, uᵀ f(H) u ≈ ‖u‖² Σ_k shares_k f(values_k), Gauss' quadrature: exact for polynomials f up to degree
    2·steps - 1. A row is NaN where a product was not finite.
    """

    values: Tensor
    shares: Tensor


def symmetric_spectrum(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (…, n), ascending, and eigenvectors (…, n, n), in columns; values are NaN where it is not finite."""
    finite = torch.isfinite(matrix).all(-1).all(-1)[..., None]
    values, vectors = torch.linalg.eigh(torch.where(finite[..., None], matrix, 0.0))
    return torch.where(finite, values, torch.nan), vectors


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, n_steps: int, tolerance: float = 0.0) -> Ritz:
    """Ritz values of the symmetric matrices H in the Krylov spaces of `start` (paths, dim).

    product: v (paths, dim) to H v (paths, dim). n_steps: dimension of the spaces, at most dim. It ends earlier where
    the residuals of the two extreme values are below `tolerance` times the larger of them, for all paths.

    The memory is that of `n_steps` vectors a path, since all of them are kept orthogonal (Parlett, The Symmetric
    Eigenvalue Problem, 1998). The libraries at hand have it for one matrix at a time.
    """
    basis = start.new_empty(n_steps, *start.shape)
    diagonal, off_diagonal = start.new_zeros(2, len(start), n_steps).unbind()
    v, check = _normalized(start), FIRST_CHECK
    for step in range(n_steps):
        basis[step] = v
        image = product(v)
        diagonal[:, step] = (v * image).sum(-1)
        remainder = image
        for _ in range(2):  # once leaves a trace of the basis, which grows
            remainder = remainder - _projection(basis[: step + 1], remainder)
        length = remainder.norm(dim=-1)
        length = torch.where(length > EXHAUSTED * image.norm(dim=-1), length, 0.0)
        # Where the space is exhausted, later values must not widen the range: the start's own lies inside it.
        over = (v == 0).all(-1)
        diagonal[over, step] = diagonal[over, 0]
        if step + 1 == n_steps:
            break
        if step + 1 == check:
            if _converged(diagonal, off_diagonal, length, check, tolerance):
                break
            check = int(TO_NEXT_CHECK * check)
        off_diagonal[:, step] = length
        v = torch.where(length[:, None] > 0, remainder / length[:, None], 0.0)
    values, vectors = _decomposed(diagonal, off_diagonal, step + 1)
    return Ritz(values, vectors[:, 0].square())


def _normalized(v: Tensor) -> Tensor:
    length = v.norm(dim=-1, keepdim=True)
    return torch.where(length > 0, v / length, 0.0)


def _projection(basis: Tensor, v: Tensor) -> Tensor:
    """The part of v (paths, dim) in the span of the orthonormal `basis` (steps, paths, dim)."""
    return torch.einsum("kpd,kp->pd", basis, torch.einsum("kpd,pd->kp", basis, v))


def _converged(diagonal: Tensor, off_diagonal: Tensor, length: Tensor, n_steps: int, tolerance: float) -> bool:
    values, vectors = _decomposed(diagonal, off_diagonal, n_steps)
    ends = [0, -1]
    residuals = length * vectors[:, -1, ends].abs().amax(-1)
    return bool((~(residuals > tolerance * values[:, ends].abs().amax(-1))).all())


def _decomposed(diagonal: Tensor, off_diagonal: Tensor, n_steps: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of the tridiagonal matrices."""
    beside = off_diagonal[:, : n_steps - 1]
    matrix = torch.diag_embed(diagonal[:, :n_steps])
    return symmetric_spectrum(matrix + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1))
