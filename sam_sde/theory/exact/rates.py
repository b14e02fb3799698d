"""Rates between the points of a grid that stand for a drift and a covariance, however small the noise.

In the coordinates of the grid, in which its points are whole numbers, the generator is
L = ½ Σ_k w_k (∂_k² + (p·e_k) ∂_k), with a = Σ_k w_k e_k e_kᵀ and p = 2 a⁻¹ f.
"""

from __future__ import annotations

import numpy as np

MOST_REDUCTIONS = 200


def bernoulli(z: np.ndarray) -> np.ndarray:
    """z/(e^z - 1), and 1 at 0."""
    z = np.clip(z, -1e300, 700.0)
    small = np.abs(z) < 1e-8
    return np.where(small, 1 - z / 2, z / np.expm1(np.where(small, 1.0, z)))


def arm_rates(weights: np.ndarray, lengths: np.ndarray, growths: np.ndarray) -> np.ndarray:
    """Rates (2, …) from a point to the ends of two arms in opposite directions, for ½ w (∂² + p ∂) along them.

    weights w, lengths and growths ∫p, outwards, are (2, …), one for each arm. The rates are those of the exact
    probability and mean time to come to one of the ends with a constant w and p on each arm; with the same on both
    they are those of Scharfetter and Gummel (IEEE Trans. Electron Devices 16, 1969).
    """
    b = bernoulli(-growths)
    small = np.abs(growths) < 1e-4
    waits = np.where(small, 0.5 + growths / 12, (b - 1) / np.where(small, 1.0, growths))
    return b / lengths / (2 * lengths * waits / weights).sum(axis=0)


def selling(a: np.ndarray) -> np.ndarray:
    """Whole vectors e (points, 3, 2) with a = Σ_k w_k e_k e_kᵀ and no w_k below 0, for a (points, 2, 2).

    Selling's reduction (J. reine angew. Math. 77, 1874), as Fehrenbach and Mirebeau use it (J. Math. Imaging Vis. 49,
    2014): vectors v_0 + v_1 + v_2 = 0 are exchanged until no two of them are at an acute angle by a.
    """
    v = np.broadcast_to(np.array([[1, 0], [0, 1], [-1, -1]]), (len(a), 3, 2)).copy()
    pairs = ((1, 2), (0, 2), (0, 1))  # the pair without v_k
    for _ in range(MOST_REDUCTIONS):
        products = np.stack([_product(v[:, i], a, v[:, j]) for i, j in pairs], axis=1)
        scale = np.trace(a, axis1=1, axis2=2)
        worst = products.argmax(axis=1)
        acute = np.take_along_axis(products, worst[:, None], 1)[:, 0] > 1e-14 * scale
        if not acute.any():
            break
        for k, (i, j) in enumerate(pairs):
            rows = np.flatnonzero(acute & (worst == k))
            v[rows, k] = v[rows, i] - v[rows, j]
            v[rows, i] = -v[rows, i]
    return _turned(v)


def weights_of(e: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The weights w (points, 3) of a = Σ_k w_k e_k e_kᵀ for vectors e (points, 3, 2) of `selling`."""
    v = _turned(e)
    return np.stack([-_product(v[:, i], a, v[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)


def _turned(v: np.ndarray) -> np.ndarray:
    """Vectors (…, 2) by a right angle; which way round makes no difference."""
    return np.stack([-v[..., 1], v[..., 0]], axis=-1)


def _product(v: np.ndarray, a: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.einsum("ni,nij,nj->n", v, a, w)
