"""Losses over data that are drawn from a seed: a teacher's, a matrix's entries, magnitudes, a toy network's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sam_sde.checks import non_negative, whole
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.layers import LayeredLoss
from sam_sde.surfaces.networks import origin
from sam_sde.surfaces.surface import CriticalPoint


def teacher_student(dim: int = 10, n: int = 100, label_noise: float = 0.1, seed: int = 0) -> FiniteSum:
    """½ (w·x - y)² where y = w*·x + label_noise · N: x and N standard normal, w* a random unit vector.

    Critical point: the minimum of this sample, which is not w* itself.

    Raises ValueError for dim below 1, n below dim, and a negative label_noise.
    """
    dim = whole("dim", dim, low=1)
    normal = _Normal(seed)
    x, teacher = normal(whole("n", n, low=dim), dim), normal(dim)
    y = x @ (teacher / teacher.norm()) + non_negative("label_noise", label_noise) * normal(n)
    minimum = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    return FiniteSum(
        LayeredLoss((dim, 1)),
        (x, y[:, None]),
        dim,
        name="teacher_student",
        critical_points=[CriticalPoint(tuple(minimum.tolist()), "minimum")],
    )


def toy_network(n: int = 100, label_noise: float = 0.1, seed: int = 0) -> FiniteSum:
    """½ (w₂ φ(w₁ x) - y)² with φ(x) = x²: two layers of one neuron, dim 2, on y = x² + label_noise · N.

    x and N are standard normal. Critical points: the origin, a saddle (degenerate: on the whole line w₁ = 0 the
    gradient of every sample vanishes), and a minimum on the curve w₂ w₁² = Σ x² y/Σ x⁴. The network is that of Kim et
    al., arXiv 2301.06308; their data are not published.

    Raises ValueError for n below 1, and a negative label_noise.
    """
    normal = _Normal(seed)
    x = normal(whole("n", n, low=1), 1)
    y = x.square() + non_negative("label_noise", label_noise) * normal(n, 1)
    scale = ((x.square() * y).sum() / x.pow(4).sum()).item()
    root = abs(scale) ** (1 / 3)
    return FiniteSum(
        LayeredLoss((1, 1, 1), activation="square"),
        (x, y),
        2,
        name="toy_network",
        critical_points=[origin(2), CriticalPoint((root, root if scale > 0 else -root), "minimum")],
    )


def matrix_factorization(
    rows: int = 10, columns: int = 8, rank: int = 2, label_noise: float = 0.1, seed: int = 0
) -> FiniteSum:
    """½ (u_i·v_j - M_ij)² over all entries of a matrix M, weights (U, V): dim (rows + columns) · rank.

    M is a random matrix of rank `rank` with singular values near √(rows · columns), plus label_noise · N. Critical
    points: the origin, a saddle whose Hessian has the eigenvalues ±s/(rows · columns), `rank` times each, for every
    singular value s of M; and the minimum from its singular value decomposition.

    Raises ValueError for whole numbers below 1, a rank above rows or columns, and a negative label_noise.
    """
    rows, columns = whole("rows", rows, low=1), whole("columns", columns, low=1)
    rank = whole("rank", rank, low=1, high=min(rows, columns))
    normal = _Normal(seed)
    matrix = normal(rows, rank) @ normal(rank, columns) + non_negative("label_noise", label_noise) * normal(
        rows, columns
    )
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    root = s[:rank].sqrt()
    minimum = torch.cat([(u[:, :rank] * root).flatten(), (vt[:rank].mT * root).flatten()])
    # A row is chosen by a product with a unit vector: torch.func cannot use a sample as an index.
    row, column = torch.eye(rows).repeat_interleave(columns, 0), torch.eye(columns).repeat(rows, 1)
    return FiniteSum(
        _MatrixEntry(rows, columns, rank),
        (row, column, matrix.flatten()),
        (rows + columns) * rank,
        name="matrix_factorization",
        critical_points=[origin((rows + columns) * rank), CriticalPoint(tuple(minimum.tolist()), "minimum")],
    )


def phase_retrieval(dim: int = 5, n: int = 50, seed: int = 0) -> FiniteSum:
    """¼ ((a·w)² - (a·w*)²)²: a vector from the magnitudes of its products with standard normal vectors a.

    w* is a random unit vector. Critical points: the origin, a maximum, and the minima ±w*, where every sample's
    gradient vanishes. The saddles lie near the vectors of length 1/√3 across w* (Sun, Qu and Wright, "A geometric
    analysis of phase retrieval", 2018); where exactly depends on the sample.

    Raises ValueError for dim below 1 and n below dim.
    """
    dim = whole("dim", dim, low=1)
    normal = _Normal(seed)
    a, truth = normal(whole("n", n, low=dim), dim), normal(dim)
    truth = truth / truth.norm()
    return FiniteSum(
        _Magnitude(),
        (a, (a @ truth).square()),
        dim,
        name="phase_retrieval",
        critical_points=[
            origin(dim, "maximum"),
            CriticalPoint(tuple(truth.tolist()), "minimum"),
            CriticalPoint(tuple((-truth).tolist()), "minimum"),
        ],
    )


class _Normal:
    """Standard normal tensors from a seed."""

    def __init__(self, seed: int):
        self._generator = torch.Generator().manual_seed(whole("seed", seed, low=0))

    def __call__(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)


@dataclass(frozen=True)
class _MatrixEntry:
    rows: int
    columns: int
    rank: int

    def __call__(self, w: torch.Tensor, sample: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
        row, column, entry = sample
        u = w[: self.rows * self.rank].view(self.rows, self.rank)
        v = w[self.rows * self.rank :].view(self.columns, self.rank)
        return 0.5 * ((row @ u) @ (column @ v) - entry).square()


@dataclass(frozen=True)
class _Magnitude:
    def __call__(self, w: torch.Tensor, sample: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        a, square = sample
        return 0.25 * ((a @ w).square() - square).square()
