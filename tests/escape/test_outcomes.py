"""Escaped, censored and failed paths are told apart, and nothing is lost on an interrupt."""

import numpy as np
import pandas as pd
import pytest

import sam_sde as ss
from sam_sde.surfaces import quadratic

WELL, SADDLE = quadratic([1.0, 1.0]), quadratic([1.0, -1.0])
STILL, WHITE = ss.NoNoise(), ss.IsotropicNoise(1.0)
DISK = ss.Ball([0, 0], 1.0)


def still(surface, **options):
    """Euler's steps without noise, in double precision."""
    sgd = ss.SGD(surface, STILL, lr=0.1)
    return ss.escape_times(sgd, region=DISK, dtype="float64", method="euler", **options)


def test_a_path_that_stays_is_censored_at_t_max_with_its_last_state():
    result = still(WELL, start=[0.5, 0], t_max=1.05, n_paths=3)
    assert result.outcome.tolist() == [ss.Outcome.CENSORED] * 3
    assert result.times.tolist() == [1.05] * 3
    np.testing.assert_allclose(result.exit_points, [[0.5 * 0.9**11, 0]] * 3)


def test_without_noise_the_exit_is_interpolated_within_the_step():
    result = still(SADDLE, start=[0, 0.5], t_max=5, n_paths=2)
    before = 0.5 * 1.1**7
    expected = 0.7 + 0.1 * (1 - before) / (0.1 * before)
    np.testing.assert_allclose(result.times, expected)
    np.testing.assert_allclose(result.exit_points, [[0, 1]] * 2)
    np.testing.assert_allclose(result.steps, expected / 0.1)


def test_an_escape_after_t_max_is_censored_at_t_max():
    options = {"start": [0, 0.5], "region": DISK, "n_paths": 1, "dtype": "float64"}
    sgd = ss.SGD(SADDLE, STILL, lr=0.1)
    time = ss.escape_times(sgd, t_max=5, **options).times[0]
    early = ss.escape_times(sgd, t_max=time - 1e-3, **options)
    assert early.outcome[0] == ss.Outcome.CENSORED
    assert early.times[0] == time - 1e-3
    assert ss.escape_times(sgd, t_max=time + 1e-3, **options).times[0] == time


@pytest.mark.parametrize("compact_below", [0.0, 1.0])
def test_a_state_that_is_not_finite_is_a_failure_with_its_time_and_last_finite_state(compact_below):
    """w ← w - 0.1·(-4 w³·10) from 2 squares its logarithm: 322, 1.3e8, … infinite in float32 soon."""
    steep = ss.LossSurface(lambda w: -10 * w[0] ** 4, dim=1)
    result = ss.escape_times(
        ss.SGD(steep, STILL, lr=0.1),
        start=[2.0],
        region=ss.LevelSet(lambda w: -1.0 - 0 * w[0]),
        t_max=10,
        n_paths=4,
        compact_below=compact_below,
        method="euler",
    )
    w, steps = np.float64(2.0), 0
    while abs(w) < np.finfo(np.float32).max:
        last, w, steps = w, w + 4 * w**3, steps + 1
    assert result.outcome.tolist() == [ss.Outcome.FAILED] * 4
    np.testing.assert_allclose(result.times, steps * 0.1)
    np.testing.assert_allclose(result.exit_points[:, 0], last, rtol=1e-4)
    assert result.replay(2).outcome == ss.Outcome.FAILED


def test_a_path_that_left_before_its_state_overflowed_has_escaped():
    steep = ss.LossSurface(lambda w: -10 * w[0] ** 4, dim=1)
    result = ss.escape_times(
        ss.SGD(steep, STILL, lr=0.1), start=[2.0], region=ss.Ball([0.0], 100.0), t_max=10, n_paths=2
    )
    assert result.outcome.tolist() == [ss.Outcome.ESCAPED] * 2


def test_csv_and_frames_have_the_columns_and_rows_of_the_paths(tmp_path):
    sgd = ss.SGD(SADDLE, WHITE, lr=0.01)
    result = ss.escape_times(sgd, start=[0, 0], region=DISK, t_max=1.0, n_paths=200)
    result.to_csv(tmp_path / "sgd.csv")
    frame = pd.read_csv(tmp_path / "sgd.csv")
    assert list(frame.columns) == ["path", "outcome", "time", "steps", "x0", "x1"]
    np.testing.assert_allclose(frame["time"], result.times)
    np.testing.assert_allclose(frame["steps"] * 0.01, result.times)
    assert set(frame["outcome"]) <= {"escaped", "censored", "failed"}
    assert result.summary()["n_escaped"] == (frame["outcome"] == "escaped").sum()
    assert list(result.survival().columns) == ["time", "survival", "low", "high", "at_risk"]
    assert list(tmp_path.iterdir()) == [tmp_path / "sgd.csv"]


class Interrupt:
    """Presses Ctrl-C at the n-th report of progress."""

    def __init__(self, at: int):
        self.left = at

    def __call__(self, progress: ss.Progress):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 3, 5])
def test_an_interrupt_keeps_what_was_done_without_bias(at):
    """Finished blocks are whole; the block under way is censored at the time it had reached."""
    sgd = ss.SGD(SADDLE, WHITE, lr=0.01)
    options = {"start": [0, 0], "region": DISK, "t_max": 1.0, "n_paths": 300, "block_size": 100}
    whole = ss.escape_times(sgd, **options)
    with pytest.raises(ss.EscapeInterrupted) as interrupt:
        ss.escape_times(sgd, progress=Interrupt(at), **options)
    result = interrupt.value.result
    n = len(result)
    assert 0 < n < 300
    escaped = result.outcome == ss.Outcome.ESCAPED
    np.testing.assert_array_equal(result.times[escaped], whole.times[:n][escaped])
    assert np.all(result.times[~escaped] <= whole.times[:n][~escaped])
    assert result.t_max == result.times.max()


def test_progress_counts_up_to_all_paths():
    seen = []
    sgd = ss.SGD(SADDLE, WHITE, lr=0.01)
    result = ss.escape_times(
        sgd, start=[0, 0], region=DISK, t_max=1.0, n_paths=250, block_size=100, progress=seen.append
    )
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert seen[-1] == ss.Progress(250, int((result.outcome == 0).sum()), 1.0)


@pytest.mark.slow
def test_comparison_is_paired_exactly_when_the_arms_share_their_noise():
    sgd, sam = ss.SGD(SADDLE, WHITE, lr=0.01), ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.1)
    options = {"start": [0, 0], "region": DISK, "t_max": 5.0, "n_paths": 500}
    shared = ss.compare({"SGD": ss.escape_times(sgd, **options), "SAM": ss.escape_times(sam, **options)})
    apart = ss.compare({"SGD": ss.escape_times(sgd, **options), "SAM": ss.escape_times(sam, seed=1, **options)})
    assert shared["logrank_statistic"].isna().all()
    assert apart["logrank_statistic"].notna().all()
    width = {name: (t["difference_high"] - t["difference_low"])[0] for name, t in (("s", shared), ("a", apart))}
    assert width["s"] < width["a"]
    with pytest.raises(ValueError, match="some of the arms share"):
        ss.compare({name: ss.escape_times(sgd, seed=seed, **options) for name, seed in (("a", 0), ("b", 0), ("c", 1))})
