"""Exit times and places of Brownian motion, which are known exactly."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import sam_sde as ss

RADIUS, SIGMA = 1.3, 0.7
TIME = RADIUS**2 / SIGMA**2  # the natural unit of time
COARSE, FINE = 0.1, 0.01  # steps, in that unit
FOUR_SIGMA = 2 * stats.norm.sf(4)
DISCRETISATION = 0.005

INTERVALS = {
    "ball": ss.Ball([0.0], RADIUS),
    "slab": ss.Slab([0.0], [1.0], RADIUS),
    "box": ss.Box([-RADIUS], [RADIUS]),
}
DISK = ss.Ball([0.0, 0.0], RADIUS)
REGIONS = {**INTERVALS, "disk": DISK}


def exits(region, *, dt, n_paths, start=None, crossing="bridge", seed=0):
    """Brownian motion of variance σ² t leaving `region`, the step `dt` in units of TIME; all paths have left."""
    dim = region.dim or 2
    dynamics = ss.SGD(ss.LossSurface(lambda w: 0.0 * w.sum(), dim), ss.IsotropicNoise(SIGMA), lr=1.0)
    result = ss.escape_times(
        dynamics,
        start=[0.0] * dim if start is None else start,
        region=region,
        t_max=20 * TIME,
        dt=dt * TIME,
        n_paths=n_paths,
        crossing=crossing,
        seed=seed,
        device="cpu",
    )
    assert (result.outcome == ss.Outcome.ESCAPED).all()
    return result


def mean_exit_time(region):
    """From the centre: r²/s² in dimension 1, r²/(2s²) in dimension 2."""
    return TIME / region.dim


def interval_exit_cdf(t):
    """P(τ ≤ t) for the interval from its middle, the theta series Σ (-1)^k 4/(π(2k+1)) exp(-(2k+1)²π²s²t/8r²)."""
    odd = 2 * np.arange(200)[:, None] + 1
    terms = np.sin(odd * np.pi / 2) / odd * np.exp(-(odd**2) * np.pi**2 * np.atleast_1d(t) / (8 * TIME))
    return np.squeeze(1 - 4 / np.pi * terms.sum(0))


def poisson_angle_cdf(angle, distance):
    """P(θ ≤ angle) of the exit's angle for a start on the first axis, `distance` radii from the centre."""
    return 0.5 + np.arctan((1 + distance) / (1 - distance) * np.tan(angle / 2)) / np.pi


def square_mean_exit_time(r):
    """From the centre of (-r, r)²: the Fourier series of ½s²Δu = -1."""
    odd = 2 * np.arange(20) + 1
    series = (np.sin(odd * np.pi / 2) / (odd**3 * np.cosh(odd * np.pi / 2))).sum()
    return 2 / SIGMA**2 * r**2 * (0.5 - 16 / np.pi**3 * series)


def assert_mean(times, exact, allowance=DISCRETISATION):
    error = abs(times.mean() - exact)
    assert error < 4 * times.std() / math.sqrt(len(times)) + allowance * exact


def assert_distributed(sample, cdf, allowance=0.0):
    """Kolmogorov–Smirnov at four standard deviations; `allowance` is a difference of distribution functions."""
    distance = stats.kstest(sample, cdf).statistic
    assert distance < stats.kstwobign.isf(FOUR_SIGMA) / math.sqrt(len(sample)) + allowance


@pytest.mark.parametrize(("dt", "n_paths"), [(COARSE, 40_000), (FINE, 10_000)])
@pytest.mark.parametrize("name", REGIONS)
def test_bridge_gives_the_mean_exit_time_at_any_step(name, dt, n_paths):
    region = REGIONS[name]
    assert_mean(exits(region, dt=dt, n_paths=n_paths).times, mean_exit_time(region))


@pytest.mark.parametrize("name", INTERVALS)
def test_exit_times_of_the_interval_follow_the_theta_series(name):
    times = exits(INTERVALS[name], dt=COARSE, n_paths=40_000, seed=1).times
    assert_distributed(times, interval_exit_cdf, allowance=0.003)


def test_times_inside_the_first_step_follow_the_theta_series():
    # These times are the draws within one bridge, and nothing else; 9 % of the paths.
    times = exits(INTERVALS["box"], dt=0.25, n_paths=60_000, seed=2).times
    step = 0.25 * TIME
    first = times[times < step]
    expected = interval_exit_cdf(step)
    standard_error = math.sqrt(expected * (1 - expected) / len(times))
    assert abs(len(first) / len(times) - expected) < 4 * standard_error + 0.001
    assert_distributed(first, lambda t: interval_exit_cdf(t) / expected, allowance=0.005)


@pytest.mark.parametrize("name", REGIONS)
def test_a_walk_seen_at_its_steps_is_late_and_a_shifted_boundary_corrects_most_of_it(name):
    region = REGIONS[name]
    exact = mean_exit_time(region)
    late = exits(region, dt=COARSE, n_paths=10_000, crossing="none").times.mean() / exact - 1
    shifted = exits(region, dt=COARSE, n_paths=10_000, crossing="shift").times.mean() / exact - 1
    assert late > 0.3
    assert abs(shifted) < 0.25 * late


def test_a_shifted_boundary_is_right_to_the_order_of_the_step():
    # The walk is late by the order √dt, 12 % here; what is left of it is of order dt.
    times = exits(DISK, dt=FINE, n_paths=20_000, crossing="shift").times
    assert_mean(times, mean_exit_time(DISK), allowance=0.01)
    unshifted = exits(DISK, dt=FINE, n_paths=20_000, crossing="none").times
    assert unshifted.mean() > 1.05 * mean_exit_time(DISK)


@pytest.mark.parametrize("name", REGIONS)
def test_exit_points_lie_on_the_boundary(name):
    points = exits(REGIONS[name], dt=COARSE, n_paths=2_000).exit_points
    assert np.abs(np.linalg.norm(points, axis=1) - RADIUS).max() < 1e-5 * RADIUS


@pytest.mark.parametrize(("kind", "angle", "dt"), [("slab", 0.6, COARSE), ("slab", 2.5, COARSE), ("box", 0.0, 0.5)])
def test_place_of_exit_along_a_layer_is_normal_given_the_time(kind, angle, dt):
    # With n across and t along: t·w = (nᵀΣt/nᵀΣn) n·w + N, N of variance τ (tᵀΣt - (nᵀΣt)²/nᵀΣn), at any step.
    covariance = SIGMA**2 * np.array([[1.0, 0.6], [0.6, 2.0]])
    across, along = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    slab, box = ss.Slab([0.0, 0.0], across, RADIUS), ss.Box([-RADIUS, -1e3], [RADIUS, 1e3])
    dynamics = ss.SGD(ss.LossSurface(lambda w: 0.0 * w.sum(), 2), ss.ConstantNoise(covariance), lr=1.0)
    result = ss.escape_times(
        dynamics,
        start=[0.0, 0.0],
        region=slab if kind == "slab" else box,
        t_max=20 * TIME,
        dt=dt * TIME,
        n_paths=30_000,
        seed=7,
        device="cpu",
    )
    slope = across @ covariance @ along / (across @ covariance @ across)
    variance = along @ covariance @ along - slope * across @ covariance @ along
    rest = result.exit_points @ along - slope * result.exit_points @ across
    assert_distributed(rest / np.sqrt(variance * result.times), stats.norm.cdf)
    assert abs((rest**2 / result.times).mean() / variance - 1) < 4 * math.sqrt(2 / len(rest))


@pytest.mark.parametrize("dt", [COARSE, FINE])
def test_exits_of_the_disk_from_its_centre_are_uniform_in_angle(dt):
    points = exits(DISK, dt=dt, n_paths=20_000, seed=3).exit_points
    angle = np.arctan2(points[:, 1], points[:, 0])
    assert_distributed(angle, stats.uniform(-np.pi, 2 * np.pi).cdf)


@pytest.mark.parametrize("distance", [0.3, 0.7])
def test_exits_of_the_disk_from_elsewhere_follow_the_poisson_kernel(distance):
    points = exits(DISK, dt=FINE, n_paths=20_000, start=[distance * RADIUS, 0.0], seed=4).exit_points
    angle = np.arctan2(points[:, 1], points[:, 0])
    assert_distributed(angle, lambda a: poisson_angle_cdf(a, distance), allowance=0.003)


@pytest.mark.parametrize("distance", [0.3, 0.7])
def test_exit_time_of_the_disk_from_elsewhere(distance):
    # r² - |x|² over 2s².
    times = exits(DISK, dt=FINE, n_paths=20_000, start=[0.0, distance * RADIUS], seed=5).times
    assert_mean(times, TIME * (1 - distance**2) / 2)


@pytest.mark.parametrize(("dt", "n_paths"), [(COARSE, 40_000), (FINE, 20_000)])
def test_mean_exit_time_of_the_square(dt, n_paths):
    square = ss.Box([-RADIUS, -RADIUS], [RADIUS, RADIUS])
    assert_mean(exits(square, dt=dt, n_paths=n_paths).times, square_mean_exit_time(RADIUS))


@pytest.mark.parametrize("dt", [COARSE, FINE])
def test_a_level_set_that_is_the_signed_distance_is_the_ball(dt):
    distance = ss.LevelSet(lambda w: torch.linalg.vector_norm(w) - RADIUS)
    start = [0.4 * RADIUS, 0.3 * RADIUS]
    of_level, of_ball = (exits(region, dt=dt, n_paths=5_000, start=start) for region in (distance, DISK))
    np.testing.assert_allclose(of_level.times, of_ball.times, rtol=1e-4, atol=1e-5 * TIME)
    np.testing.assert_allclose(of_level.exit_points, of_ball.exit_points, atol=1e-3 * RADIUS)


@pytest.mark.parametrize("dt", [COARSE, FINE])
def test_a_level_set_of_another_level_function_is_the_ball_too(dt):
    square = ss.LevelSet(lambda w: (w * w).sum() - RADIUS**2)
    of_level, of_ball = (exits(region, dt=dt, n_paths=5_000, seed=6) for region in (square, DISK))
    np.testing.assert_allclose(of_level.times, of_ball.times, rtol=1e-3, atol=1e-4 * TIME)
    assert np.abs(np.linalg.norm(of_level.exit_points, axis=1) - RADIUS).max() < 1e-5 * RADIUS


@pytest.mark.parametrize(
    "region",
    [
        DISK,
        ss.LevelSet(lambda w: (w * w).sum() - RADIUS**2),
        ss.LossBelow(ss.LossSurface(lambda w: (w * w).sum(), 2), RADIUS**2),
    ],
)
def test_paths_that_nobody_expects_to_leave_are_censored(region):
    dynamics = ss.SGD(ss.LossSurface(lambda w: 0.0 * w.sum(), 2), ss.IsotropicNoise(1e-3), lr=1.0)
    result = ss.escape_times(dynamics, start=[0.0, 0.0], region=region, t_max=10.0, n_paths=4, device="cpu")
    assert (result.outcome == ss.Outcome.CENSORED).all()
    assert (result.times == 10.0).all()
