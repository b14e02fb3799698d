"""The compiled algorithm takes the steps of the discrete engine."""

import numpy as np
import pytest

import sam_sde as ss
from sam_sde.surfaces import beale, quadratic

SADDLE, WHITE = quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0)
K = {"lr": 0.02, "batch_size": 4}
ONCE = ss.SGD(SADDLE, WHITE, momentum=0.5, lr_schedule=ss.CosineSchedule(2.0, low=0.2), **K)
CASES = {
    "SGD": ss.SGD(SADDLE, WHITE, **K),
    "SAM": ss.SAM(SADDLE, WHITE, rho=0.05, **K),
    "SAM, same batch": ss.SAM(SADDLE, WHITE, rho=0.05, ascent="same", **K),
    "USAM, independent batch, Nesterov": ss.USAM(
        SADDLE, WHITE, rho=0.3, ascent="independent", momentum=0.3, nesterov=True, **K
    ),
    "switch": ss.Switch(ONCE, ss.SAM(SADDLE, WHITE, rho=0.05, momentum=0.5, weight_decay=0.1, **K), at=0.5),
}


def escapes(dynamics, centre=(0.0, 0.0), radius=0.15, **options):
    options = {"t_max": 1.2, "n_paths": 60, "dtype": "float64", "workers": 1, **options}
    start, region = list(centre), ss.Ball(list(centre), radius)
    found = [
        ss.escape_times(dynamics, start=start, region=region, engine=engine, **options)
        for engine in ("discrete", "compiled_discrete")
    ]
    assert [each.engine for each in found] == ["discrete", "compiled_discrete"]
    return found


def assert_equal(one, other):
    np.testing.assert_array_equal(one.outcome, other.outcome)
    np.testing.assert_allclose(one.times, other.times, rtol=1e-12)
    np.testing.assert_allclose(one.exit_points, other.exit_points, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_discrete_engine(case):
    one, other = escapes(CASES[case])
    assert (one.outcome == ss.Outcome.ESCAPED).sum() > 5
    assert_equal(one, other)


@pytest.mark.usefixtures("uncompiled")
def test_so_are_those_with_noise_that_depends_on_the_state():
    sgd = ss.SGD(beale(), ss.HessianNoise(beale()), lr=1e-3, batch_size=4)
    assert_equal(*escapes(sgd, (0.0, 1.0), 0.3, t_max=0.04))


@pytest.mark.slow
def test_so_are_those_that_are_compiled():
    assert_equal(*escapes(CASES["SAM"], t_max=0.6))


@pytest.mark.usefixtures("uncompiled")
def test_far_from_zero_small_steps_are_not_lost():
    """In single precision the first ones are two thirds of a unit in the last place: w - 1 grows by 1 + 2 lr a step."""
    surface = ss.LossSurface(lambda w: (w[0] - 1) ** 2 - (w[1] - 1) ** 2, dim=2)
    sgd = ss.SGD(surface, ss.NoNoise(), lr=4e-3)
    options = {"region": ss.Ball([1, 1], 0.5), "t_max": 9.0, "n_paths": 8, "engine": "compiled_discrete"}
    found = ss.escape_times(sgd, start=[1.0, 1.0 + 1e-5], **options)
    steps = np.ceil(np.log(0.5 / 1e-5) / np.log1p(8e-3))
    np.testing.assert_allclose(found.times, 4e-3 * steps, rtol=1e-2)
