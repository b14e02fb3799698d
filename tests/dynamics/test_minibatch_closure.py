"""Drift and noise of SAM against the minibatch gradient they stand for, over the minibatch's noise ξ.

The closure of normalized SAM is exact for ‖∇ℓ‖ far above the noise, and at ∇ℓ = 0 for isotropic noise of independent
batches; it is approximate between, with an error that grows with κ = ρ|λ|/√(tr Σ/B), 0.22 to 0.57 here.
"""

import math

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic

LR, BATCH, RHO, N = 0.02, 32, 0.1, 100_000

# Covariance of one sample's gradient, by name and dimension; the eigenvalues of the Hessian are ±2.
COVARIANCES = {
    ("isotropic", 2): 2 * np.eye(2),
    ("isotropic", 10): 2 * np.eye(10),
    ("anisotropic", 2): np.diag([0.63, 6.3]),
    ("oblique", 2): np.array([[3.0, 2.0], [2.0, 2.0]]),
    ("anisotropic", 10): np.diag(2 * np.logspace(-0.5, 0.5, 10)),
}
# Error of the mean, and of the standard deviation along any direction, over the largest standard deviation.
# Measured on this grid: 0.026, 0.088; 0.005, 0.010; 0.077, 0.181; 0.074, 0.089; 0.011, 0.023 (N draws alone: 0.009).
BOUNDS = {
    ("isotropic", 2): (0.03, 0.10),
    ("isotropic", 10): (0.010, 0.02),
    ("anisotropic", 2): (0.09, 0.20),
    ("oblique", 2): (0.085, 0.105),
    ("anisotropic", 10): (0.015, 0.03),
}
GRADIENTS = [0.0, 0.01, 0.3, 1.0, 2.0, 10.0]  # ‖∇ℓ‖ over √(tr Σ/B)


def curvatures(dim):
    return torch.tensor([2.0, -2.0] * (dim // 2), dtype=torch.float64)


def directions(dim):
    """Along an eigenvector of either sign, and between all of them."""
    axes = torch.eye(dim, dtype=torch.float64)
    return [axes[0], axes[1], torch.full((dim,), dim**-0.5, dtype=torch.float64)]


def minibatch_moments(gradient, covariance, ascent, perturb, seed=0):
    """Mean and covariance of H(w + p(∇ℓ + ξ)) + ξ', with ξ' = ξ ("same") or another draw ("independent")."""
    lam, root = curvatures(len(gradient)), torch.linalg.cholesky(torch.as_tensor(covariance) / BATCH)
    half = torch.randn(N // 2, len(gradient), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = torch.cat([half, -half]) @ root.T  # antithetic, which makes the mean more precise
    step = gradient + lam * perturb(gradient + noise)
    if ascent == "same":
        return (step + noise).mean(0), torch.cov((step + noise).T)
    return step.mean(0), torch.cov(step.T) + root @ root.T


def model_moments(kind, gradient, covariance, ascent):
    """Mean -f and covariance g gᵀ/η of the minibatch gradient according to the dynamics."""
    lam = curvatures(len(gradient))
    dynamics = kind(
        quadratic(lam.tolist()),
        ss.ConstantNoise(covariance),
        lr=LR,
        batch_size=BATCH,
        rho=RHO,
        ascent=ascent,
    )
    w = (gradient / lam)[None]
    return -dynamics.f(0.0, w)[0], dynamics.covariance(0.0, w)[0] / LR


def normalized(v):
    return RHO * v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)


def spread_along(covariance, seed=0):
    """Standard deviations along the axes and 200 random directions."""
    random = torch.randn(200, len(covariance), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    along = torch.cat([torch.eye(len(covariance)), random / random.norm(dim=1, keepdim=True)])
    return torch.einsum("ni,ij,nj->n", along, covariance, along).clamp(min=0).sqrt()


def closure_errors(kind, gradient, covariance, ascent, perturb=normalized):
    """Errors of the mean and of the standard deviation, over the largest standard deviation."""
    mean, true = minibatch_moments(gradient, covariance, ascent, perturb)
    model_mean, model = model_moments(kind, gradient, covariance, ascent)
    scale = torch.linalg.eigvalsh(true)[-1].sqrt()
    error = (spread_along(model) - spread_along(true)).abs().max() / scale
    return float((model_mean - mean).norm() / scale), float(error)


def noise_length(covariance):
    """√(tr Σ/B), the length of ξ."""
    return math.sqrt(np.trace(covariance) / BATCH)


@pytest.mark.parametrize("relative", GRADIENTS)
@pytest.mark.parametrize("ascent", ["same", "independent"])
@pytest.mark.parametrize("noise", COVARIANCES, ids=lambda noise: f"{noise[0]}-{noise[1]}")
def test_mean_and_noise_of_sam_are_those_of_its_minibatch_gradient(noise, ascent, relative):
    covariance = COVARIANCES[noise]
    for direction in directions(noise[1]):
        gradient = relative * noise_length(covariance) * direction
        mean, deviation = closure_errors(ss.SAM, gradient, covariance, ascent)
        assert mean < BOUNDS[noise][0]
        assert deviation < BOUNDS[noise][1]


@pytest.mark.parametrize("ascent", ["same", "independent"])
def test_dividing_by_the_full_gradient_instead_is_wrong_at_the_saddle(ascent):
    # The same comparison for ρ/‖∇ℓ‖ in place of the closure: its errors are of another order.
    covariance = COVARIANCES["isotropic", 2]
    gradient = 0.01 * noise_length(covariance) * directions(2)[2]
    mean, deviation = closure_errors(ss.DNSAM, gradient, covariance, ascent)
    assert mean > 0.3
    assert deviation > 5.0


@pytest.mark.parametrize("dim", [2, 10])
@pytest.mark.parametrize("ascent", ["same", "independent"])
def test_closure_is_exact_far_from_the_saddle(ascent, dim):
    # The mean's error falls as the square of the gradient; the deviation's is then that of N draws.
    covariance = COVARIANCES["anisotropic", dim]
    errors = [
        closure_errors(ss.SAM, size * noise_length(covariance) * directions(dim)[2], covariance, ascent)
        for size in (5.0, 50.0)
    ]
    assert errors[1][0] < max(0.03 * errors[0][0], 1e-4)
    assert errors[1][1] < 4 * 3 / math.sqrt(2 * N)


@pytest.mark.parametrize("dim", [2, 10])
def test_isotropic_noise_at_the_saddle_is_exact_for_independent_batches(dim):
    covariance = COVARIANCES["isotropic", dim]
    mean, deviation = closure_errors(ss.SAM, torch.zeros(dim, dtype=torch.float64), covariance, "independent")
    assert mean < 1e-12  # by symmetry, with antithetic draws
    assert deviation < 4 * 3 / math.sqrt(2 * N)


@pytest.mark.parametrize("relative", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
def test_usam_is_exact_on_a_quadratic(ascent, relative):
    # The minibatch gradient (1 + ρλ)(∇ℓ + ξ), (1 + ρλ)∇ℓ + ρλξ + ξ', or (1 + ρλ)∇ℓ + ξ', is linear in ξ.
    covariance = COVARIANCES["oblique", 2]
    gradient = relative * noise_length(covariance) * directions(2)[2]
    hessian = torch.diag(curvatures(2))
    minibatch = torch.as_tensor(covariance) / BATCH
    gain = torch.eye(2, dtype=torch.float64) + RHO * hessian
    exact = {
        "full": minibatch,
        "same": gain @ minibatch @ gain,
        "independent": minibatch + RHO**2 * hessian @ minibatch @ hessian,
    }
    mean, model = model_moments(ss.USAM, gradient, covariance, ascent)
    torch.testing.assert_close(mean, gain @ gradient)
    torch.testing.assert_close(model, exact[ascent])


@pytest.mark.parametrize("relative", [0.3, 3.0])
@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
def test_dnsam_is_exact_on_a_quadratic(ascent, relative):
    # As USAM, with ρ/‖∇ℓ‖ in place of ρ: the factor I + ρH/‖∇ℓ‖.
    covariance = COVARIANCES["oblique", 2]
    gradient = relative * noise_length(covariance) * directions(2)[2]
    minibatch = torch.as_tensor(covariance) / BATCH
    push = RHO * torch.diag(curvatures(2)) / gradient.norm()
    gain = torch.eye(2, dtype=torch.float64) + push
    exact = {
        "full": minibatch,
        "same": gain @ minibatch @ gain,
        "independent": minibatch + push @ minibatch @ push,
    }
    mean, model = model_moments(ss.DNSAM, gradient, covariance, ascent)
    torch.testing.assert_close(mean, gain @ gradient)
    torch.testing.assert_close(model, exact[ascent])


class RandomCurvature(ss.Noise):
    """Noise of the per-sample losses ½ wᵀ(H + z S)w with z of mean 0 and variance 1: Σ = S w wᵀ S, of rank one."""

    def __init__(self, matrix):
        self.matrix = torch.as_tensor(matrix, dtype=torch.float64)
        self.dim = len(self.matrix)

    def channels(self, dim):
        return 1

    def factor(self, w):
        return (w @ self.matrix.to(w))[..., None]


HESSIAN = torch.diag(torch.tensor([1.5, -2.0], dtype=torch.float64))
CURVATURE_NOISE = torch.tensor([[0.9, 0.6], [0.6, -1.2]], dtype=torch.float64)
SMALL_BATCH = 4
W = torch.tensor([0.7, -0.4], dtype=torch.float64)


def random_curvature(kind, ascent):
    return kind(
        quadratic(HESSIAN.diagonal().tolist()),
        RandomCurvature(CURVATURE_NOISE),
        lr=LR,
        batch_size=SMALL_BATCH,
        rho=0.2,
        ascent=ascent,
    )


@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
@pytest.mark.parametrize("kind", [ss.USAM, ss.DNSAM])
def test_mean_of_a_minibatch_whose_curvature_is_random(kind, ascent):
    # With A = H + zS/√B the mean of A(w + cAw) is Hw + cH²w + cS²w/B; the last only if both A are the same.
    w = torch.tensor([[0.7, -0.4], [-0.3, 0.9]], dtype=torch.float64)
    scale = 0.2 / ((w @ HESSIAN).norm(dim=1, keepdim=True) if kind is ss.DNSAM else 1.0)
    mean = w @ HESSIAN + scale * w @ HESSIAN @ HESSIAN
    if ascent == "same":
        mean = mean + scale * w @ CURVATURE_NOISE @ CURVATURE_NOISE / SMALL_BATCH
    torch.testing.assert_close(-random_curvature(kind, ascent).f(0.0, w), mean)


@pytest.mark.parametrize("ascent", ["full", "same", "independent"])
def test_noise_of_a_minibatch_whose_curvature_is_random(ascent):
    # To first order in z: S w^p, and for the ascent cHSw, with the same z or another.
    w = W[None]
    descent = (w + 0.2 * w @ HESSIAN) @ CURVATURE_NOISE
    ascending = 0.2 * w @ CURVATURE_NOISE @ HESSIAN
    columns = {
        "full": [descent],
        "same": [descent + ascending],
        "independent": [descent, ascending],
    }[ascent]
    z = torch.eye(len(columns), dtype=torch.float64)
    dynamics = random_curvature(ss.USAM, ascent)
    factor = dynamics.g_prod(0.0, w.expand(len(z), -1).contiguous(), z)
    torch.testing.assert_close(factor, (LR / SMALL_BATCH) ** 0.5 * torch.cat(columns))


def mean_step(at_w, matrix, batch, perturb):
    """Mean over z ~ N(0, 1) of A(w + p(Aw)), A = H + zS/√B, by Gauss–Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    curvature = HESSIAN + torch.as_tensor(nodes)[:, None, None] / batch**0.5 * matrix
    ascent = torch.einsum("nij,j->ni", curvature, at_w)
    steps = torch.einsum("nij,nj->ni", curvature, at_w + perturb(ascent))
    return torch.as_tensor(weights / weights.sum()) @ steps


def test_the_drift_is_the_mean_over_minibatches_of_random_curvature():
    # Not by formula: SAM's step is averaged over the minibatches themselves.
    mean = mean_step(W, CURVATURE_NOISE, SMALL_BATCH, lambda v: 0.2 * v)
    torch.testing.assert_close(-random_curvature(ss.USAM, "same").f(0.0, W[None])[0], mean)


def test_the_drift_of_sam_is_the_mean_over_minibatches_where_their_noise_lies_across_the_gradient():
    # Normalized SAM takes Dp for (ρ/m)·I in its trace term, which is right across the gradient and not along it.
    gradient = HESSIAN @ W
    across = torch.stack([-gradient[1], gradient[0]])
    matrix = 0.3 * torch.outer(across, across) / (W @ across)  # symmetric, and maps w to `across`
    batch = 256
    noise = RandomCurvature(matrix)
    surface = quadratic(HESSIAN.diagonal().tolist())
    sam = ss.SAM(surface, noise, lr=LR, batch_size=batch, rho=0.2, ascent="same")
    mean = mean_step(W, matrix, batch, lambda v: 0.2 * v / v.norm(dim=1, keepdim=True))
    trace_term = 0.2 * matrix @ matrix @ W / batch / gradient.norm()
    assert (mean + sam.f(0.0, W[None])[0]).norm() < 0.02 * trace_term.norm()
