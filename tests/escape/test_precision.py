"""Single precision far from zero: right in every engine, and a warning where it cannot be."""

import warnings

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.escape import prepare

ENGINES = ["torchsde", "discrete", pytest.param("compiled", marks=pytest.mark.slow)]
WHITE = ss.IsotropicNoise(0.01)


def saddle(shift: float, curvature: float = 1.0, given: bool = True) -> ss.LossSurface:
    """given: whether with its gradient, which takes a third of the time; else torch makes it."""
    gradient = lambda w: curvature * torch.stack([w[:, 0] - shift, shift - w[:, 1]], dim=1)  # noqa: E731
    return ss.LossSurface(
        lambda w: curvature / 2 * ((w[0] - shift) ** 2 - (w[1] - shift) ** 2),
        dim=2,
        gradient=gradient if given else None,
    )


def escape(dynamics, shift, radius, **options):
    options = {"start": [shift, shift], "n_paths": 1000, "t_max": 20.0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return ss.escape_times(dynamics, region=ss.Ball([shift, shift], radius), **options)


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_a_saddle_far_from_zero_is_left_when_it_should_be(engine):
    """A step of the noise is a third of a unit in the last place. With v = ησ², λ = 1 and
    log y(T) = log r: E T = (log(2λr²/v) + γ + log 2)/(2λ).
    """
    found = escape(ss.SGD(saddle(1000.0), WHITE, lr=0.004, batch_size=4), 1000.0, 0.01, engine=engine)
    assert (found.outcome == ss.Outcome.ESCAPED).all()
    exact = (np.log(2 * 0.01**2 / 1e-7) + np.euler_gamma + np.log(2)) / 2
    spread = found.times.std() / len(found) ** 0.5
    assert abs(found.times.mean() - exact) < 4 * spread + 0.02  # what the other coordinate and the step do


@pytest.mark.parametrize("engine", ["torchsde", "discrete"])
def test_a_start_beside_a_saddle_is_left_at_the_time_of_the_equation(engine):
    """w - 1 grows like exp(2t); the first steps are a sixth of a unit in the last place. Noise is nothing here."""
    beside = 1e-5
    sgd = ss.SGD(saddle(1.0, curvature=2.0), ss.IsotropicNoise(1e-12), lr=1e-3)
    found = escape(sgd, 1.0, 0.5, start=[1.0, 1.0 + beside], engine=engine, n_paths=8)
    np.testing.assert_allclose(found.times, np.log(0.5 / beside) / 2, rtol=1.5e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_brownian_motion_far_from_zero_leaves_a_ball_of_few_units_in_the_last_place(engine):
    """E T = r²/(dim·v), r being 4 of these units; the discrete walk looks at steps only, and leaves a larger ball."""
    r, v = 2.5e-4, 1e-7
    if engine == "compiled":  # a SAM that has no way to go, so that that of the test below need not be compiled too
        dynamics = ss.SAM(saddle(1000.0, curvature=0.0, given=False), WHITE, lr=0.001, rho=0.03125)
    else:
        dynamics = ss.SGD(saddle(1000.0, curvature=0.0), WHITE, lr=0.001)
    found = escape(dynamics, 1000.0, r, t_max=60.0, engine=engine)
    seen = r + (0.5826 * (v * 0.001) ** 0.5 if engine == "discrete" else 0.0)
    spread = found.times.std() / len(found) ** 0.5
    assert abs(found.times.mean() - seen**2 / (2 * v)) < 4 * spread


def paths(shift, engine, optimizer, **options):
    dynamics = optimizer(saddle(shift, given=False), ss.IsotropicNoise(0.1), lr=0.001, **options)
    start = [shift, shift + 0.0625]
    if engine != "compiled":
        found = ss.simulate(dynamics, start=start, t_max=0.2, n_paths=3, engine=engine)
        return np.stack([path.states for path in found]).astype(np.float64) - shift
    region = ss.Ball([shift, shift], 1.0)
    found = ss.escape_times(dynamics, start=start, region=region, t_max=0.2, n_paths=9, engine=engine)
    return found.exit_points.astype(np.float64) - shift


KINDS = [
    (ss.SGD, {}),
    (ss.SGD, {"momentum": 0.9}),
    (ss.SAM, {"rho": 0.03125}),
    (ss.USAM, {"rho": 0.1, "momentum": 0.5}),
]


@pytest.mark.parametrize(
    ("engine", "optimizer", "options"),
    [
        *((engine, *kind) for engine in ("torchsde", "discrete") for kind in KINDS),
        *(pytest.param("compiled", *kind, marks=pytest.mark.slow) for kind in KINDS[2:3]),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_same_problem_elsewhere_has_the_same_paths(engine, optimizer, options):
    """To a unit in the last place of the weights: with one lost in each of 200 steps they would be a hundred off."""
    here = paths(0.0, engine, optimizer, **options)
    for shift in (1.0, 1000.0):
        unit = np.spacing(np.float32(shift))
        np.testing.assert_allclose(paths(shift, engine, optimizer, **options), here, rtol=0, atol=1.5 * unit)


def test_a_normal_start_keeps_its_digits_far_from_zero():
    """A standard deviation of a tenth of a unit in the last place; without noise each path leaves at its own time."""
    start = ss.NormalStart([1000.0, 1000.0], std=6e-6)
    run = prepare(
        ss.SGD(saddle(1000.0), WHITE, lr=0.001),
        start=start,
        region=ss.Ball([1000, 1000], 0.01),
        t_max=1.0,
        n_paths=4000,
    )
    w = run.states_at_start(run.block(0))
    assert abs(w.std().item() / 6e-6 - 1) < 4 / 8000**0.5


def far(shift, **options):
    defaults = {"start": [shift, shift], "region": ss.Ball([shift, shift], 0.1), "t_max": 0.01, "n_paths": 2}
    return {**defaults, **options}


CANCELS = ss.LossSurface(lambda w: (torch.sqrt(1e8 + w[0] ** 2) - 1e4) ** 2 * 1e9 + w[1] ** 2, dim=2)
COARSE = {
    "the gradient cancels": (
        ss.SGD(CANCELS, WHITE, lr=0.001),
        far(0.0, start=[1.0, 0.1], region=ss.Ball([0, 0], 2)),
        "the gradient at the start has norm .* there, and 10 in double precision",
    ),
    "blind": (
        ss.SGD(saddle(1000.0), ss.IsotropicNoise(1e-4), lr=0.001),
        far(1000.0),
        "the gradient at the start changes by .* where weights are rounded",
    ),
    "radius": (
        ss.SAM(saddle(1000.0), WHITE, lr=0.001, rho=1e-4),
        far(1000.0),
        "rho = 0.0001 is 0.84 units in the last place",
    ),
    "level": (
        ss.SGD(saddle(1000.0), WHITE, lr=0.001),
        far(1000.0, region=ss.LevelSet(lambda w: w.square().sum() - 2e6 - 1)),
        "the region's level at the start is -1 and has an error of",
    ),
}


@pytest.mark.parametrize("name", COARSE)
def test_where_single_precision_cannot_be_right_a_warning_names_the_dtype(name):
    dynamics, options, words = COARSE[name]
    with pytest.warns(UserWarning, match=f"single precision: .*{words}.*; try dtype: float64"):
        ss.escape_times(dynamics, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ss.escape_times(dynamics, dtype="float64", **options)


def test_a_loss_that_overflows_in_single_precision_names_the_dtype():
    """log(1 + exp(x)) as it is written overflows beyond 88; x³ overflows in double precision as well."""
    runaway = ss.LossSurface(lambda w: -torch.log(1 + torch.exp(w)).sum(), dim=1)
    options = {"start": [80.0], "region": ss.Ball([80.0], 1e3), "t_max": 20.0, "n_paths": 4}
    with pytest.warns(
        UserWarning, match="single precision overflows and double precision does not; try dtype: float64"
    ):
        found = ss.escape_times(ss.SGD(runaway, ss.NoNoise(), lr=0.1), **options)
    assert (found.outcome == ss.Outcome.FAILED).all()
    explosion = ss.LossSurface(lambda w: -(w**4).sum(), dim=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        options |= {"start": [1.0], "region": ss.LevelSet(lambda w: w.sum() * 0 - 1), "crossing": "none"}
        found = ss.escape_times(ss.SGD(explosion, ss.NoNoise(), lr=0.1), **options)
    assert (found.outcome == ss.Outcome.FAILED).all()


def test_a_start_that_single_precision_refuses_names_the_dtype():
    sgd = ss.SGD(saddle(1000.0), WHITE, lr=0.001)
    with pytest.raises(ss.ArgumentError, match=r"start: .*outside.*in single precision alone, try dtype 'float64'"):
        ss.escape_times(sgd, **far(1000.0, start=[1000.00004, 1000], region=ss.Ball([1000, 1000], 5e-5)))
    with pytest.raises(ss.ArgumentError, match=r"not finite.*try dtype 'float64'"):
        ss.escape_times(sgd, **far(1e30))
