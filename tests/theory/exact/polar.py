"""The mean escape time of SAM from the saddle (x² - y²)/2 by another way: capacities in polar coordinates.

With the noise σ² = ρ²/E the drift is that of Φ = (2/σ²) (-(x² - y²)/2 - ρ r), and E τ from the rim of a small disk is
∫ h e^Φ / ½σ²∫|∇h|² e^Φ, h the probability to come to that disk before the boundary. A finite-volume grid in log r
and the angle, in one quadrant, finds h; the energy is a sum of squares.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve


def mean_escape_time(exponent: float, rho: float, radius: float) -> float:
    coarse, fine = (_on_grid(exponent, rho, radius, n) for n in (200, 400))
    return (4 * fine - coarse) / 3


def _on_grid(exponent, rho, radius, n, core=1e-4):
    variance, m = rho**2 / exponent, n // 5
    r, step = np.geomspace(core * rho, radius, n + 1), np.pi / 2 / m
    angle = (np.arange(m) + 0.5) * step
    phi = 2 / variance * (-(r[:, None] ** 2) * np.cos(2 * angle) / 2 - rho * r[:, None])
    middle = (r[1:] + r[:-1]) / 2
    width = np.diff(np.concatenate([r[:1], middle, r[-1:]]))
    outwards = _conductance(phi[:-1], phi[1:]) * (middle * step / np.diff(r))[:, None] * variance / 2
    around = _conductance(phi[:, :-1], phi[:, 1:]) * (width / (r * step))[:, None] * variance / 2
    number = np.arange(phi.size).reshape(phi.shape)
    i = np.concatenate([number[:-1].ravel(), number[:, :-1].ravel()])
    j = np.concatenate([number[1:].ravel(), number[:, 1:].ravel()])
    c = np.concatenate([outwards.ravel(), around.ravel()])
    w = sparse.coo_array((np.tile(c, 2), (np.append(i, j), np.append(j, i))), shape=(phi.size,) * 2).tocsr()
    free, h = number[1:-1].ravel(), np.zeros(phi.size)
    h[number[0]] = 1.0
    laplacian = (sparse.diags_array(w.sum(axis=1)) - w).tocsr()[free][:, free]
    scale = 1 / np.sqrt(laplacian.diagonal())
    scaled = sparse.diags_array(scale) @ laplacian @ sparse.diags_array(scale)
    h[free] = scale * spsolve(scaled.tocsc(), scale * w[free][:, number[0]].sum(axis=1))
    mass = np.sum(np.exp(phi) * h.reshape(phi.shape) * (r * width * step)[:, None])
    return mass / np.sum(c * (h[i] - h[j]) ** 2)


def _conductance(one, other):
    """1 over the mean of e^{-Φ} on a straight line between two values of Φ."""
    rise = other - one
    flat = np.abs(rise) < 1e-8
    return np.exp(one) / np.where(flat, 1.0, -np.expm1(-rise) / np.where(flat, 1.0, rise))
