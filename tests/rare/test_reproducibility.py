"""A repeat is the same whatever the workers and the other repeats; an interrupt keeps what has ended."""

import numpy as np
import pandas as pd
import pytest

import sam_sde as ss
from tests.rare.problems import Below, ornstein_uhlenbeck

RUN = {"start": [0.0], "region": Below(2.7), "walkers": 100, "engine": "torchsde", "dtype": "float64"}


@pytest.fixture(scope="module")
def reference():
    return ss.rare_escape_times(ornstein_uhlenbeck(), repeats=3, **RUN)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"repeats": 2}, {"repeats": 3, "workers": 2}])
def test_repeats_are_the_same_beside_others_and_on_workers(reference, options):
    other = ss.rare_escape_times(ornstein_uhlenbeck(), **RUN | options)
    n = len(other.repeats)
    assert other.plan == reference.plan
    pd.testing.assert_frame_equal(other.levels(), reference.levels()[lambda rows: rows["repeat"] <= n])
    np.testing.assert_array_equal(other.exit_points, np.concatenate([r.exit_points for r in reference.repeats[:n]]))
    assert [r.within for r in other.repeats] == [r.within for r in reference.repeats[:n]]


def test_other_seeds_and_arms_have_other_numbers(reference):
    result = ss.rare_escape_times(ornstein_uhlenbeck(), repeats=2, seed=1, arm="other", **RUN)
    assert set(result.probabilities).isdisjoint(reference.probabilities)


def test_an_interrupt_keeps_the_repeats_that_have_ended(reference):
    def stop_after_two(progress):
        if progress.finished >= 2 * RUN["walkers"]:
            raise KeyboardInterrupt

    with pytest.raises(ss.EscapeInterrupted) as interrupt:
        ss.rare_escape_times(ornstein_uhlenbeck(), repeats=3, progress=stop_after_two, **RUN)
    kept = interrupt.value.result
    np.testing.assert_array_equal(kept.probabilities, reference.probabilities[:2])


def test_the_result_says_what_it_rests_on(reference, tmp_path):
    summary, levels = reference.summary(), reference.levels()
    assert list(summary)[:3] == ["mean_time", "mean_low", "mean_high"]
    assert summary["n_levels"] == len(reference.plan.levels) == levels["level"].max()
    products = levels.groupby("repeat")["probability"].prod()
    np.testing.assert_allclose(products, reference.probabilities)
    assert summary["probability"] == pytest.approx(products.mean())
    assert summary["path_steps"] > levels["path_steps"].sum()
    used = summary["mean_time"] / reference.dt / reference.mean_time.relative_error**2
    assert summary["gain"] == pytest.approx(used / summary["path_steps"])
    assert reference.exit_weights.sum() == pytest.approx(1.0)
    assert (reference.exit_points >= 2.7 - 1e-9).all()
    np.testing.assert_allclose(reference.survival([0.0, summary["mean_time"]]), [1.0, np.exp(-1.0)])
    reference.to_csv(tmp_path / "levels.csv")
    assert len(pd.read_csv(tmp_path / "levels.csv")) == len(levels)
