"""Escape from a disk around a nonlinear saddle against the backward equation, solved by finite elements."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from skfem import Basis, BilinearForm, ElementTriP2, LinearForm, MeshTri, condense, solve

import sam_sde as ss
from sam_sde.surfaces import expression_surface

SURFACE = expression_surface("x**2/2 - y**2/2 + x*y**2/4 + y**4/8")
RADIUS, RHO = 0.8, 0.3
LR, BATCH, SIGMA = 0.02, 4, 5.0
VARIANCE = LR * SIGMA**2 / BATCH  # 0.125 per unit of time
DT = 0.0125
DISCRETISATION = 0.01  # Euler's bias, of the size of |λ|·dt, and the finite elements' 0.1 %
STARTS = [(0.0, 0.0), (0.2, 0.3)]
ISOTROPIC, OBLIQUE = ((1.0, 0.0), (0.0, 1.0)), ((1.0, -0.4), (-0.4, 0.5))


def gradient(x, y):
    """By hand."""
    return x + y**2 / 4, -y + x * y / 2 + y**3 / 2


# The same with this gradient, which the package holds against that by torch and which is several times as fast.
GIVEN = ss.LossSurface(SURFACE.loss, 2, gradient=lambda w: torch.stack(gradient(*w.unbind(1)), dim=1))


def sgd_drift(x, y):
    gx, gy = gradient(x, y)
    return -gx, -gy


def usam_drift(x, y):
    gx, gy = gradient(x, y)
    return sgd_drift(x + RHO * gx, y + RHO * gy)


def sam_drift(x, y):
    gx, gy = gradient(x, y)
    length = np.hypot(gx, gy) + 1e-300
    return sgd_drift(x + RHO * gx / length, y + RHO * gy / length)


ARMS = {
    "SGD": (sgd_drift, lambda surface, noise: ss.SGD(surface, noise, lr=LR, batch_size=BATCH)),
    "USAM": (usam_drift, lambda surface, noise: ss.USAM(surface, noise, lr=LR, batch_size=BATCH, rho=RHO)),
    "SAM": (sam_drift, lambda surface, noise: ss.SAM(surface, noise, lr=LR, batch_size=BATCH, rho=RHO)),
}


@functools.cache
def mean_exit_time(arm, covariance=ISOTROPIC, refinements=5):
    """u(x, y) with ½ v Σ:∇∇u + b·∇u = -1 inside and u = 0 on the circle, by quadratic elements."""
    mesh = MeshTri.init_circle(refinements).scaled(RADIUS)
    basis = Basis(mesh, ElementTriP2(), intorder=6)
    drift = ARMS[arm][0]

    @BilinearForm
    def operator(u, v, w):
        bx, by = drift(*w.x)
        ux, uy = u.grad
        vx, vy = v.grad
        (a, b), (c, d) = covariance
        diffusion = VARIANCE / 2 * (vx * (a * ux + b * uy) + vy * (c * ux + d * uy))
        return diffusion - (bx * ux + by * uy) * v

    @LinearForm
    def source(v, w):
        return 1.0 * v

    system = condense(operator.assemble(basis), source.assemble(basis), D=basis.get_dofs())
    return basis.interpolator(solve(*system))


def exact(arm, start, **options):
    return mean_exit_time(arm, **options)(np.array(start)[:, None])[0]


def simulated(arm, start, covariance=ISOTROPIC, surface=GIVEN, n_paths=6_000, seed=0):
    noise = ss.ConstantNoise((SIGMA**2 * np.array(covariance)).tolist())
    result = ss.escape_times(
        ARMS[arm][1](surface, noise),
        start=start,
        region=ss.Ball([0.0, 0.0], RADIUS),
        t_max=100.0,
        dt=DT,
        n_paths=n_paths,
        seed=seed,
        device="cpu",
    )
    assert (result.outcome == ss.Outcome.ESCAPED).all()
    return result.times


def assert_mean(times, expected):
    assert abs(times.mean() - expected) < 4 * times.std() / math.sqrt(len(times)) + DISCRETISATION * expected


@pytest.mark.parametrize("arm", ARMS)
def test_finite_elements_have_converged(arm):
    for start in STARTS:
        coarse, fine = (exact(arm, start, refinements=n) for n in (4, 5))
        assert coarse == pytest.approx(fine, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("arm", "start"), [*itertools.product(["SGD", "USAM"], STARTS), ("SAM", STARTS[1])])
def test_mean_exit_time_solves_the_backward_equation(arm, start):
    assert_mean(simulated(arm, start), exact(arm, start))


def test_mean_exit_time_under_oblique_noise_solves_the_backward_equation():
    assert_mean(simulated("SGD", STARTS[0], OBLIQUE, SURFACE), exact("SGD", STARTS[0], covariance=OBLIQUE))


def test_the_arms_differ_by_more_than_the_bounds():
    # Otherwise the tests above could not tell them apart.
    times = [exact(arm, STARTS[0]) for arm in ARMS]
    assert times[1] > 1.15 * times[0]
    assert times[2] > 1.4 * times[1]
