"""Escape from the maximum of -λw²/2 in one dimension, where the backward equation is solved by other means."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

import sam_sde as ss
from sam_sde.surfaces import quadratic

CURVATURE, RADIUS = 1.5, 0.4  # λ of the loss -λw²/2, half the interval's width
LR, BATCH, SIGMA = 0.05, 4, 3.0
VARIANCE = LR * SIGMA**2 / BATCH  # of the diffusion of SGD, per unit of time
FOUR_SIGMA = 2 * stats.norm.sf(4)
DISCRETISATION = 0.005  # with steps of 0.05 by srk

# Rate of the drift (rate·w) and variance of the noise, over those of SGD. With ∇ℓ = -λw the perturbed weight is
# (1-ρλ)w, so USAM pushes out at the rate λ(1-ρλ): not at all for ρ = 1/λ, and back to the maximum beyond.
ARMS = {
    "SGD": (None, {}, 1.0, 1.0),
    "USAM": (0.5, {}, 0.25, 1.0),
    "USAM at the threshold": (1 / CURVATURE, {}, 0.0, 1.0),
    "USAM that is trapped": (1.0, {}, -0.5, 1.0),
    "USAM, total gradient": (0.5, {"drift": "total"}, 0.0625, 1.0),
    "USAM, same batch": (0.2, {"ascent": "same"}, 0.7, 0.49),
    "USAM, independent batch": (0.2, {"ascent": "independent"}, 0.7, 1.09),
}


def dynamics_of(arm):
    rho, options, _, _ = ARMS[arm]
    surface, noise = quadratic([-CURVATURE]), ss.IsotropicNoise(SIGMA)
    if rho is None:
        return ss.SGD(surface, noise, lr=LR, batch_size=BATCH)
    return ss.USAM(surface, noise, lr=LR, batch_size=BATCH, rho=rho, **options)


def scheme(arm):
    """The method of second order where the noise is additive, and small steps of Euler where it is not."""
    return {"method": "srk", "dt": 0.05} if dynamics_of(arm).noise_type == "additive" else {"dt": 0.01}


def allowance(arm):
    """Relative bias of the mean: Euler's is of the size of rate·dt, since (1 + r dt) stands for exp(r dt)."""
    options = scheme(arm)
    return DISCRETISATION if "method" in options else abs(backward_equation(arm)[0]) * options["dt"]


def exits(arm, *, n_paths, region=None, start=0.0, seed=0, **options):
    result = ss.escape_times(
        dynamics_of(arm),
        start=[start],
        region=region or ss.Ball([0.0], RADIUS),
        t_max=40.0,
        n_paths=n_paths,
        seed=seed,
        device="cpu",
        **(options or scheme(arm)),
    )
    assert (result.outcome == ss.Outcome.ESCAPED).all()
    return result.times


def backward_equation(arm):
    """Rate r and variance v of ½v u'' + r w u' = -1."""
    _, _, rate, variance = ARMS[arm]
    return CURVATURE * rate, VARIANCE * variance


def mean_exit_time(arm, start=0.0, low=-RADIUS, high=RADIUS):
    """By quadrature: u' = -m e^{-rw²/v} ∫ (2/v) e^{ry²/v} dy with the constant that makes u(low) = u(high) = 0."""
    rate, variance = backward_equation(arm)
    w = np.linspace(low, high, 20_001)
    inner = integrate.cumulative_simpson(2 / variance * np.exp(rate * w**2 / variance), x=w, initial=0)
    scale = np.exp(-rate * w**2 / variance)
    particular = integrate.cumulative_simpson(scale * inner, x=w, initial=0)
    homogeneous = integrate.cumulative_simpson(scale, x=w, initial=0)
    u = homogeneous * particular[-1] / homogeneous[-1] - particular
    return np.interp(start, w, u)


def survival_function(arm, cells=400):
    """P(τ > t) from 0: the backward equation in finite differences, by its eigenfunctions."""
    rate, variance = backward_equation(arm)
    w = np.linspace(-RADIUS, RADIUS, cells + 1)[1:-1]
    h = w[1] - w[0]
    up, down = variance / (2 * h**2) + rate * w / (2 * h), variance / (2 * h**2) - rate * w / (2 * h)
    off = np.sqrt(up[:-1] * down[1:])  # a tridiagonal matrix with positive neighbours is similar to a symmetric one
    values, vectors = np.linalg.eigh(np.diag(-(up + down)) + np.diag(off, 1) + np.diag(off, -1))
    weight = np.exp(np.concatenate([[0], np.cumsum(0.5 * np.log(up[:-1] / down[1:]))]))
    centre = len(w) // 2
    amplitudes = vectors[centre] / weight[centre] * (weight @ vectors)
    return lambda t: np.exp(np.multiply.outer(t, values)) @ amplitudes


def assert_mean(times, exact, allowance):
    assert abs(times.mean() - exact) < 4 * times.std() / math.sqrt(len(times)) + allowance * exact


@pytest.mark.parametrize("arm", ARMS)
def test_the_two_solutions_of_the_backward_equation_agree(arm):
    # The integral of the survival function is the mean exit time.
    survival = survival_function(arm)
    t = np.linspace(0, 60, 24_001)
    assert integrate.simpson(survival(t), x=t) == pytest.approx(mean_exit_time(arm), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_mean_and_survival_solve_the_backward_equation(arm):
    times = exits(arm, n_paths=10_000)
    assert_mean(times, mean_exit_time(arm), allowance(arm))
    survival = survival_function(arm)
    distance = stats.kstest(times, lambda t: 1 - survival(t)).statistic
    assert distance < stats.kstwobign.isf(FOUR_SIGMA) / math.sqrt(len(times)) + allowance(arm) / 2


@pytest.mark.parametrize("method", ["euler", "milstein"])
def test_euler_is_late_by_the_order_of_the_step(method):
    # It grows by 1 + λdt where the solution grows by exp(λdt); Milstein is the same for additive noise.
    times = exits("SGD", n_paths=40_000, method=method, dt=0.05)
    late = times.mean() / mean_exit_time("SGD") - 1
    assert 0.3 * CURVATURE * 0.05 < late < 1.2 * CURVATURE * 0.05


def test_a_start_beside_the_maximum_of_a_box_that_is_not_centred():
    box = ss.Box([-0.25], [RADIUS])
    exact = mean_exit_time("SGD", start=0.15, low=-0.25, high=RADIUS)
    times = exits("SGD", n_paths=20_000, region=box, start=0.15, method="srk", dt=0.02)
    assert_mean(times, exact, DISCRETISATION)


def test_trapping_delays_escape_in_the_order_of_the_rates():
    # Less push outwards, later escape: λ > λ(1-ρλ) > 0 > λ(1-ρλ) of a larger ρ.
    arms = ["SGD", "USAM", "USAM at the threshold", "USAM that is trapped"]
    means = [mean_exit_time(arm) for arm in arms]
    assert means == sorted(means)
    assert means[-1] > 2 * means[0]
