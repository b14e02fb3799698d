"""Trajectories without a region are the paths that an escape run integrates."""

import numpy as np
import pytest
import torch

import sam_sde as ss

SADDLE = ss.surfaces.quadratic([1.0, -1.0])
SGD = ss.SGD(SADDLE, ss.IsotropicNoise(1.0), lr=0.01, batch_size=4)


@pytest.mark.parametrize("engine", ["torchsde", "discrete"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_they_are_the_paths_of_an_escape_run_that_nothing_ends(engine, momentum):
    sgd = ss.SGD(SADDLE, ss.IsotropicNoise(1.0), lr=0.01, batch_size=4, momentum=momentum)
    options = {"start": [0, 0.1], "t_max": 0.7, "n_paths": 3, "seed": 5, "engine": engine, "dtype": "float64"}
    free = ss.simulate(sgd, **options)
    inside = ss.simulate(sgd, region=ss.Ball([0, 0], 1e6), **options)
    for one, other in zip(free, inside, strict=True):
        assert one.outcome == other.outcome == ss.Outcome.CENSORED
        assert one.states.shape == (71, 2)
        np.testing.assert_array_equal(one.times, other.times)
        np.testing.assert_array_equal(one.states, other.states)


def test_every_so_manieth_state_is_kept_and_the_last_one():
    all_states, some = (ss.simulate(SGD, start=[0, 0], t_max=1.0, n_paths=1, every=every)[0] for every in (1, 30))
    np.testing.assert_array_equal(some.states[:-1], all_states.states[:100:30])
    np.testing.assert_array_equal(some.states[-1], all_states.states[-1])


def test_a_region_ends_a_path():
    options = {"start": [0, 0], "t_max": 50.0, "n_paths": 4, "seed": 1}
    region = ss.Ball([0, 0], 0.3)
    result = ss.escape_times(SGD, region=region, engine="torchsde", **options)
    for path, trajectory in enumerate(ss.simulate(SGD, region=region, **options)):
        assert trajectory.times[-1] == pytest.approx(result.times[path], rel=1e-5)
        assert trajectory.outcome == ss.Outcome.ESCAPED


def test_a_path_that_becomes_infinite_has_failed_with_its_last_finite_state():
    surface = ss.LossSurface(lambda w: -(w**4).sum(), 1)
    path = ss.simulate(ss.SGD(surface, ss.NoNoise(), lr=0.1), start=[1.0], t_max=20.0, n_paths=1)[0]
    assert path.outcome == ss.Outcome.FAILED
    assert np.isfinite(path.states).all()
    last = torch.tensor(path.states[-1])
    following = last + 0.2 * (last**3 + (last + 0.4 * last**3) ** 3)  # Heun's method
    assert not torch.isfinite(following).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_max": 0}, "t_max: expected a number above 0"),
        ({"start": [0]}, "start: expected 2 numbers"),
        ({"every": 0}, "every: expected a whole number"),
        ({"engine": "torchsd"}, "engine: unknown value 'torchsd'"),
        ({"n_paths": 0}, "n_paths: expected a whole number"),
        ({"engine": "discrete", "dt": 0.5}, "dt: expected lr = 0.01"),
    ],
)
def test_bad_arguments_are_refused_by_name(change, message):
    with pytest.raises(ss.ArgumentError, match=message):
        ss.simulate(SGD, **{"start": [0, 0], "t_max": 1.0} | change)
