"""The change of each figure between two samples of the same paths."""

import numpy as np
import pytest

from sam_sde.statistics import Outcome, Sample, paired_changes, summarize
from sam_sde.statistics.change import FIGURES


def pair(generator: np.random.Generator, n: int, t_max: float = 2.0, shift: float = 0.05) -> tuple[Sample, Sample]:
    """Exponential times, and the same ones a little longer: by the mean `shift`, with noise of its own."""
    times = generator.exponential(1.0, n)
    later = times + generator.exponential(shift, n)
    return tuple(
        Sample(np.minimum(t, t_max), np.where(t < t_max, Outcome.ESCAPED, Outcome.CENSORED), t_max, 0.1)
        for t in (times, later)
    )


def test_before_and_after_are_those_of_the_summaries():
    before, after = pair(np.random.default_rng(0), 300)
    changes = paired_changes(before, after).set_index("figure")
    assert tuple(changes.index) == FIGURES
    for figure in FIGURES:
        expected = summarize(before)[figure], summarize(after)[figure]
        np.testing.assert_allclose(changes.loc[figure, ["before", "after"]].astype(float), expected, rtol=1e-12)
    np.testing.assert_array_equal(changes["change"], changes["after"] - changes["before"])
    assert changes.loc["mean_time"].isna().all()  # some never left


def test_failed_paths_are_left_out_as_in_a_summary():
    before, after = pair(np.random.default_rng(3), 50)
    outcome = before.outcome.copy()
    outcome[[3, 7]] = Outcome.FAILED
    failed = Sample(before.times, outcome, before.t_max, before.lr)
    changes = paired_changes(failed, after).set_index("figure")
    for figure in FIGURES:
        np.testing.assert_allclose(changes.loc[figure, "before"], summarize(failed)[figure], rtol=1e-12)


def test_no_change_is_none():
    sample, _ = pair(np.random.default_rng(1), 100)
    changes = paired_changes(sample, sample).set_index("figure").loc["rmst"]
    assert (changes["change"], changes["change_low"], changes["change_high"]) == (0, 0, 0)


@pytest.mark.parametrize("n", [100, 2000])
def test_intervals_cover_the_change_in_95_of_100_samples(n):
    """The truth is that of 2 million pairs."""
    t_max, shift = 2.0, 0.05
    before, after = pair(np.random.default_rng(99), 2_000_000, t_max, shift)
    truth = {"rmst": after.times.mean() - before.times.mean()}
    truth["fraction_escaped"] = after.escaped.mean() - before.escaped.mean()
    truth["rate"] = after.escaped.sum() / after.times.sum() - before.escaped.sum() / before.times.sum()
    truth["median"] = np.median(after.times) - np.median(before.times)
    generator, covered = np.random.default_rng(2), dict.fromkeys(truth, 0)
    for _ in range(200):
        changes = paired_changes(*pair(generator, n, t_max, shift)).set_index("figure")
        for figure, value in truth.items():
            covered[figure] += changes.loc[figure, "change_low"] <= value <= changes.loc[figure, "change_high"]
    for figure, count in covered.items():
        low = 0.7 if figure == "median" else 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5  # of few paths a median jumps
        assert count / 200 > low, figure
