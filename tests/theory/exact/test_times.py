"""What exact_escape_times refuses, and what its result offers."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.theory.exact import cuts

SADDLE = ss.surfaces.quadratic(eigenvalues=[1.0, -1.0])
NOISE = ss.IsotropicNoise(1.0)
BALL = ss.Ball([0, 0], 1.0)


def refused(dynamics, message, start=(0.0, 0.0), region=BALL) -> None:
    with pytest.raises(ss.ArgumentError, match=message):
        ss.exact_escape_times(dynamics, start=start, region=region)


def test_more_than_two_dimensions():
    three = ss.surfaces.quadratic(eigenvalues=[1.0, 1.0, -1.0])
    refused(ss.SGD(three, NOISE, lr=1.0), "one and two dimensions, got 3", [0, 0, 0], ss.Ball([0, 0, 0], 1.0))


def test_a_velocity_and_what_changes_with_time():
    refused(ss.SGD(SADDLE, NOISE, lr=1.0, momentum=0.9), "without a velocity")
    refused(ss.SGD(SADDLE, NOISE, lr=1.0, momentum=0.9, nesterov=True), "nesterov: no SDE")
    refused(ss.SGD(SADDLE, NOISE, lr=1.0, lr_schedule=ss.CosineSchedule(10.0)), "do not change with time")
    refused(ss.SGD(SADDLE, NOISE, lr=0.1, lr_schedule=ss.StepSchedule(1e4)), "do not change with time")
    late = ss.Switch(ss.SGD(SADDLE, NOISE, lr=1.0), ss.SAM(SADDLE, NOISE, lr=1.0, rho=0.1), at=50.0)
    refused(late, "do not change with time", [0.1, 0.1])


def test_an_overdamped_momentum_and_a_constant_schedule_are_taken():
    """dw = -u/(1-γ) d dt + u/(1-γ) √η dW: with u = 1-γ it is SGD."""
    top, box = ss.surfaces.quadratic(eigenvalues=[-1.0]), ss.Ball([0.0], 1.0)
    plain = ss.SGD(top, NOISE, lr=1.0)
    options = {"momentum": 0.5, "momentum_model": "overdamped", "lr_schedule": ss.ConstantSchedule(0.5)}
    one = ss.exact_escape_times(plain, start=[0.0], region=box)
    other = ss.exact_escape_times(ss.SGD(top, NOISE, lr=1.0, **options), start=[0.0], region=box)
    assert other.mean_time == pytest.approx(one.mean_time, rel=1e-12)


def test_a_covariance_that_vanishes_inside_at_a_point_on_a_line_or_everywhere():
    refused(ss.SGD(SADDLE, ss.NoNoise(), lr=1.0), "covariance vanishes inside the region.*ellipticity", [0.1, 0.1])
    refused(ss.SGD(SADDLE, ss.ConstantNoise([[1.0, 0.0], [0.0, 0.0]]), lr=1.0), "ellipticity")
    wave = ss.LossSurface(lambda w: torch.sin(w[0]) + w[1] ** 2, dim=2)
    refused(ss.SGD(wave, ss.HessianNoise(wave), lr=1.0), "ellipticity", [1.5, 0.0], ss.Ball([1.5, 0.0], 1.87))
    cubic = ss.LossSurface(lambda w: w[0] ** 3 - w[0], dim=1)
    refused(ss.SGD(cubic, ss.HessianNoise(cubic), lr=1.0), "ellipticity", [0.5], ss.Box([-0.777], [1.0]))


def test_regions_that_have_no_end_or_no_inside():
    flat = ss.SGD(ss.LossSurface(lambda w: 0 * w[0], dim=1), NOISE, lr=1.0)
    refused(flat, "nothing confines", [0.0], ss.LevelSet(lambda w: w[0] - 1))
    refused(flat, "no boundary", [0.0], ss.LevelSet(lambda w: -1 - w[0] ** 2))
    refused(ss.SGD(SADDLE, NOISE, lr=1.0), "no boundary", region=ss.LevelSet(lambda w: -1 - w[0] ** 2))
    refused(ss.SGD(SADDLE, NOISE, lr=1.0), "outside the region", region=ss.LevelSet(lambda w: 1 + w[0] ** 2))
    refused(ss.SGD(SADDLE, NOISE, lr=1.0), "outside the region", [2.0, 0.0])
    refused(ss.SGD(SADDLE, NOISE, lr=1.0), "expected a list of numbers", ss.NormalStart([0, 0], 0.1), BALL)


def test_a_half_plane_in_which_nothing_confines(monkeypatch):
    monkeypatch.setattr(cuts, "MOST_GROWTHS", 1)
    flat = ss.SGD(ss.LossSurface(lambda w: 0 * w[0] * w[1], dim=2), NOISE, lr=1.0)
    refused(flat, "nothing confines", [0.0, 0.0], ss.LevelSet(lambda w: w[0] - 1))


def test_what_is_no_optimizer_no_region_and_not_finite():
    refused("sgd", "expected an optimizer")
    refused(ss.SGD(SADDLE, NOISE, lr=1.0), "expected a Region", region=1.0)
    log = ss.LossSurface(lambda w: torch.log(w[0] + 0.5), dim=1)
    refused(ss.SGD(log, NOISE, lr=1.0), "not finite inside", [0.0], ss.Ball([0.0], 1.0))


def test_times_beyond_1e300():
    well = ss.surfaces.quadratic(eigenvalues=[1.0])
    refused(ss.SGD(well, ss.IsotropicNoise(0.02), lr=1.0), "beyond 1e300", [0.0], ss.Ball([0.0], 1.0))
    weak = ss.SAM(SADDLE, ss.IsotropicNoise(0.002), lr=1.0, rho=0.2)
    refused(weak, "noise is too weak|beyond 1e300")


def test_names_of_sides_and_times_of_the_survival_function():
    sgd = ss.SGD(ss.surfaces.quadratic(eigenvalues=[-1.0]), NOISE, lr=1.0)
    exact = ss.exact_escape_times(sgd, start=[0.2], region=ss.Slab([0.0], [1.0], 1.0))
    names = ["mean_time", "error_estimate", "standard_deviation", "rate", "exit_low", "exit_high"]
    assert list(exact.summary()) == names
    curve = exact.survival()
    assert tuple(curve.iloc[0]) == (0, 1)
    assert curve["survival"].iloc[-1] < 2e-3
    assert (np.diff(curve["survival"]) <= 1e-9).all()
    area = np.trapezoid(exact.inside(np.linspace(0, 60, 60001)), dx=1e-3)
    assert area == pytest.approx(exact.mean_time, rel=1e-4)
    for times in ([-1.0], [np.nan], [[1.0]]):
        with pytest.raises(ss.ArgumentError, match="times"):
            exact.survival(times)
