"""Mean escape times of discrete chains in one dimension by quadrature: nothing of them is simulated."""

import numpy as np
from scipy.stats import norm


def mean_escape_time(mean, spread: float, exit_at: float, bridge: bool, low: float, n: int = 200) -> float:
    """E τ in steps from 0 of x' = mean(x) + spread·N, which leaves at exit_at or above.

    bridge: whether a step that ends inside has yet left, with probability exp(-2 (exit - x)(exit - x')/spread²).

    τ = 1 + ∫ K(x, x') τ(x') dx' is solved at Gauss-Legendre nodes on (low, exit_at). A step that leaves by a bridge, or
    by its end, counts as a whole one.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    x = 0.5 * (exit_at - low) * (nodes + 1.0) + low
    weights = 0.5 * (exit_at - low) * weights
    x = np.append(x, 0.0)
    kernel = norm.pdf((x[None, :-1] - mean(x)[:, None]) / spread) / spread
    if bridge:
        kernel *= -np.expm1(-2.0 * (exit_at - x)[:, None] * (exit_at - x)[None, :-1] / spread**2)
    kernel *= weights
    time = np.linalg.solve(np.eye(n) - kernel[:-1], np.ones(n))
    return float(1.0 + kernel[-1] @ time)
