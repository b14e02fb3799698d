"""The discrete engine: Euler at dt = lr, known runs, paths that belong to their numbers, and what it refuses."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, EscapeProblem, Integration
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import beale, quadratic
from tests.engines.models import DATA, OVER_DATA, sample_loss


def advance(dynamics, start, n_steps, *, engine="discrete", n_paths=1, first_step=0):
    """States (steps + 1, paths, dim) from one start (dim,) for all paths."""
    integration = Integration(dynamics=dynamics, stream=Stream(0, "arm"), dt=dynamics.lr)
    w = torch.tensor(start, dtype=torch.float64).expand(n_paths, -1)
    prepared = ENGINES[engine].prepare(integration, w)
    return prepared(integration, w, torch.arange(n_paths), first_step, n_steps).states


SADDLE, WHITE = quadratic([-2.0, 1.5], rotation=30.0), ss.IsotropicNoise(0.7)
OBLIQUE = ss.ConstantNoise([[2.0, 0.5], [0.5, 1.0]])
EULER = {
    "SGD": ss.SGD(beale(), OBLIQUE, lr=1e-3, batch_size=4),
    "SGD, Hessian noise": ss.SGD(beale(), ss.HessianNoise(beale()), lr=1e-3, batch_size=4),
    "SGD, decay and schedule": ss.SGD(
        beale(), WHITE, lr=1e-3, weight_decay=0.5, lr_schedule=ss.StepSchedule(every=0.01, factor=0.5)
    ),
    "SAM": ss.SAM(beale(), OBLIQUE, lr=1e-3, batch_size=4, rho=0.05, rho_schedule=ss.CosineSchedule(t_end=0.1)),
    "DNSAM, Hessian noise": ss.DNSAM(beale(), ss.HessianNoise(beale()), lr=1e-3, batch_size=4, rho=0.05),
    "switch": ss.Switch(ss.SGD(beale(), WHITE, lr=1e-3), ss.USAM(beale(), WHITE, lr=1e-3, rho=0.01), at=0.0205),
}


@pytest.mark.parametrize("name", EULER)
def test_with_gaussian_noise_and_a_full_ascent_it_is_the_euler_scheme_at_dt_lr(name):
    discrete, euler = (
        advance(EULER[name], [0.1, 1.1], 60, n_paths=5, engine=engine, first_step=3)
        for engine in ("discrete", "torchsde")
    )
    torch.testing.assert_close(discrete, euler, rtol=1e-11, atol=1e-12)


def test_escape_times_are_those_of_the_euler_scheme_watched_at_the_ends_of_steps():
    options = {"start": [0, 1], "region": ss.Ball([0, 1], 0.2), "t_max": 0.3, "n_paths": 300, "dtype": "float64"}
    discrete = ss.escape_times(EULER["SGD"], engine="discrete", **options)
    euler = ss.escape_times(EULER["SGD"], engine="torchsde", crossing="none", method="euler", **options)
    assert discrete.engine == "discrete"
    assert (discrete.outcome == ss.Outcome.ESCAPED).sum() > 100
    np.testing.assert_array_equal(discrete.times, euler.times)
    np.testing.assert_allclose(discrete.exit_points, euler.exit_points, rtol=1e-9)


def steps_until(dynamics, start, region, most):
    """Steps until one path without noise leaves; None where it stays."""
    result = ss.escape_times(
        dynamics, start=start, region=region, t_max=most * dynamics.lr, n_paths=1, engine="discrete", dtype="float64"
    )
    return round(result.steps[0]) if result.outcome[0] == ss.Outcome.ESCAPED else None


def test_on_x2_minus_y2_descent_leaves_at_step_309_and_sam_stays():
    surface, start, region = quadratic([2.0, -2.0]), [-3.0, -0.01], ss.Slab([0, 0], [0, 1], 4.5)
    assert steps_until(ss.SGD(surface, ss.NoNoise(), lr=0.01), start, region, 500) == 309
    sam = ss.SAM(surface, ss.NoNoise(), lr=0.01, rho=0.5)
    end = advance(sam, start, 500)[-1, 0]
    assert abs(end[0]) == pytest.approx(0.01 * 2 * 0.5 / (2 - 0.01 * 2), rel=1e-4)
    assert abs(end[1]) < 1e-10


FAR_FROM_THE_SADDLE = ss.LevelSet(lambda w: 0.05 - (w[0] ** 2 + (w[1] - 1) ** 2).sqrt())


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "steps"), [(0.5, 2046), (1.0, 507)])
def test_on_beale_sam_reaches_the_saddle_in_the_known_number_of_steps(rho, steps):
    sam = ss.SAM(beale(), ss.NoNoise(), lr=1.25e-5, rho=rho)
    assert steps_until(sam, [1.0, 2.0], FAR_FROM_THE_SADDLE, 3000) == steps


REPRODUCIBLE = {
    "Gaussian, momentum": ss.SGD(SADDLE, ss.IsotropicNoise(1.0), lr=0.01, batch_size=4, momentum=0.5),
    "Gaussian, m-SAM": ss.SAM(
        SADDLE, ss.IsotropicNoise(1.0), lr=0.01, batch_size=4, rho=0.02, ascent="same", micro_batch=2
    ),
    **{
        sampling: ss.SAM(
            OVER_DATA, ss.EmpiricalNoise(OVER_DATA, sampling), lr=0.02, batch_size=4, rho=0.1, ascent="independent"
        )
        for sampling in ("with_replacement", "without_replacement", "epochs")
    },
}


def escape(name, **options):
    dynamics = REPRODUCIBLE[name]
    region, start = (ss.Ball([0, 0], 0.12), [0, 0]) if dynamics.dim == 2 else (ss.Ball([0.3] * 4, 0.36), [0.3] * 4)
    options = {"t_max": 70 * dynamics.lr, "n_paths": 60, "seed": 5, "arm": name, **options}
    return ss.escape_times(dynamics, start=start, region=region, engine="discrete", **options)


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_a_path_is_the_same_path_whatever_the_chunk_the_block_and_the_companions(name):
    result = escape(name)
    assert 10 < (result.outcome == ss.Outcome.ESCAPED).sum() < 60
    for options in ({"chunk": 7, "compact_below": 1.0}, {"block_size": 25}, {"n_paths": 25}):
        other = escape(name, **options)
        np.testing.assert_array_equal(other.outcome, result.outcome[: len(other)])
        np.testing.assert_array_equal(other.times, result.times[: len(other)])
        np.testing.assert_allclose(other.exit_points, result.exit_points[: len(other)], rtol=1e-4, atol=1e-5)
    trajectory = result.replay(17)
    assert trajectory.times[-1] == result.times[17]
    np.testing.assert_allclose(trajectory.states[-1], result.exit_points[17], rtol=1e-4, atol=1e-5)


def test_escapes_are_at_whole_steps():
    result = escape("epochs")
    np.testing.assert_allclose(result.steps, np.round(result.steps), rtol=1e-12)
    assert result.dt == result.lr


def run(dynamics=None, **options):
    dynamics = dynamics or ss.SGD(SADDLE, WHITE, lr=0.01)
    defaults = {"start": [0.1] * dynamics.dim, "region": ss.Ball([0.0] * dynamics.dim, 9.0), "t_max": 1.0, "n_paths": 2}
    return ss.escape_times(dynamics, **defaults, **options)


class SignSGD(ss.SGD):
    """w ← w - η sign(g), an algorithm of one's own."""

    def step(self, t, state, minibatches):
        return state - self.lr * self.mean_gradient(t, state, minibatches).sign()


def test_an_algorithm_of_ones_own_needs_its_step_only():
    """The normals are those of the SDE's Brownian motion, L z/√B for the gradient."""
    sign_sgd, stream, n_steps = SignSGD(SADDLE, WHITE, lr=0.01, batch_size=4), Stream(0, "arm"), 40
    problem = EscapeProblem(
        dynamics=sign_sgd, region=ss.Ball([0, 0], 9.0), stream=stream, t_max=0.4, dt=0.01, crossing="none"
    )
    w, paths = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2), torch.arange(5)
    found = ENGINES["discrete"].prepare(problem, w)(problem, w, paths, 0, n_steps).states
    z = stream.normals_of_quads(Purpose.DIFFUSION, paths, range(n_steps // 4), 2, torch.float64).flatten(0, 1)
    expected = [w]
    for k in range(n_steps):
        gradient = SADDLE.gradient(expected[-1]) - 0.7 / 4**0.5 * z[k]
        expected.append(expected[-1] - 0.01 * gradient.sign())
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)
    escape = ss.escape_times(
        sign_sgd, start=[0.1, 0.1], region=ss.Ball([0, 0], 0.3), t_max=1.0, n_paths=50, engine="discrete"
    )
    assert escape.engine == "discrete"
    assert (escape.outcome == ss.Outcome.ESCAPED).any()


class OwnDynamics(ss.Dynamics):
    """Diagonal noise of one's own: no algorithm."""

    noise_type, dim, channels, lr = "diagonal", 2, 2, 0.01

    def f(self, t, w):
        return -w

    def g(self, t, w):
        return torch.ones_like(w)


class OwnStep(OwnDynamics):
    """It has a step, and nothing to make minibatches from."""

    def step(self, t, state, minibatches):
        return -state


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.005}, "dt: expected lr = 0.01, .* got 0.005; leave dt out"),
        ({"method": "srk"}, "method: 'srk' does not apply to engine 'discrete'"),
        ({"crossing": "bridge"}, "crossing: expected 'none' for engine 'discrete', .* got 'bridge'"),
        (
            {"dynamics": OwnDynamics()},
            "engine: no algorithm is known of OwnDynamics, which has no step, no surface, no noise",
        ),
        (
            {"dynamics": OwnStep()},
            "engine: no algorithm is known of OwnStep, which has no surface, no noise, no batch_size",
        ),
        ({"dynamics": ss.Switch(OwnStep(), OwnStep(), at=1.0)}, "engine: no algorithm is known of OwnStep"),
        ({"dynamics": ss.USAM(SADDLE, WHITE, lr=0.01, rho=0.1, drift="total")}, "drift: 'total' is a model of the alg"),
        (
            {"dynamics": ss.SGD(SADDLE, WHITE, lr=0.01, momentum=0.9, momentum_model="overdamped")},
            "momentum_model: 'overdamped' is a model of the algorithm",
        ),
        (
            {"dynamics": ss.SGD(ss.FiniteSum(sample_loss, DATA, 4), ss.EmpiricalNoise(OVER_DATA), lr=0.01)},
            "noise: engine 'discrete' draws samples of the surface, and this noise is made for another one",
        ),
    ],
)
def test_what_is_not_an_algorithm_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(engine="discrete", **options)


@pytest.mark.parametrize("engine", ["auto", "torchsde", "compiled"])
@pytest.mark.parametrize(
    "options", [{"nesterov": True, "momentum": 0.9}, {"micro_batch": 2, "ascent": "same"}], ids=["Nesterov", "m-SAM"]
)
def test_an_sde_of_what_only_the_algorithm_has_is_refused(options, engine):
    sam = ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.1, batch_size=4, **options)
    for dynamics in (sam, ss.Switch(sam, sam, at=0.5)):
        with pytest.raises(ValueError, match=f"{next(iter(options))}: no SDE .* engine 'discrete'"):
            run(dynamics, engine=engine)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"micro_batch": 3, "ascent": "same"}, "micro_batch: expected a divisor of batch_size = 4, got 3"),
        ({"micro_batch": 8, "ascent": "same"}, "micro_batch: expected a divisor"),
        ({"micro_batch": 0, "ascent": "same"}, "micro_batch: expected a whole number of at least 1"),
        ({"micro_batch": 2}, "micro_batch: expected ascent 'same'.* got 'full'"),
        ({"nesterov": True}, "nesterov: expected a momentum above 0"),
        ({"nesterov": "yes", "momentum": 0.9}, "nesterov: expected True or False, got 'yes'"),
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.1, batch_size=4, **options)


@pytest.mark.parametrize("sampling", ["without_replacement", "epochs"])
def test_a_batch_larger_than_the_data_needs_replacement(sampling):
    with pytest.raises(ValueError, match="batch_size: expected at most the 15 samples that there are"):
        ss.SGD(OVER_DATA, ss.EmpiricalNoise(OVER_DATA, sampling), lr=0.01, batch_size=16)
    larger = ss.SGD(OVER_DATA, ss.EmpiricalNoise(OVER_DATA), lr=0.01, batch_size=16)
    assert np.isfinite(run(larger, engine="discrete").exit_points).all()


def test_auto_never_takes_the_discrete_engine():
    assert run(engine="auto").engine == "torchsde"
