"""SAM whose ascent takes the minibatch of its descent: drift and noise against true minibatches of real samples."""

import itertools

import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import linear_regression, toy_network
from sam_sde.surfaces.data import Dataset, standardized

RHO, N, MINIBATCHES = 0.05, 20, 100_000
POINT = torch.tensor([0.9, 0.7], dtype=torch.float64)
PERTURBATIONS = {ss.USAM: lambda g: RHO * g, ss.SAM: lambda g: RHO * g / g.norm(dim=-1, keepdim=True)}


def dynamics(kind, surface, batch_size, sampling="with_replacement"):
    noise = ss.EmpiricalNoise(surface, sampling)
    return kind(surface, noise, lr=1.0, batch_size=batch_size, rho=RHO, ascent="same")


def sam_gradient(surface, perturb, w, weights):
    """∇ℓ_S(w + p(∇ℓ_S(w))) for minibatches S of the toy network, the samples counted by weights (…, n), in formulas."""
    x, y = (column[:, 0] for column in surface.samples.tensors)

    def gradient(w):
        w1, w2 = w[..., :1], w[..., 1:]
        error = weights * (w2 * (w1 * x) ** 2 - y)
        return torch.stack([(error * 2 * w1 * w2 * x**2).sum(-1), (error * w1**2 * x**2).sum(-1)], dim=-1)

    return gradient(w + perturb(gradient(w)))


def minibatches(batch_size, seed=0):
    """Weights (minibatches, n) of the samples: how often each was drawn, over the batch size."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.zeros(MINIBATCHES, N, dtype=torch.float64)
    one = torch.ones(MINIBATCHES, 1, dtype=torch.float64)
    for _ in range(batch_size):
        counts.scatter_add_(1, torch.randint(N, (MINIBATCHES, 1), generator=generator), one)
    return counts / batch_size


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_the_noise_is_the_derivative_of_the_minibatch_gradient_in_the_weights_of_its_samples(kind):
    surface, w = toy_network(n=N), POINT[None]
    z = torch.randn(1, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    uniform, change = torch.full((1, N), 1 / N, dtype=torch.float64), (z - z.mean()) / N**0.5
    expected = torch.func.jvp(lambda c: sam_gradient(surface, PERTURBATIONS[kind], w, c), (uniform,), (change,))[1]
    huge = 10**15  # where the norm of the minibatch's gradient is that of the full one
    noise = dynamics(kind, surface, huge).g_prod(0.0, w, z) * huge**0.5
    torch.testing.assert_close(noise, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_mean_and_noise_approach_those_of_true_minibatches_as_they_grow(kind):
    """Relative to the noise of one sample, drift and covariance are wrong by the order 1/B; ρ‖H‖ is 1 here."""
    surface = toy_network(n=N)
    for batch_size in (8, 32, 128):
        gradients = sam_gradient(surface, PERTURBATIONS[kind], POINT, minibatches(batch_size))
        sam = dynamics(kind, surface, batch_size)
        (covariance,) = sam.covariance(0.0, POINT[None])
        deviation = gradients - gradients.mean(0)
        squares = deviation[:, :, None] * deviation[:, None, :]
        error = (squares.mean(0) - covariance).abs()
        assert (error < 4 * squares.std(0) / MINIBATCHES**0.5 + covariance.norm() / batch_size).all()
        error = (gradients.mean(0) + sam.f(0.0, POINT[None])[0]).abs()
        one_sample = covariance.trace().sqrt() * batch_size**0.5
        assert (error < 4 * deviation.std(0) / MINIBATCHES**0.5 + 0.4 * one_sample / batch_size).all()


@pytest.mark.parametrize("sampling", ["with_replacement", "without_replacement"])
def test_the_drift_is_the_mean_over_all_minibatches_where_the_loss_is_quadratic(sampling):
    """USAM on linear regression: with ∇tr Σ and the finite population's factor nothing is left out."""
    generator, batch_size = torch.Generator().manual_seed(1), 2
    x, y = torch.randn(5, 2, generator=generator).double(), torch.randn(5, generator=generator).numpy()
    surface = linear_regression(Dataset("five", standardized(x), y))
    w = torch.tensor([[0.4, -0.8, 0.3]], dtype=torch.float64)
    pairs = {"with_replacement": itertools.product(range(5), repeat=2)}.get(
        sampling, itertools.combinations(range(5), 2)
    )
    index = torch.tensor(list(pairs))
    each = surface.sample_gradients(w)[0]
    hessians = torch.cat([surface.samples.tensors[0], torch.ones(5, 1)], dim=1)
    hessians = hessians[:, :, None] * hessians[:, None, :]
    ascent = RHO * each[index].mean(1)
    descent = each[index].mean(1) + (hessians[index].mean(1) @ ascent[..., None])[..., 0]
    usam = dynamics(ss.USAM, surface, batch_size, sampling)
    torch.testing.assert_close(-usam.f(0.0, w)[0], descent.mean(0), rtol=1e-10, atol=1e-10)
