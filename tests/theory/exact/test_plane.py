"""Escape times in two dimensions against closed forms, series, the solver in one dimension, and other grids."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import jn_zeros

import sam_sde as ss
from sam_sde.theory.exact.chain import Chain
from sam_sde.theory.exact.coefficients import Coefficients
from sam_sde.theory.exact.generator import generator
from sam_sde.theory.exact.stretching import stretched_grid
from tests.theory.exact.polar import mean_escape_time

TURN = np.pi / 6
ROTATION = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])


def brownian() -> ss.SGD:
    return ss.SGD(ss.LossSurface(lambda w: 0 * w[0] * w[1], dim=2), ss.IsotropicNoise(1.0), lr=1.0)


def quadratic(eigenvalues, covariance, rotation=None) -> ss.SGD:
    """A well or saddle with noise of the covariance, both turned by a rotation."""
    rotation = np.eye(len(eigenvalues)) if rotation is None else rotation
    hessian = torch.tensor(rotation @ np.diag(eigenvalues) @ rotation.T)
    loss = ss.LossSurface(lambda w: w @ (hessian.to(w) @ w) / 2, dim=len(eigenvalues))
    return ss.SGD(loss, ss.ConstantNoise((rotation @ np.diag(covariance) @ rotation.T).tolist()), lr=1.0)


def sam(exponent: float, rho: float = 0.2) -> ss.SAM:
    """Normalized SAM at the saddle (x² - y²)/2, where log E τ ~ `exponent`."""
    surface = ss.surfaces.quadratic(eigenvalues=[1.0, -1.0])
    return ss.SAM(surface, ss.IsotropicNoise(rho / np.sqrt(exponent)), lr=1.0, rho=rho)


def mean_on_grid(dynamics, start, region, half, spacing, frame=None) -> float:
    """E τ by one grid whose axes are not those of the covariance."""
    coefficients = Coefficients(dynamics, start, region)
    frame = np.eye(2) if frame is None else frame
    grid = stretched_grid(coefficients, frame, -np.array(half), np.array(half))
    states = generator(replace(grid, spacing=spacing))
    return Chain(states.q, states.leaving, [states.start]).solve(np.ones(len(states.points)))[states.start]


def test_brownian_motion_in_a_disk():
    """E τ = (1 - |x|²)/2, and λ is half the square of the first zero of J₀."""
    exact = ss.exact_escape_times(brownian(), start=[0.3, 0.5], region=ss.Ball([0, 0], 1.0))
    assert exact.mean_time == pytest.approx(0.33, rel=1e-6)
    assert exact.rate == pytest.approx(jn_zeros(0, 1)[0] ** 2 / 2, rel=1e-5)
    assert exact.sides == pytest.approx({"boundary": 1.0})
    np.testing.assert_allclose(exact.mean_times, (1 - (exact.points**2).sum(-1)) / 2, atol=1e-9)


def test_brownian_motion_in_a_box():
    """Series of the mean time, the product of two survival functions, sides by symmetry."""
    exact = ss.exact_escape_times(brownian(), start=[0.0, 0.0], region=ss.Box([-1, -1], [1, 1]))
    odd = 2 * np.arange(200) + 1
    signs = (-1.0) ** np.arange(200) / odd
    squares = odd[:, None] ** 2 + odd**2
    mean = 128 / np.pi**4 * np.sum(signs[:, None] * signs / squares)
    assert exact.mean_time == pytest.approx(mean, rel=1e-5)
    assert abs(exact.mean_time - mean) < 2 * exact.error_estimate + 1e-6
    assert exact.rate == pytest.approx(np.pi**2 / 4, rel=1e-5)
    assert exact.sides == pytest.approx(dict.fromkeys(["x0_low", "x1_low", "x0_high", "x1_high"], 0.25))
    line = ss.exact_escape_times(
        ss.SGD(ss.LossSurface(lambda w: 0 * w[0], dim=1), ss.IsotropicNoise(1.0), lr=1.0),
        start=[0.0],
        region=ss.Ball([0.0], 1.0),
    )
    times = np.linspace(0, 3, 30)
    np.testing.assert_allclose(exact.survival(times)["survival"], line.survival(times)["survival"] ** 2, atol=2e-4)
    spread = np.trapezoid(2 * np.linspace(0, 40, 8001) * exact.inside(np.linspace(0, 40, 8001)), dx=0.005)
    assert exact.standard_deviation == pytest.approx(np.sqrt(spread - exact.mean_time**2), rel=1e-3)


@pytest.mark.parametrize(("z", "close"), [(1.5, 3e-3), pytest.param(7.2, 3e-2, marks=pytest.mark.slow)])
def test_one_and_two_dimensions_agree_on_a_product_and_on_the_same_turned_by_30_degrees(z, close):
    """Times of 1 and 1e10, out of a box whose other sides are far; turned, with a full covariance.

    The axes of the grid are those of neither drift nor covariance; from two grids, not the finest ones.
    """
    eigenvalues, covariance = [1.0, 0.6], [0.02, 0.1]
    high = np.array([z * np.sqrt(covariance[0] / 2), 2.6])
    start = 0.1 * high[0]
    line = ss.exact_escape_times(quadratic([1.0], [0.02]), start=[start], region=ss.Ball([0.0], high[0]))

    def level(w):
        turned = torch.as_tensor(ROTATION.T).to(w) @ w
        return (turned.abs() / torch.as_tensor(high).to(w)).max() - 1

    straight = quadratic(eigenvalues, covariance), [start, 0.0], ss.Box(-high, high), high + start
    point = ROTATION @ [start, 0.0]
    turned = quadratic(eigenvalues, covariance, ROTATION), point, ss.LevelSet(level), np.abs(ROTATION) @ high + start
    for problem in (straight, turned):
        coarse, fine = (mean_on_grid(*problem, spacing) for spacing in ((1.0, 0.5) if z < 2 else (0.7, 0.35)))
        assert fine * (fine / coarse) ** (1 / 3) == pytest.approx(line.mean_time, rel=close)


@pytest.mark.slow
def test_a_slab_at_a_mean_time_of_1e10():
    """Turned by 30°; nothing bounds it along its walls."""
    eigenvalues, covariance = [1.0, 0.6], [0.02, 0.1]
    half = 7.1 * 0.1
    line = ss.exact_escape_times(quadratic([1.0], [0.02]), start=[0.0], region=ss.Ball([0.0], half))
    dynamics = quadratic(eigenvalues, covariance, ROTATION)
    exact = ss.exact_escape_times(dynamics, start=[0.0, 0.0], region=ss.Slab([0, 0], ROTATION[:, 0], half))
    assert line.mean_time > 1e10
    assert exact.mean_time == pytest.approx(line.mean_time, rel=1e-3)
    assert abs(exact.mean_time - line.mean_time) < exact.error_estimate
    assert exact.sides == pytest.approx({"low": 0.5, "high": 0.5}, abs=1e-3)


class Sheared(ss.Dynamics):
    """Brownian motion (x, y) seen as (x, y + sin(2x)/2): a covariance that is full and changes."""

    dim = channels = 2
    lr = 1.0

    def f(self, t, w):
        return torch.stack([0 * w[:, 0], -torch.sin(2 * w[:, 0])], dim=-1)

    def g(self, t, w):
        slope, one = torch.cos(2 * w[:, 0]), torch.ones_like(w[:, 0])
        return torch.stack([torch.stack([one, 0 * one], -1), torch.stack([slope, one], -1)], dim=-2)


def test_a_full_covariance_that_changes_at_the_second_order():
    """E τ of the disk, in curved coordinates; halving the spacing takes three quarters of the error."""
    region = ss.LevelSet(lambda w: w[0] ** 2 + (w[1] - torch.sin(2 * w[0]) / 2) ** 2 - 1)
    start = [0.3, 0.1 + np.sin(0.6) / 2]
    errors = [mean_on_grid(Sheared(), start, region, [2.0, 2.0], spacing) / 0.45 - 1 for spacing in (1, 0.5, 0.25)]
    assert abs(errors[2] + (errors[2] - errors[1]) / 3) < 5e-4
    assert 2.5 < errors[0] / errors[1] < 6
    assert 2.5 < errors[1] / errors[2] < 6


@pytest.mark.parametrize("exponent", [2.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_sam_at_a_saddle_against_polar_coordinates(exponent):
    exact = ss.exact_escape_times(sam(exponent), start=[0, 0], region=ss.Ball([0, 0], 0.6))
    assert exact.mean_time == pytest.approx(mean_escape_time(exponent, 0.2, 0.6), rel=1e-3)
    assert exact.error_estimate < 2e-3 * exact.mean_time


@pytest.mark.slow
def test_times_and_their_spread_where_the_drift_is_strong_beside_the_noise():
    """The unstable direction of a saddle alone has these times, and the solver in one dimension gives them."""
    region, noise = ss.Slab([0, 0], [0, 1], 1.0), ss.IsotropicNoise(0.02)
    saddle = ss.SGD(ss.surfaces.quadratic(eigenvalues=[1.0, -1.0]), noise, lr=1.0)
    exact = ss.exact_escape_times(saddle, start=[0, 0], region=region)
    top = ss.SGD(ss.surfaces.quadratic(eigenvalues=[-1.0]), noise, lr=1.0)
    line = ss.exact_escape_times(top, start=[0.0], region=ss.Ball([0.0], 1.0))
    assert exact.mean_time == pytest.approx(line.mean_time, rel=1e-3)
    assert exact.standard_deviation == pytest.approx(line.standard_deviation, rel=2e-2)
    assert exact.rate == pytest.approx(line.rate, rel=1e-2)
    times = np.linspace(0, 12, 100)
    np.testing.assert_allclose(exact.survival(times)["survival"], line.survival(times)["survival"], atol=0.02)


def test_sam_at_a_saddle_up_to_1e12_on_one_grid():
    got = mean_on_grid(sam(30.0), [0, 0], ss.Ball([0, 0], 0.6), [0.6, 0.6], 0.25)
    assert got == pytest.approx(mean_escape_time(30.0, 0.2, 0.6), rel=2e-2)
    assert got > 7e11


@pytest.mark.slow
def test_a_double_well_whose_other_side_has_no_end():
    """A wall is found where it changes nothing; the second coordinate is independent."""

    def loss(w):
        return (w[0] ** 2 - 1) ** 2 / 4

    region = ss.LevelSet(lambda w: w[0])
    noise = ss.IsotropicNoise(0.3)
    line = ss.exact_escape_times(ss.SGD(ss.LossSurface(loss, dim=1), noise, lr=1.0), start=[-1.0], region=region)
    plane = ss.LossSurface(lambda w: loss(w) + w[1] ** 2 / 2, dim=2)
    exact = ss.exact_escape_times(ss.SGD(plane, noise, lr=1.0), start=[-1.0, 0.2], region=region)
    assert exact.mean_time == pytest.approx(line.mean_time, rel=1e-3)
