"""Kramers' time against exact escape times as the noise falls, and Xie's formula."""

import math

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import muller_brown

LINE = ss.LossSurface(lambda w: w[0] ** 4 / 4 - w[0] ** 2 / 2 + 0.1 * w[0], dim=1)
PLANE = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2 * (1 + 0.5 * w[0]), dim=2)


def sgd(surface, temperature, **options):
    """ησ²/(2B) is the temperature, without momentum."""
    return ss.SGD(surface, ss.IsotropicNoise(math.sqrt(2 * temperature / 1e-3)), lr=1e-3, **options)


@pytest.mark.filterwarnings("ignore:the barrier is")
def test_in_one_dimension_the_ratio_to_the_exact_time_tends_to_one_at_the_first_order():
    """From a minimum to the other one; the error is c·T + O(T²), so that halving T halves it."""
    minimum, saddle, other = np.sort(np.roots([1.0, 0.0, -1.0, 0.1]).real)
    errors = []
    for temperature in (0.02, 0.01, 0.005):
        dynamics = sgd(LINE, temperature)
        known = ss.kramers_time(dynamics, minimum=[minimum], saddles=[[saddle]])
        exact = ss.exact_escape_times(dynamics, start=[minimum], region=ss.Box([-3.0], [other])).mean_time
        errors.append(exact / known.mean_time - 1)
        assert known.temperature == pytest.approx(temperature)
    assert abs(errors[-1]) < 0.05
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 2.0, atol=0.35)


def test_in_two_dimensions_the_widths_of_well_and_pass_count():
    """det H_a and det H_b: the valley is narrower at the minimum (1, 0) than at (-1, 0), where it holds longer."""
    dynamics = sgd(PLANE, 0.03)
    for minimum in (-1.0, 1.0):
        known = ss.kramers_time(dynamics, minimum=[minimum, 0.0], saddles=[[0.0, 0.0]])
        assert known.prefactors[0] == pytest.approx(math.sqrt(2 * (2 + minimum) / 2) / (2 * math.pi))
        assert known.barriers[0] == pytest.approx(0.25)
    region = ss.Box([-0.9, -1.5], [2.0, 1.5])
    exact = ss.exact_escape_times(dynamics, start=[1.0, 0.0], region=region).mean_time
    assert exact / known.mean_time == pytest.approx(1.0, abs=0.08)


@pytest.mark.filterwarnings("ignore:the barrier is")
def test_rates_over_several_saddles_add_up():
    surface = muller_brown()
    dynamics = sgd(surface, 5.0)
    first = ss.kramers_time(dynamics, minimum=[-0.05001, 0.46669])  # between both saddles
    assert len(first.rates) == 2
    np.testing.assert_allclose(first.mean_time, 1 / first.rates.sum())
    alone = ss.kramers_time(dynamics, minimum=[-0.05001, 0.46669], saddles=[first.saddles[0]])
    np.testing.assert_allclose(alone.rates, first.rates[:1])


@pytest.mark.filterwarnings("ignore:the barrier is")
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_changes_the_temperature_and_the_rate_at_the_saddle(momentum):
    """The growth of ηẅ + (1-γ)ẇ = |λ|w at the saddle, by the roots of its polynomial."""
    options = {"minimum": [-1.0, 0.0], "saddles": [[0.0, 0.0]]}
    plain = ss.kramers_time(sgd(PLANE, 0.01), **options)
    heavy = ss.kramers_time(sgd(PLANE, 0.01, momentum=momentum), **options)
    over = ss.kramers_time(sgd(PLANE, 0.01, momentum=momentum, momentum_model="overdamped"), **options)
    growth = np.roots([1e-3, 1 - momentum, -1.0]).max()
    assert heavy.temperature == over.temperature == pytest.approx(0.01 / (1 - momentum))
    assert heavy.prefactors[0] / plain.prefactors[0] == pytest.approx(growth)
    assert over.prefactors[0] / plain.prefactors[0] == pytest.approx(1 / (1 - momentum))


def test_a_barrier_that_is_low_beside_the_noise_is_told_of():
    with pytest.warns(UserWarning, match="the barrier is 2.5 temperatures high; Kramers' time is off by about 40%"):
        ss.kramers_time(sgd(PLANE, 0.1), minimum=[-1.0, 0.0], saddles=[[0.0, 0.0]])


@pytest.mark.parametrize(
    ("dynamics", "options", "message"),
    [
        (ss.SAM(PLANE, ss.IsotropicNoise(1.0), lr=0.01, rho=0.1), {}, "dynamics: expected SGD"),
        (ss.SGD(PLANE, ss.ConstantNoise([[1.0, 0.0], [0.0, 2.0]]), lr=0.01), {}, "noise: .* in all directions"),
        (ss.SGD(PLANE, ss.HessianNoise(PLANE), lr=0.01), {}, "noise: .* same variance everywhere"),
        (ss.SGD(PLANE, ss.NoNoise(), lr=0.01), {}, "noise: "),
        (sgd(PLANE, 0.01, weight_decay=0.1), {}, "weight_decay: "),
        (sgd(PLANE, 0.01, sde="exact"), {}, "sde: "),
        (sgd(PLANE, 0.01, lr_schedule=ss.CosineSchedule(t_end=1.0)), {}, "lr_schedule: "),
        (sgd(PLANE, 0.01), {"minimum": [0.0, 0.0]}, "minimum: expected a minimum"),
        (sgd(PLANE, 0.01), {"minimum": [-0.5, 0.0]}, "minimum: .* is no critical point"),
        (sgd(PLANE, 0.01), {"saddles": [[1.0, 0.0]]}, "saddles: expected saddles of index 1"),
        (sgd(muller_brown(), 1.0), {"minimum": [0.6235, 0.028], "saddles": [[-0.822, 0.6243]]}, "saddles: .* sides"),
        (sgd(PLANE, 0.01), {"saddles": []}, "saddles: expected at least one"),
        (sgd(PLANE, 1e-4), {}, r"dynamics: the mean time is beyond 1e300, about 10\^1086"),
    ],
)
def test_what_it_does_not_hold_for_is_refused(dynamics, options, message):
    options = {"minimum": [-1.0, 0.0], "saddles": [[0.0, 0.0]]} | options
    with pytest.raises(ss.ArgumentError, match=message):
        ss.kramers_time(dynamics, **options)


def test_the_logarithm_of_xies_time_is_linear_in_batch_size_and_in_one_over_the_learning_rate():
    options = {"barrier": 0.3, "minimum_sharpness": 4.0, "saddle_sharpness": -2.0, "s": 0.4}
    slope = 2 * 0.3 * (0.4 / 4 + 0.6 / 2)
    for lr, batch_size in ((0.1, 1), (0.1, 8), (0.02, 3)):
        time = ss.xie_time(lr=lr, batch_size=batch_size, **options)
        assert math.log(time) == pytest.approx(math.log(math.pi) + slope * batch_size / lr)
    with pytest.raises(ss.ArgumentError, match="s: expected a number from 0 to 1"):
        ss.xie_time(lr=0.1, batch_size=1, **(options | {"s": 1.5}))
    with pytest.raises(ss.ArgumentError, match="barrier: the mean time is beyond 1e300"):
        ss.xie_time(lr=1e-3, batch_size=10, **options)
