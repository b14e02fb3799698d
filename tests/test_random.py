"""The generator gives the published integers, its normals are normal, and a number depends on its key alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from sam_sde.random import Purpose, RefinedStream, Stream, philox

# Known answers of Philox 4x32-10 in Random123 1.14 (kat_vectors): counter, key, words.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def integers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def draw(n_paths: int, n_quads: int, dim: int, dtype=torch.float64, stream=None) -> np.ndarray:
    """Normals (steps, paths, dim)."""
    stream, paths = stream or Stream(7, "arm"), torch.arange(n_paths)
    quads = [
        stream.normals_of_quads(Purpose.DIFFUSION, paths, range(quad, quad + 1), dim, dtype)[0]
        for quad in range(n_quads)
    ]
    return torch.cat(quads).numpy()


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, words):
    result = philox(tuple(torch.tensor([word]) for word in integers(counter)), tuple(integers(key)))
    assert [word.item() for word in result] == integers(words)


@pytest.mark.gpu
def test_the_gpu_gives_the_same_words_bit_for_bit():
    counter = tuple(torch.randint(0, 2**32, (1000,)) for _ in range(4))
    on_gpu = philox(tuple(word.cuda() for word in counter), (1, 2))
    assert all(torch.equal(a, b.cpu()) for a, b in zip(philox(counter, (1, 2)), on_gpu, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_moments_to_order_six_are_those_of_the_normal_law(dtype):
    z = draw(50_000, 25, 2, dtype).astype(np.float64).ravel()
    moments = [0, 1, 0, 3, 0, 15]
    for order, expected in enumerate(moments, start=1):
        variance = stats.norm.moment(2 * order) - expected**2
        assert abs(np.mean(z**order) - expected) < 4 * np.sqrt(variance / z.size)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ten_million_draws_pass_kolmogorov_smirnov(dtype):
    z = np.sort(draw(100_000, 25, 1, dtype).astype(np.float64).ravel())
    assert z.size == 10**7
    uniform = stats.norm.cdf(z)
    grid = np.arange(z.size) / z.size
    distance = max(np.max(uniform - grid), np.max(grid + 1 / z.size - uniform))
    assert distance < stats.kstwo.ppf(1 - 1e-4, z.size)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2], ids=["steps", "paths", "coordinates"])
def test_neighbours_are_uncorrelated(axis, power):
    z = draw(1000, 50, 8) ** power
    z -= z.mean()
    for lag in range(1, 5):
        first, second = (np.take(z, range(begin, z.shape[axis] - lag + begin), axis) for begin in (0, lag))
        correlation = np.mean(first * second) / np.var(z)
        assert abs(correlation) < 4 / np.sqrt(first.size)


def test_streams_of_other_seeds_arms_levels_and_purposes_are_uncorrelated():
    paths = torch.arange(50_000)
    streams = [Stream(0, "a"), Stream(1, "a"), Stream(0, "b"), Stream(0, ""), Stream(0, "a", 1), Stream(0, "a", 2)]
    draws = [s.normals_of_quads(Purpose.DIFFUSION, paths, range(1), 1, torch.float64)[0].flatten() for s in streams]
    draws.append(streams[0].normals_of_quads(Purpose.SECOND_NORMAL, paths, range(1), 1, torch.float64)[0].flatten())
    correlation = np.corrcoef(torch.stack(draws)) - np.eye(len(draws))
    assert np.abs(correlation).max() < 4 / np.sqrt(len(draws[0]))


def test_a_number_depends_on_its_key_alone():
    stream, paths = Stream(3, "arm"), torch.arange(100)
    block = stream.normals_of_quads(Purpose.DIFFUSION, paths, range(5, 6), 6, torch.float64)[0]
    some = stream.normals_of_quads(Purpose.DIFFUSION, paths[[17, 3]], range(5, 6), 2, torch.float64)[0]
    assert torch.equal(some, block[:, [17, 3], :2])
    single = stream.normals(Purpose.DIFFUSION, torch.tensor([17]), torch.tensor([22]), torch.tensor([4]))
    assert torch.equal(single, block[2, 17, 4:5])


def test_single_uniforms_are_uniform_and_never_zero_or_above_one():
    path, step = torch.arange(20_000)[:, None], torch.arange(8)
    uniform = Stream(0, "u").uniforms(Purpose.CROSSING, path, step, torch.tensor(0)).numpy().ravel()
    assert uniform.min() > 0
    assert uniform.max() <= 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_half_steps_make_the_whole_one_and_are_independent(dtype):
    whole = draw(20_000, 2, 2, dtype)
    halves = draw(20_000, 4, 2, dtype, RefinedStream(7, "arm"))
    np.testing.assert_allclose((halves[::2] + halves[1::2]) / 2**0.5, whole, atol=1e-6)
    correlation = np.corrcoef(halves.transpose(0, 2, 1).reshape(-1, 20_000)) - np.eye(32)
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)
    assert abs(np.mean(halves.astype(float) ** 2) - 1) < 4 * np.sqrt(2 / halves.size)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", True])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        Stream(seed)
