"""The step and the number of paths that an accuracy takes, and what a step does to a result."""

import numpy as np
import pytest
from scipy.integrate import quad

import sam_sde as ss
from sam_sde.escape import checking
from sam_sde.escape.accuracy import plan
from sam_sde.escape.driver import prepare
from sam_sde.surfaces import quadratic

LR, BATCH, RHO, RADIUS = 0.1, 8, 0.2, 0.25
SAM = ss.SAM(quadratic([-1.0, -1.0]), ss.IsotropicNoise(1.0), lr=LR, batch_size=BATCH, rho=RHO)
SGD = ss.SGD(SAM.surface, SAM.noise, lr=LR, batch_size=BATCH)  # leaves soon, where only the bookkeeping is looked at
OPTIONS = {"start": [0, 0], "region": ss.Ball([0, 0], RADIUS), "t_max": 200.0, "engine": "torchsde"}


def exact_mean() -> float:
    """From the middle of the disk: the radius has drift r - ρ + s²/2r and noise s² = η/B."""
    s2 = LR / BATCH

    def weight(r: float) -> float:
        return r * np.exp((r * r - 2 * RHO * r) / s2)

    return quad(lambda r: 2 / s2 * quad(weight, 0, r)[0] / weight(r), 0, RADIUS, limit=200)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "accuracy"), [("euler", 0.2), ("heun", 0.08)])
def test_the_mean_is_within_the_accuracy_of_the_exact_one(method, accuracy):
    """It is exceeded by one experiment in twenty, and never doubled."""
    summary = ss.escape_times(SAM, method=method, accuracy=accuracy, **OPTIONS).summary()
    assert abs(summary["rmst"] / exact_mean() - 1) < 2 * accuracy
    assert summary["rmst_high"] / summary["rmst"] - 1 < accuracy
    assert abs(summary["dt_change"]) < accuracy * exact_mean()


def test_a_finer_accuracy_takes_more_paths_and_no_longer_a_step():
    plans = [plan(prepare(SAM, n_paths=1, **OPTIONS), accuracy) for accuracy in (0.2, 0.07)]
    assert plans[0].n_paths < plans[1].n_paths
    assert plans[0].dt >= plans[1].dt
    for accuracy, chosen in zip((0.2, 0.07), plans, strict=True):
        assert np.hypot(chosen.statistical_error, chosen.step_error) <= accuracy


def test_of_an_algorithm_the_step_is_its_own():
    result = ss.escape_times(SGD, accuracy=0.2, **(OPTIONS | {"engine": "discrete"}))
    assert result.dt == LR
    assert result.step_check is None
    assert len(result) >= 1000


@pytest.mark.parametrize("accuracy", [0, 1, -0.1, float("nan"), "0.1"])
def test_what_is_no_accuracy_is_refused(accuracy):
    with pytest.raises(ss.ArgumentError, match="accuracy: expected"):
        ss.escape_times(SGD, accuracy=accuracy, **OPTIONS)


def test_an_accuracy_out_of_reach_is_an_error():
    with pytest.raises(ss.ArgumentError, match=r"accuracy: it would take .* paths; try a larger one"):
        ss.escape_times(SGD, accuracy=1e-6, **(OPTIONS | {"engine": "discrete"}))


def test_a_check_tells_the_change_of_the_mean_that_two_runs_of_their_own_have():
    """Euler at a large step: the change is of many standard errors, and that between the exact means of both steps."""
    options = OPTIONS | {"method": "euler", "dt": 0.2, "n_paths": 4000}
    change = ss.escape_times(SAM, check_dt=True, **options).step_check.dt_change
    runs = [
        ss.escape_times(SAM, check_dt=False, seed=7, **(options | {"dt": dt, "n_paths": 20_000})) for dt in (0.2, 0.1)
    ]
    expected = runs[1].times.mean() - runs[0].times.mean()
    error = np.hypot(runs[0].times.std(), runs[1].times.std()) / 20_000**0.5
    half_width = (change["dt_change_high"] - change["dt_change_low"]) / 2
    assert abs(change["dt_change"] - expected) < 4 * np.hypot(error, half_width / 1.96)


def test_as_many_paths_are_checked_as_make_the_interval_half_as_wide():
    result = ss.escape_times(SAM, n_paths=3000, check_dt=True, **OPTIONS)
    check = result.step_check
    assert check.dt == LR
    assert 500 <= check.n_paths <= 3000
    if check.n_paths < 3000:
        assert check.half_width < checking.statistical_half_width(result)


@pytest.mark.parametrize("check_dt", [False, "auto"])
def test_small_runs_and_algorithms_are_not_checked_unasked(check_dt):
    assert ss.escape_times(SGD, n_paths=300, check_dt=check_dt, **OPTIONS).step_check is None
    assert ss.escape_times(SGD, n_paths=30, check_dt=True, **(OPTIONS | {"engine": "discrete"})).step_check is None


def test_unasked_the_check_is_of_a_sixteenth_of_the_paths_at_most(monkeypatch):
    """Of a run that counts as long."""
    monkeypatch.setattr(checking, "_is_cheap", lambda result: True)
    result = ss.escape_times(SGD, n_paths=4000, check_dt="auto", **OPTIONS)
    assert result.step_check.n_paths == 250


def test_an_interrupt_during_the_check_leaves_the_result():
    class Interrupt:
        begun = 0.0

        def __call__(self, progress):
            if progress.fraction < self.begun:  # another run has begun
                raise KeyboardInterrupt
            self.begun = progress.fraction

    with pytest.raises(ss.EscapeInterrupted) as caught:
        ss.escape_times(SGD, n_paths=500, check_dt=True, progress=Interrupt(), **OPTIONS)
    alone = ss.escape_times(SGD, n_paths=500, check_dt=False, **OPTIONS)
    np.testing.assert_array_equal(caught.value.result.times, alone.times)


def test_a_result_without_a_check_says_so_in_its_summary():
    result = ss.escape_times(SGD, n_paths=50, **OPTIONS)
    assert np.isnan(result.summary()["dt_change"])


def test_where_every_path_of_the_pilot_fails_that_is_said():
    steep = ss.SGD(ss.LossSurface(lambda w: -(w[0] ** 8), dim=1), ss.NoNoise(), lr=1.0)
    options = {"start": [2.0], "region": ss.LevelSet(lambda w: w[0] ** 2 - 1e300), "t_max": 1e3, "dtype": "float64"}
    with pytest.raises(ss.ArgumentError, match="accuracy: no path of the pilot could be followed"):
        ss.escape_times(steep, accuracy=0.1, engine="torchsde", **options)
