"""Empirical noise has the covariance of the per-sample gradients, exactly, in samples, and of minibatches."""

import itertools

import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import load_dataset, mlp, quadratic, toy_network

N = 6


@pytest.fixture
def surface():
    return mlp(load_dataset("iris"), hidden=3)


@pytest.fixture
def small():
    """Six samples of the toy network; its two weights away from all critical points."""
    return toy_network(n=N, seed=3)


def points(dim, paths=3):
    return 0.5 * torch.randn(paths, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def covariance(surface, w):
    """Σ by a loop over the samples."""
    data = surface.samples.like(w)
    result = torch.zeros(len(w), surface.dim, surface.dim, dtype=w.dtype)
    mean = torch.stack([torch.func.grad(surface.loss)(row) for row in w])
    for i in range(surface.n_samples):
        sample = tuple(tensor[i] for tensor in data)
        each = torch.stack([torch.func.grad(surface.sample_loss)(row, sample) for row in w]) - mean
        result += each[:, :, None] * each[:, None, :] / surface.n_samples
    return result


def test_every_way_to_ask_gives_the_covariance_of_the_gradients(surface):
    noise, w = ss.EmpiricalNoise(surface), points(surface.dim)
    expected = covariance(surface, w)
    generator = torch.Generator().manual_seed(2)
    direction = torch.randn(w.shape, generator=generator, dtype=torch.float64)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(noise.covariance(w), expected, **close)
    torch.testing.assert_close(noise.trace(w), expected.diagonal(dim1=1, dim2=2).sum(-1), **close)
    along = torch.einsum("pi,pij,pj->p", direction, expected, direction)
    torch.testing.assert_close(noise.transposed_product(w, direction).square().sum(-1), along, **close)
    # L Lᵀ d by the two products, and L column by column.
    twice = noise.product(w, noise.transposed_product(w, direction))
    torch.testing.assert_close(twice, torch.einsum("pij,pj->pi", expected, direction), **close)
    columns = torch.eye(surface.n_samples, dtype=torch.float64)
    product = noise.product(w[:1].expand(surface.n_samples, -1), columns)
    torch.testing.assert_close(product.mT @ product, expected[0], **close)


def test_gradient_and_product_take_one_pass_through_the_losses(surface, monkeypatch):
    """In blocks of paths and of samples as well."""
    noise, w = ss.EmpiricalNoise(surface), points(surface.dim)
    z = torch.randn(len(w), surface.n_samples, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = surface.gradient(w), noise.product(w, z)
    passes = []
    losses = ss.FiniteSum.losses_of
    monkeypatch.setattr(
        ss.FiniteSum, "losses_of", lambda self, *each: passes.append(len(each[0])) or losses(self, *each)
    )
    for numbers, n_passes in ((2**24, 1), (2000, 3 * 3)):
        monkeypatch.setattr("sam_sde.surfaces.finite_sum.NUMBERS_AT_ONCE", numbers)
        passes.clear()
        found = noise.gradient_and_product(w, z)
        assert len(passes) == n_passes
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_the_trace_is_that_of_finite_differences(surface):
    noise, w = ss.EmpiricalNoise(surface), points(surface.dim, 1)
    for i in range(0, surface.dim, 5):
        shift = 1e-5 * torch.eye(surface.dim, dtype=torch.float64)[i]
        slope = (noise.trace(w + shift) - noise.trace(w - shift)) / 2e-5
        torch.testing.assert_close(noise.trace_gradient(w)[:, i], slope, rtol=1e-6, atol=1e-8)


def test_sampled_noise_has_the_covariance_within_four_standard_errors(small):
    n, w = 40_000, points(2, 1)
    z = torch.randn(n, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    product = ss.EmpiricalNoise(small).product(w.expand(n, -1), z)
    squares = product[:, :, None] * product[:, None, :]
    error = (squares.mean(0) - covariance(small, w)[0]).abs()
    assert (error < 4 * squares.std(0) / n**0.5).all()
    assert (product.mean(0).abs() < 4 * product.std(0) / n**0.5).all()


@pytest.mark.parametrize("batch_size", [1, 2, 4, 6])
@pytest.mark.parametrize("sampling", ["with_replacement", "without_replacement", "epochs"])
def test_all_minibatches_have_the_covariance_that_the_sampling_promises(sampling, batch_size, small):
    if sampling == "with_replacement":
        batches = list(itertools.product(range(N), repeat=min(batch_size, 4)))
        batch_size = min(batch_size, 4)
    else:
        batches = list(itertools.combinations(range(N), batch_size))
    w = points(2, 1)
    gradients = small.minibatch_gradient(w.expand(len(batches), -1), torch.tensor(batches))
    sgd = ss.SGD(small, ss.EmpiricalNoise(small, sampling), lr=0.1, batch_size=batch_size)
    expected = torch.cov(gradients.mT, correction=0)
    torch.testing.assert_close(sgd.covariance(0.0, w)[0] / sgd.lr, expected, rtol=1e-10, atol=1e-12)


def test_paths_with_empirical_noise_spread_as_their_exact_covariance_says():
    """A step of SGD from a point: mean -η∇ℓ and covariance η²Σ/B, through torchsde and its g_prod."""
    surface, n = toy_network(n=20), 20_000
    w = torch.tensor([[0.8, 0.6]], dtype=torch.float64)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.01, batch_size=4)
    region = ss.Ball([0, 0], 100.0)
    result = ss.escape_times(
        sgd, start=w[0], region=region, t_max=0.01, n_paths=n, dtype="float64", crossing="none", device="cpu"
    )
    moved = torch.as_tensor(result.exit_points) - w
    expected = sgd.lr**2 / 4 * covariance(surface, w)[0]
    mean = moved.mean(0) + sgd.lr * surface.gradient(w)[0]
    assert (mean.abs() < 4 * moved.std(0) / n**0.5).all()
    deviation = moved - moved.mean(0)
    squares = deviation[:, :, None] * deviation[:, None, :]
    assert ((squares.mean(0) - expected).abs() < 4 * squares.std(0) / n**0.5).all()


def test_other_surfaces_and_other_words_are_refused():
    with pytest.raises(ValueError, match="noise: empirical noise needs a loss over data"):
        ss.EmpiricalNoise(quadratic([1.0, -1.0]))
    with pytest.raises(ValueError, match="sampling: unknown value 'with'"):
        ss.EmpiricalNoise(toy_network(), "with")


@pytest.mark.parametrize("sampling", ["without_replacement", "epochs"])
def test_a_batch_of_more_samples_than_there_are_is_refused(sampling, small):
    noise = ss.EmpiricalNoise(small, sampling)
    with pytest.raises(ValueError, match="batch_size: expected at most the 6 samples"):
        ss.SGD(small, noise, lr=0.1, batch_size=7)
    assert ss.SGD(small, noise, lr=0.1, batch_size=6).noise_scale == 0.0


def test_a_start_where_noise_and_drift_vanish_is_refused(small):
    sgd = ss.SGD(small, ss.EmpiricalNoise(small), lr=0.1)
    still = ss.SGD(small, ss.NoNoise(), lr=0.1)
    for dynamics, start in ((sgd, [0.0, 0.0]), (sgd, [0.0, 0.7])):
        with pytest.raises(ValueError, match=r"start: drift and noise both vanish .*: .normal: .mean: \.\.\., std"):
            ss.escape_times(dynamics, start=start, region=ss.Ball([0, 0], 1.0), t_max=1.0, n_paths=2)
    ss.escape_times(still, start=[0.0, 0.0], region=ss.Ball([0, 0], 1.0), t_max=0.2, n_paths=2)
    start = ss.NormalStart([0.0, 0.0], 0.01)
    ss.escape_times(sgd, start=start, region=ss.Ball([0, 0], 1.0), t_max=0.2, n_paths=2)
