"""Well-known test surfaces in closed form, with their critical points."""

from __future__ import annotations

import itertools
from functools import partial

import torch

from sam_sde.checks import positive, real, whole
from sam_sde.surfaces.separable import separable_critical_point
from sam_sde.surfaces.surface import CriticalPoint, LossSurface


def monkey_saddle() -> LossSurface:
    """ℓ(x, y) = x³ - 3xy²: a degenerate saddle at the origin, where the Hessian vanishes. dim 2.

    Source: Hilbert and Cohn-Vossen, Geometry and the Imagination (1952).
    """
    return LossSurface(
        _monkey_saddle,
        2,
        name="monkey_saddle",
        critical_points=[CriticalPoint((0.0, 0.0), "saddle")],
    )


def beale() -> LossSurface:
    """ℓ(x, y) = (1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)². dim 2.

    The minimum 0 at (3, 0.5); at the saddle (0, 1) the loss is 14.203125 and the Hessian has eigenvalues
    ±27.75; a second saddle, with eigenvalues -0.78 and 868, lies at (0.10, -2.64).

    Source: Beale, On an Iterative Method for Finding a Local Minimum of a Function of More Than One Variable
    (1958).
    """
    return LossSurface(
        _beale,
        2,
        name="beale",
        gradient=_beale_gradient,
        critical_points=[
            CriticalPoint((3.0, 0.5), "minimum"),
            CriticalPoint((0.0, 1.0), "saddle"),
            CriticalPoint((0.100537937324158359, -2.64451358502312497), "saddle"),
        ],
    )


def rosenbrock(a: float = 1.0, b: float = 100.0) -> LossSurface:
    """ℓ(x, y) = (a - x)² + b (y - x²)²: a curved valley with its minimum 0 at (a, a²). dim 2.

    Defaults: a = 1, b = 100. Source: Rosenbrock, An Automatic Method for Finding the Greatest or Least Value
    of a Function (1960). Raises ValueError where b is not above 0.
    """
    a, b = real("a", a), positive("b", b)
    return LossSurface(
        partial(_rosenbrock, a=a, b=b),
        2,
        name="rosenbrock",
        gradient=partial(_rosenbrock_gradient, a=a, b=b),
        critical_points=[CriticalPoint((a, a**2), "minimum")],
    )


def himmelblau() -> LossSurface:
    """ℓ(x, y) = (x² + y - 11)² + (x + y² - 7)²: four minima 0, four saddles, one maximum. dim 2.

    Source: Himmelblau, Applied Nonlinear Programming (1972).
    """
    return LossSurface(
        _himmelblau,
        2,
        name="himmelblau",
        gradient=_himmelblau_gradient,
        critical_points=[
            CriticalPoint((3.0, 2.0), "minimum"),
            CriticalPoint((-2.80511808695274485, 3.13131251825057297), "minimum"),
            CriticalPoint((-3.77931025337774689, -3.28318599128616941), "minimum"),
            CriticalPoint((3.58442834033049174, -1.84812652696440355), "minimum"),
            CriticalPoint((3.38515418360702094, 0.0738518798377492877), "saddle"),
            CriticalPoint((0.0866775045553963518, 2.88425470117477611), "saddle"),
            CriticalPoint((-3.07302575076438961, -0.0813530442879675116), "saddle"),
            CriticalPoint((-0.127961346730680066, -1.95371498024457643), "saddle"),
            CriticalPoint((-0.270844590667347613, -0.923038556479981463), "maximum"),
        ],
    )


def styblinski_tang(dim: int = 2) -> LossSurface:
    """ℓ(x) = ½ Σ_i (x_i⁴ - 16 x_i² + 5 x_i), default dim 2.

    Each coordinate of a critical point is a root of 4x³ - 32x + 5 (two minima and a maximum between them), so
    there are 3^dim. Listed are all of them for dim 1 and 2, otherwise the global minimum, the maximum, and
    one saddle with a single negative eigenvalue.

    Source: Styblinski and Tang, Experiments in Nonconvex Optimization: Stochastic Approximation with Function
    Smoothing and Simulated Annealing (1990). Raises ValueError for a dim below 1.
    """
    dim = whole("dim", dim, low=1)
    roots = (-2.9035340277711771, 0.156731256780340103, 2.74680277099083699)
    lowest, top, upper = [(x, 6 * x**2 - 16) for x in roots]
    if dim <= 2:
        chosen = itertools.product((lowest, top, upper), repeat=dim)
    else:
        chosen = [[lowest] * dim, [top] * dim, [top] + [lowest] * (dim - 1)]
    return LossSurface(
        _styblinski_tang,
        dim,
        name="styblinski_tang",
        critical_points=[separable_critical_point(point) for point in chosen],
    )


def muller_brown() -> LossSurface:
    """ℓ(x, y) = Σ_k A_k exp(a_k (x-x_k)² + b_k (x-x_k)(y-y_k) + c_k (y-y_k)²), k = 1…4. dim 2.

    A model of a chemical reaction: three minima joined by two saddles, at the usual parameters.

    Source: Müller and Brown, Location of Saddle Points and Minimum Energy Paths by a Constrained Simplex
    Optimization Procedure (1979).
    """
    return LossSurface(
        _muller_brown,
        2,
        name="muller_brown",
        critical_points=[
            CriticalPoint((-0.558223634633024277, 1.44172584180466866), "minimum"),
            CriticalPoint((0.62349940493087651, 0.0280377585286856657), "minimum"),
            CriticalPoint((-0.0500108229982060578, 0.466694104871972088), "minimum"),
            CriticalPoint((-0.822001558732732097, 0.624312802814871361), "saddle"),
            CriticalPoint((0.212486582000662007, 0.292988325107367765), "saddle"),
        ],
    )


def scalar_factorization() -> LossSurface:
    """ℓ(w) = ½ (w_0 w_1 - 1)²: the smallest linear network. dim 2.

    A saddle at the origin with eigenvalues ±1; every point with w_0 w_1 = 1 is a minimum, of which the two
    nearest to the origin are listed. They are flat (an eigenvalue 0) along that curve.
    """
    return LossSurface(
        _scalar_factorization,
        2,
        name="scalar_factorization",
        critical_points=[
            CriticalPoint((0.0, 0.0), "saddle"),
            CriticalPoint((1.0, 1.0), "minimum"),
            CriticalPoint((-1.0, -1.0), "minimum"),
        ],
    )


def _monkey_saddle(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind()
    return x * (x * x - 3 * y * y)


def _beale(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind()
    square = y * y
    first, second, third = 1.5 + x * (y - 1), 2.25 + x * (square - 1), 2.625 + x * (square * y - 1)
    return first * first + second * second + third * third


def _beale_gradient(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind(-1)
    square = y * y
    slopes = y - 1, square - 1, square * y - 1  # of the three terms, along x
    first, second, third = (c + x * slope for c, slope in zip((1.5, 2.25, 2.625), slopes, strict=True))
    along_x = first * slopes[0] + second * slopes[1] + third * slopes[2]
    along_y = x * (first + 2 * second * y + 3 * third * square)
    return torch.stack([2 * along_x, 2 * along_y]).mT


def _rosenbrock(w: torch.Tensor, *, a: float, b: float) -> torch.Tensor:
    x, y = w.unbind()
    return (a - x) ** 2 + b * (y - x * x) ** 2


def _rosenbrock_gradient(w: torch.Tensor, *, a: float, b: float) -> torch.Tensor:
    x, y = w.unbind(-1)
    along_y = 2 * b * (y - x * x)
    return torch.stack([2 * (x - a) - 2 * along_y * x, along_y]).mT


def _himmelblau(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind()
    return (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2


def _himmelblau_gradient(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind(-1)
    first, second = x * x + y - 11, x + y * y - 7
    return 2 * torch.stack([2 * first * x + second, first + 2 * second * y]).mT


def _styblinski_tang(w: torch.Tensor) -> torch.Tensor:
    square = w * w
    return 0.5 * (square * (square - 16) + 5 * w).sum()


# A, a, b, c, x, y of each term.
_MULLER_BROWN = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)


def _muller_brown(w: torch.Tensor) -> torch.Tensor:
    x, y = w.unbind()
    loss = torch.zeros_like(x)
    for A, a, b, c, x_k, y_k in _MULLER_BROWN:
        u, v = x - x_k, y - y_k
        loss = loss + A * torch.exp(a * u * u + b * u * v + c * v * v)
    return loss


def _scalar_factorization(w: torch.Tensor) -> torch.Tensor:
    return 0.5 * (w[0] * w[1] - 1) ** 2
