"""A path is the same path, whatever is computed beside it."""

import functools

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import beale, quadratic, styblinski_tang

SADDLE = quadratic([1.0, -1.0])
WHITE = ss.IsotropicNoise(1.0)
CASES = {
    "SGD": (ss.SGD(SADDLE, WHITE, lr=0.01), [0, 0], ss.Ball([0, 0], 0.2)),
    "SAM": (ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.05), [0, 0], ss.Box([-0.2, -0.2], [0.2, 0.2])),
    "SAM, same batch, Hessian noise": (
        ss.SAM(beale(), ss.HessianNoise(beale()), lr=0.004, batch_size=4, rho=0.01, ascent="same"),
        [0, 1],
        ss.Ball([0, 1], 0.2),
    ),
    "SAM, heavy ball": (
        ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.05, momentum=0.8, initial_velocity="equilibrium"),
        [0, 0],
        ss.Ball([0, 0], 0.3),
    ),
    "transcendental": (
        ss.SGD(ss.LossSurface(lambda w: (w.cos() * w.exp()).sum(), 2), WHITE, lr=0.01),
        [0, 0],
        ss.LevelSet(lambda w: w.square().square().sum() - 1e-4),
    ),
    "ten coordinates": (
        ss.USAM(styblinski_tang(10), WHITE, lr=0.001, batch_size=4, rho=0.01),
        [0.0] * 10,
        ss.Ball([0.0] * 10, 0.45),
    ),
}


def escape(case: str, **options) -> ss.EscapeResult:
    dynamics, start, region = CASES[case]
    n_steps = 40 if isinstance(dynamics.noise, ss.HessianNoise) else 70  # whose steps take by far the longest
    defaults = {"t_max": n_steps * dynamics.lr, "n_paths": 300, "seed": 5, "arm": case}
    return ss.escape_times(dynamics, start=start, region=region, **{**defaults, **options})


@functools.cache
def reference(case: str) -> ss.EscapeResult:
    return escape(case)


def equal(a: ss.EscapeResult, b: ss.EscapeResult) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("times", "outcome", "exit_points"))


@pytest.mark.parametrize("case", CASES)
def test_times_are_bit_equal_for_any_chunk_and_compaction(case):
    first = escape(case, chunk=32, compact_below=0.0)
    assert (first.outcome == ss.Outcome.ESCAPED).sum() > 30
    for chunk, compact_below in [(32, 1.0), (33, 0.8), (7, 1.0)]:
        other = escape(case, chunk=chunk, compact_below=compact_below)
        if SADDLE_DIM[case] <= 4:
            assert equal(first, other)
        else:  # the rounding of a matrix product depends on its number of rows
            assert same_step(first, other) >= 0.999


SADDLE_DIM = {case: dynamics.dim for case, (dynamics, _, _) in CASES.items()}


def same_step(a: ss.EscapeResult, b: ss.EscapeResult) -> float:
    """Fraction of the paths that both have which end the same way in the same step."""
    n = min(len(a), len(b))
    step_a, step_b = (np.floor(r.times[:n] / r.dt * (1 - 1e-12)) for r in (a, b))
    return np.mean((step_a == step_b) & (a.outcome[:n] == b.outcome[:n]))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("options", [{"block_size": 150}, {"block_size": 1, "n_paths": 4}, {"n_paths": 50}], ids=str)
def test_other_blocks_and_companions_change_no_escape_step(case, options):
    assert same_step(reference(case), escape(case, **options)) >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("crossing", ["bridge", "none"])
def test_the_replay_of_a_path_ends_where_the_path_ended(case, crossing):
    result = reference(case) if crossing == "bridge" else escape(case, crossing=crossing, n_paths=100)
    for path in (17, 99):
        trajectory = result.replay(path)
        assert trajectory.outcome == result.outcome[path]
        assert trajectory.times[-1] == pytest.approx(result.times[path], rel=1e-5)
        np.testing.assert_allclose(trajectory.states[-1], result.exit_points[path], rtol=1e-4, atol=1e-4)
        assert np.all(np.diff(trajectory.times) > 0)


@pytest.mark.slow
def test_arms_with_one_seed_are_independent_and_equal_under_one_name():
    first, second = (escape("SGD", arm=arm, n_paths=1000, t_max=10.0) for arm in ("a", "b"))
    correlation = np.corrcoef(first.times, second.times)[0, 1]
    assert abs(correlation) < 4 / np.sqrt(1000)
    assert equal(first, escape("SGD", arm="a", n_paths=1000, t_max=10.0))


def test_arms_of_one_name_share_their_noise():
    """SAM with rho = 0 is SGD: under common noise path by path."""
    sam = ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.0)
    options = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 1.0, "n_paths": 500}
    assert equal(ss.escape_times(CASES["SGD"][0], **options), ss.escape_times(sam, **options))


@pytest.mark.slow
def test_random_starts_belong_to_their_path():
    start = ss.NormalStart([0.1, 0.0], 0.05)
    few, many = (
        ss.escape_times(CASES["SGD"][0], start=start, region=ss.Ball([0, 0], 1.0), t_max=0.02, n_paths=n, block_size=64)
        for n in (50, 200)
    )
    starts = np.array([many.replay(path).states[0] for path in range(0, 200, 5)])
    np.testing.assert_array_equal(few.replay(40).states[0], starts[8])
    assert np.all(np.abs(starts.mean(0) - [0.1, 0.0]) < 4 * 0.05 / np.sqrt(len(starts)))
    assert np.all(np.abs(starts.std(0) / 0.05 - 1) < 4 / np.sqrt(2 * len(starts)))
