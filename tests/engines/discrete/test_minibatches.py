"""Minibatches have the mean and the covariance that their sampling says, and belong to path, step and purpose."""

import itertools

import pytest
import torch

from sam_sde.engines.discrete import minibatches
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.random import Purpose, Stream

SAMPLINGS = ("with_replacement", "without_replacement", "epochs")
N, B = 12, 4


def batches(sampling, n_paths=40_000, n_samples=N, batch_size=B, stream=None):
    return Minibatches(stream or Stream(0, "arm"), torch.arange(n_paths), n_samples, batch_size, sampling)


@pytest.mark.parametrize("step", [0, 1, 5, 2**33 - 1])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_mean_of_a_batch_is_that_of_the_samples_and_its_covariance_that_of_the_sampling(sampling, step):
    gradients = torch.randn(N, 2, generator=torch.Generator().manual_seed(0)).double()
    centred = gradients - gradients.mean(0)
    covariance = centred.mT @ centred / N / B
    if sampling != "with_replacement":
        covariance = covariance * (N - B) / (N - 1)
    means = gradients[batches(sampling).numbers(step)].mean(1) - gradients.mean(0)
    bound = 4 / len(means) ** 0.5
    assert (means.mean(0).abs() < bound * covariance.diagonal().sqrt()).all()
    for i, j in [(0, 0), (1, 1), (0, 1)]:
        product = means[:, i] * means[:, j]
        assert (product.mean() - covariance[i, j]).abs() < bound * product.std()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_ordered_batch_is_as_likely_as_any_other(sampling):
    numbers = batches(sampling, n_samples=5, batch_size=2).numbers(3)
    counts = torch.bincount(5 * numbers[:, 0] + numbers[:, 1], minlength=25)
    pairs = torch.tensor([sampling == "with_replacement" or a != b for a, b in itertools.product(range(5), repeat=2)])
    expected = len(numbers) / pairs.sum()
    assert (counts[~pairs] == 0).all()
    chi_squared = ((counts[pairs] - expected).square() / expected).sum()
    freedom = pairs.sum() - 1
    assert (chi_squared - freedom).abs() < 4 * (2 * freedom).sqrt()


@pytest.mark.parametrize(("n_samples", "batch_size"), [(12, 4), (10, 4), (7, 7), (9, 1)])
def test_an_epoch_visits_no_sample_twice_and_all_but_a_remainder_once(n_samples, batch_size):
    drawn = batches("epochs", 100, n_samples, batch_size)
    steps = n_samples // batch_size
    epochs = []
    for epoch in range(6):
        visited = torch.cat([drawn.numbers(epoch * steps + k) for k in range(steps)], dim=1)
        epochs.append(visited)
        ordered = visited.sort(dim=1).values
        assert (ordered.diff(dim=1) > 0).all()
        assert visited.shape == (100, steps * batch_size)
        assert ordered.min() >= 0
        assert ordered.max() < n_samples
    # A new order in every epoch; the samples left out change as well.
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(epochs, 2))
    assert len(torch.cat(epochs).unique()) == n_samples


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_batches_of_other_paths_steps_arms_and_purposes_are_independent(sampling):
    drawn, n_paths = batches(sampling, 20_000), 20_000
    numbers = drawn.numbers(0)
    others = [
        numbers.roll(1, 0),
        *(drawn.numbers(step) for step in (3, 4, 12)),  # of other epochs: an epoch has 3 steps
        drawn.numbers(0, Purpose.ASCENT_MINIBATCH),
        batches(sampling, n_paths, stream=Stream(1, "arm")).numbers(0),
        batches(sampling, n_paths, stream=Stream(0, "other")).numbers(0),
    ]
    for other in others:
        agreeing = (numbers[:, 0] == other[:, 0]).double().mean()
        assert (agreeing - 1 / N).abs() < 4 * (1 / N * (1 - 1 / N) / n_paths) ** 0.5


def test_all_places_of_batches_in_following_steps_are_independent():
    """Four of them come from one counter of the generator, and four steps from neighbouring ones."""
    drawn = batches("with_replacement", 20_000, batch_size=9)
    places = torch.cat([drawn.numbers(step) for step in range(8)], dim=1)
    equal = torch.stack([(places == place[:, None]).double().mean(0) for place in places.unbind(1)])
    equal.fill_diagonal_(1 / N)
    assert ((equal - 1 / N).abs() < 5 * (1 / N * (1 - 1 / N) / len(places)) ** 0.5).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_batch_does_not_depend_on_companions_on_earlier_draws_or_on_the_memory(sampling, monkeypatch):
    paths = torch.tensor([3, 500, 17, 2**31 - 1])
    drawn = Minibatches(Stream(0, "arm"), paths, N, B, sampling)
    expected = [drawn.numbers(step) for step in range(9)]
    monkeypatch.setattr(minibatches, "WORDS_AT_ONCE", 2 * N)
    for step in (8, 0, 4):
        alone = Minibatches(Stream(0, "arm"), paths[2:3], N, B, sampling).numbers(step)
        assert torch.equal(alone, expected[step][2:3])
        assert torch.equal(Minibatches(Stream(0, "arm"), paths, N, B, sampling).numbers(step), expected[step])
