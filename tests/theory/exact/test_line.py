"""Escape times in one dimension against closed forms, series and scipy's quadrature, up to 1e300."""

import numpy as np
import pytest
import torch
from kramers import FirstPassage1D
from scipy.integrate import quad

import sam_sde as ss

# θ E τ of an Ornstein-Uhlenbeck process from 0 to z standard deviations.
LADDER = {2: 10.42841, 3: 86.93162, 4: 2018.392, 5: 140741.0, 6: 2.826750e7, 7: 1.597997e10, 8: 2.514765e13}


def flat() -> ss.LossSurface:
    return ss.LossSurface(lambda w: 0 * w[0], dim=1)


def brownian() -> ss.SGD:
    return ss.SGD(flat(), ss.IsotropicNoise(1.0), lr=1.0)


def ornstein_uhlenbeck() -> ss.SGD:
    """θ = 1, stationary variance 1."""
    return ss.SGD(ss.surfaces.quadratic(eigenvalues=[1.0]), ss.IsotropicNoise(1.0), lr=2.0)


@pytest.mark.parametrize("start", [0.0, 0.3, -0.77])
def test_brownian_motion_in_an_interval(start):
    """E τ = 1 - x², the variance by its closed form, λ = π²/8, and the series of the survival function."""
    exact = ss.exact_escape_times(brownian(), start=[start], region=ss.Ball([0.0], 1.0))
    assert exact.mean_time == pytest.approx(1 - start**2, rel=1e-10)
    assert exact.standard_deviation == pytest.approx(np.sqrt((1 - start**2) * (5 - start**2) / 3 - (1 - start**2) ** 2))
    assert exact.rate == pytest.approx(np.pi**2 / 8, rel=1e-10)
    assert exact.sides == pytest.approx({"low": (1 - start) / 2, "high": (1 + start) / 2})
    times, odd = np.array([0.02, 0.1, 0.5, 1.0, 3.0, 10.0]), 2 * np.arange(100)[:, None] + 1
    terms = 4 / np.pi / odd * np.sin(odd * np.pi * (start + 1) / 2) * np.exp(-((odd * np.pi) ** 2) * times / 8)
    np.testing.assert_allclose(exact.survival(times)["survival"], terms.sum(axis=0), atol=2e-5)
    np.testing.assert_allclose(exact.mean_times, 1 - exact.points[:, 0] ** 2, atol=1e-12)
    np.testing.assert_allclose(exact.mode, np.cos(np.pi * exact.points[:, 0] / 2), atol=1e-6)


@pytest.mark.parametrize("z", LADDER)
def test_ladder_of_the_ornstein_uhlenbeck_process(z):
    """From 0 to z standard deviations, with no boundary on the other side."""
    exact = ss.exact_escape_times(ornstein_uhlenbeck(), start=[0.0], region=ss.LevelSet(lambda w: w[0] - z))
    assert exact.mean_time == pytest.approx(LADDER[z], rel=1e-6)
    assert exact.error_estimate < 1e-7 * exact.mean_time
    if z > 4:
        assert exact.rate == pytest.approx(1 / exact.mean_time, rel=1e-3)
    assert exact.sides == {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize("depth", [1.0, 30.0, 300.0, 670.0])
def test_a_drift_that_jumps_up_to_times_of_1e290(depth):
    """-c sign(x) to ±1 with c = depth and noise 2: E τ = (e^c - 1)/c² - 1/c."""
    dynamics = ss.SGD(ss.LossSurface(lambda w: depth * w[0].abs(), dim=1), ss.IsotropicNoise(1.0), lr=2.0)
    exact = ss.exact_escape_times(dynamics, start=[0.0], region=ss.Ball([0.0], 1.0))
    assert exact.mean_time == pytest.approx(np.expm1(depth) / depth**2 - 1 / depth, rel=1e-9)
    assert np.isfinite([exact.standard_deviation, exact.error_estimate]).all()
    if depth > 1:
        assert exact.rate * exact.mean_time == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.02, 0.005])
@pytest.mark.parametrize("start", [-1.0, 0.3])
def test_a_tilted_double_well_beside_the_package_kramers(noise, start):
    """Mean, deviation, rate and sides of dw = -V' dt + √(2D) dW in V = (w² - 1)²/4 + w/10, up to 1e22."""
    surface = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[0] / 10, dim=1)
    dynamics = ss.SGD(surface, ss.IsotropicNoise(np.sqrt(2 * noise)), lr=1.0)
    found = ss.exact_escape_times(dynamics, start=[start], region=ss.Box([-1.4], [1.2]))
    witness = FirstPassage1D(
        lambda x: ((x**2 - 1) ** 2 / 4 + x / 10) / noise,
        D=noise,
        domain=(-1.4, 1.2),
        left="absorbing",
        right="absorbing",
    )
    assert found.mean_time == pytest.approx(witness.mean_time(start).value, rel=1e-6)
    assert found.standard_deviation == pytest.approx(witness.variance(start).value ** 0.5, rel=1e-6)
    assert found.rate == pytest.approx(witness.decay_rate().value, rel=1e-6)
    assert found.sides["high"] == pytest.approx(witness.splitting(start).value, rel=1e-6)


@pytest.mark.parametrize(("kink", "beside"), [(0.0, 0.0), (0.0, 0.1), (0.1234567, 0.0), (0.1234567, 0.05321)])
def test_sam_at_a_saddle_in_one_dimension(kink, beside):
    """E τ = ∫∫ e^{Φ(y)-Φ(z)} 2/a, Φ = (x² - 2ρ|x|)/σ², by scipy, wherever the start and the kink are."""
    rho, sigma = 0.3, 0.2
    surface = ss.LossSurface(lambda w: -((w[0] - kink) ** 2) / 2, dim=1)
    sam = ss.SAM(surface, ss.IsotropicNoise(sigma), lr=1.0, rho=rho)
    exact = ss.exact_escape_times(sam, start=[kink + beside], region=ss.Ball([kink], 0.5))

    def potential(x):
        return (x**2 - 2 * rho * x) / sigma**2

    def inner(z):
        return quad(lambda y: np.exp(potential(y) - potential(z)) * 2 / sigma**2, 0, z, epsrel=1e-11)[0]

    assert exact.mean_time == pytest.approx(quad(inner, beside, 0.5, epsrel=1e-10, limit=200)[0], rel=1e-8)
    times = np.linspace(0, 60 * exact.mean_time, 20001)
    assert np.trapezoid(exact.inside(times), times) == pytest.approx(exact.mean_time, rel=1e-3)


@pytest.mark.parametrize("sigma", [1.0, 0.2])
def test_double_well_and_noise_that_changes(sigma):
    """From a minimum to the barrier, no boundary behind it, a = σ²(1 + x²)²: by scipy's double integral."""

    class Wells(ss.Dynamics):
        noise_type, dim, channels, lr = "diagonal", 1, 1, 1.0

        def f(self, t, x):
            return x - x**3

        def g(self, t, x):
            return sigma * (1 + x**2)

    def p(x):
        return 2 * (x - x**3) / (sigma * (1 + x**2)) ** 2

    def potential(x):  # ∫ p from -1
        return (-np.log((1 + x**2) / 2) - 2 * (1 / (1 + x**2) - 0.5)) / sigma**2

    assert quad(p, -1, -0.3)[0] == pytest.approx(potential(-0.3))

    def inner(z):
        integrand = lambda y: np.exp(potential(y) - potential(z)) * 2 / (sigma * (1 + y**2)) ** 2  # noqa: E731
        return quad(integrand, -20, z, points=[min(-1, z)], epsrel=1e-11, limit=200)[0]

    expected = quad(inner, -1, 0, epsrel=1e-9)[0]
    exact = ss.exact_escape_times(Wells(), start=[-1.0], region=ss.LevelSet(lambda w: w[0]))
    assert exact.mean_time == pytest.approx(expected, rel=1e-6)


def test_survival_of_a_trap_beside_which_a_path_starts():
    """Some leave at once, the others after the long time of the trap: 1 at first, then a plateau, then e^{-λt}."""
    dynamics = ss.SGD(ss.LossSurface(lambda w: 30 * torch.sin(w[0]), dim=1), ss.IsotropicNoise(1.0), lr=2.0)
    # A minimum at -π/2, a maximum at π/2.
    exact = ss.exact_escape_times(dynamics, start=[np.pi / 2 + 0.1], region=ss.Box([-5.0], [2.5]))
    bottom = ss.exact_escape_times(dynamics, start=[-np.pi / 2], region=ss.Box([-5.0], [2.5]))
    trapped = exact.mean_time / bottom.mean_time
    assert 0.1 < trapped < 0.5
    times = np.array([0.0, 1e-6, 1.0, 1e3, 1 / bottom.rate, 3 / bottom.rate])
    expected = [1.0, 1.0, trapped, trapped, trapped * np.exp(-1), trapped * np.exp(-3)]
    np.testing.assert_allclose(exact.survival(times)["survival"], expected, atol=3e-4)


@pytest.mark.parametrize("c", [5.0, 30.0])
def test_a_jump_of_the_drift_inside_a_cell(c):
    """u'' = c sign(x) u' - 1 on (-l, r): u' = 1/c + K e^{cx} above 0, and -1/c + (K + 2/c) e^{-cx} below."""
    low, high = 0.3137, 1.0
    below, above = np.expm1(c * low), np.expm1(c * high)
    k = (low - high - 2 / c * below) / (below + above)
    dynamics = ss.SGD(ss.LossSurface(lambda w: c * w[0].abs(), dim=1), ss.IsotropicNoise(1.0), lr=2.0)
    exact = ss.exact_escape_times(dynamics, start=[0.0001], region=ss.Box([-low], [high]))
    beside = -(1e-4 / c + k * np.expm1(c * 1e-4) / c)
    assert exact.mean_time == pytest.approx(-(high + k * above) / c - beside, rel=1e-10)


def test_the_error_that_is_stated_holds_the_real_one():
    """A drift that turns within a cell, u(0) = ∫₀¹ e^{-Φ(x)} ∫₀ˣ e^Φ for Φ = -cos(kx)/2 and a = 2, by trapezoids."""
    k, x = 1500.0, np.linspace(0, 1, 400_001)
    dynamics = ss.SGD(ss.LossSurface(lambda w: torch.cos(k * w[0]) / 2, dim=1), ss.IsotropicNoise(1.0), lr=2.0)
    exact = ss.exact_escape_times(dynamics, start=[0.0], region=ss.Box([-1.0], [1.0]))
    inner = np.exp(-np.cos(k * x) / 2)
    inner = np.append(0.0, np.cumsum((inner[1:] + inner[:-1]) / 2 * x[1]))
    expected = np.trapezoid(np.exp(np.cos(k * x) / 2) * inner, x)
    assert abs(exact.mean_time - expected) < exact.error_estimate < 1e-6
