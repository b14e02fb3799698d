"""End states: gradients and eigenvalues against closed forms, and classes where the truth is known."""

import inspect
import math

import numpy as np
import pandas as pd
import pytest
import torch

import sam_sde as ss
from sam_sde.escape import ends
from sam_sde.surfaces import SURFACES, beale, double_well, quadratic, styblinski_tang
from sam_sde.theory import curvature

STILL, WHITE = ss.NoNoise(), ss.IsotropicNoise(1.0)
COLUMNS = "path outcome time loss gradient_norm perturbed_gradient_norm smallest_eigenvalue largest_eigenvalue state"


def parameters(factory):
    return inspect.signature(factory).parameters


def run(dynamics, start, t_max, n_paths=1, region=None, **options):
    """Paths of `dynamics`, in float64, in a region that nothing leaves unless one is given."""
    region = region or ss.Ball([0.0] * dynamics.dim, 1e6)
    options = {"dtype": "float64", "device": "cpu", "engine": "torchsde", **options}
    return ss.escape_times(dynamics, start=start, region=region, t_max=t_max, n_paths=n_paths, **options)


def state_of(dynamics, start, t_max, **options):
    return run(dynamics, start, t_max, **options).ends()["state"][0]


def fraction(frame, state):
    return (frame["state"] == state).mean()


def test_the_columns_hold_the_closed_forms_of_a_rotated_quadratic():
    surface = quadratic([3.0, -2.0], rotation=30)
    dynamics = ss.SAM(surface, WHITE, lr=0.01, rho=0.1)
    result = run(dynamics, [0.1, 0.2], 1.0, n_paths=50, region=ss.Ball([0, 0], 0.6))
    frame = result.ends()
    assert list(frame.columns) == COLUMNS.split()
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    rotation = np.array([[c, -s], [s, c]])
    hessian = rotation @ np.diag([3.0, -2.0]) @ rotation.T
    w = result.exit_points
    gradient = w @ hessian
    perturbed = (w + 0.1 * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)) @ hessian
    np.testing.assert_allclose(frame["loss"], 0.5 * (w * gradient).sum(1), atol=1e-12)
    np.testing.assert_allclose(frame["gradient_norm"], np.linalg.norm(gradient, axis=1))
    np.testing.assert_allclose(frame["perturbed_gradient_norm"], np.linalg.norm(perturbed, axis=1))
    np.testing.assert_allclose(frame["smallest_eigenvalue"], -2.0)
    np.testing.assert_allclose(frame["largest_eigenvalue"], 3.0)
    np.testing.assert_array_equal(frame["path"], np.arange(50))
    np.testing.assert_array_equal(frame["time"], result.times)
    assert set(frame["outcome"]) <= {"escaped", "censored"}


def test_weight_decay_belongs_to_gradients_and_eigenvalues_but_not_to_the_loss():
    options = {"lr": 0.01, "weight_decay": 0.5}
    result = run(ss.USAM(quadratic([1.0, 2.0]), STILL, rho=0.1, **options), [1.0, 1.0], 0.1)
    (row,) = result.ends().itertuples()
    w, values = result.exit_points[0], np.array([1.0, 2.0])
    assert row.loss == pytest.approx(0.5 * (values * w**2).sum())
    assert row.gradient_norm == pytest.approx(np.linalg.norm((values + 0.5) * w))
    assert row.perturbed_gradient_norm == pytest.approx(np.linalg.norm((values * (1 + 0.1 * values) + 0.5) * w))
    assert (row.smallest_eigenvalue, row.largest_eigenvalue) == pytest.approx((1.5, 2.5))


def test_after_a_switch_a_path_is_judged_by_the_optimizer_that_moved_it_last():
    """From 0.2 on the unstable axis SGD has left by t = 0.4; the rest goes on with SAM."""
    surface, noise = quadratic([2.0, -2.0]), ss.IsotropicNoise(0.5)
    sgd, sam = ss.SGD(surface, noise, lr=0.01), ss.SAM(surface, noise, lr=0.01, rho=0.1)
    result = run(ss.Switch(sgd, sam, at=0.4), [0.0, 0.2], 1.0, n_paths=60, region=ss.Ball([0.0, 0.0], 0.45))
    frame, early = result.ends(), result.times <= 0.4
    assert 5 < early.sum() < 55
    for dynamics, chosen in ((sgd, early), (sam, ~early)):
        w = torch.as_tensor(result.exit_points[chosen])
        expected = surface.gradient(dynamics.perturbed(0.0, w)).norm(dim=-1)
        np.testing.assert_allclose(frame["perturbed_gradient_norm"][chosen], expected)
    np.testing.assert_array_equal(frame["path"], np.arange(60))


def test_the_radius_of_the_perturbed_gradient_is_that_of_its_time():
    """ρ is 0 from t = 0.5 on, when the paths end at t = 1."""
    dynamics = ss.USAM(
        quadratic([1.0, 2.0]), STILL, lr=0.01, rho=0.3, rho_schedule=lambda t: torch.where(t < 0.5, 1.0, 0.0)
    )
    (row,) = run(dynamics, [1.0, 1.0], 1.0).ends().itertuples()
    assert row.perturbed_gradient_norm == row.gradient_norm


QUADRATIC = quadratic([1.0, -0.1, 10.0])
CRITICAL_POINTS = [
    pytest.param(surface, point.location, "minimum" if point.kind == "minimum" else "saddle", id=f"{surface.name} {i}")
    for surface in [QUADRATIC, *(make() for name, make in SURFACES.items() if "eigenvalues" not in parameters(make))]
    for i, point in enumerate(surface.critical_points)
    if surface.name != "monkey_saddle"  # where the Hessian vanishes
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("surface", "location", "state"), CRITICAL_POINTS)
def test_a_path_that_rests_on_a_known_critical_point_is_classed_as_its_kind(surface, location, state, dtype):
    """For long enough that an instability could show, and too shortly for one to grow out of rounding."""
    values = torch.linalg.eigvalsh(surface.hessian(torch.tensor([location], dtype=torch.float64)))[0]
    steepest = values.abs().max().item()
    t_max = 1.5 / -values[0].item() if state == "saddle" else 100 / steepest
    assert state_of(ss.SGD(surface, STILL, lr=1 / steepest), location, t_max, dtype=dtype) == state


@pytest.mark.parametrize(("factor", "state"), [(0.9, "minimum"), (1.1, "saddle")])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_an_instability_that_could_not_show_in_the_time_of_the_run_is_none(factor, state, momentum):
    """An eigenvalue λ < 0 takes the time (1-γ)/|λ| to show."""
    dynamics = ss.SGD(quadratic([1.0, -0.1]), STILL, lr=0.1, momentum=momentum)
    assert state_of(dynamics, [0.0, 0.0], factor * (1 - momentum) * 10) == state


def test_a_noiseless_path_comes_to_rest_when_it_is_slow_beside_its_mean():
    """On λ/2 w² from 1 the gradient λe^-λt is a thousandth of the mean one, (1 - e^-λt)/t, at λt = 9.1."""
    dynamics = ss.SGD(quadratic([5.0]), STILL, lr=0.002)
    assert state_of(dynamics, [1.0], 9.0 / 5) == "moving"
    assert state_of(dynamics, [1.0], 9.3 / 5) == "minimum"
    assert run(dynamics, [1.0], 9.0 / 5).ends(tolerance=1e-2)["state"][0] == "minimum"


# x² - y² from (-3, -0.01), as in Kim et al. (arXiv 2301.06308).
TRAP = {"start": [-3.0, -0.01], "t_max": 5.0}


def trap(rho, **options):
    return ss.SAM(quadratic([2.0, -2.0]), STILL, lr=0.01, rho=rho, **options)


def test_the_cycle_of_sam_about_a_saddle_is_at_the_saddle():
    """There |x| = ηλρ/(2-ηλ): ‖∇ℓ‖ is about ηλ²ρ/2, and ‖∇ℓ(w^p)‖ never falls below λρ."""
    (row,) = run(trap(0.5), **TRAP).ends().itertuples()
    assert row.gradient_norm == pytest.approx(2 * 0.01 * 2 * 0.5 / (2 - 0.02), rel=1e-3)
    assert row.perturbed_gradient_norm > 0.99
    assert row.state == "saddle"


def test_gradient_descent_and_sam_with_a_small_radius_move_away_from_that_saddle():
    region = ss.Slab([0.0, 0.0], [0.0, 1.0], 4.5)
    for dynamics in (trap(0.05), ss.SGD(quadratic([2.0, -2.0]), STILL, lr=0.01)):
        (row,) = run(dynamics, **TRAP | {"t_max": 8.0}, region=region).ends().itertuples()
        assert (row.outcome, row.state) == ("escaped", "moving")


def test_sam_on_its_way_into_the_trap_is_moving():
    assert state_of(trap(0.5), [-3.0, -0.01], 0.5) == "moving"


@pytest.mark.parametrize("distance", [0.3, 0.5])
def test_sam_stalls_on_the_unstable_axis_where_it_looks_at_the_saddle(distance):
    """At |y| = ρ, w^p is the saddle: the drift vanishes, the gradient is λρ. Nearer it slides towards the saddle."""
    frame = run(trap(0.5), [0.0, distance], 0.1).ends()
    assert frame["gradient_norm"][0] > 0.3
    assert frame["state"][0] == ("stalled" if distance == 0.5 else "moving")


@pytest.mark.parametrize("noise", [STILL, ss.IsotropicNoise(0.3)])
def test_sam_stalls_on_a_slope_from_where_it_looks_at_a_minimum_behind_a_barrier(noise):
    """At x = 1 - ρ = -1/2 of (x²-1)², ℓ' is 3/2 and points to the minimum at 1; from both sides SAM moves there."""
    dynamics = ss.SAM(double_well(1), noise, lr=0.01, batch_size=4, rho=1.5)
    for start in (-0.3, -0.7):
        result = run(dynamics, [start], 1.5, n_paths=50)
        np.testing.assert_allclose(result.exit_points, -0.5, atol=0.1)
        frame = result.ends()
        assert (frame["gradient_norm"] > 1.3).all()
        assert (frame["state"] == "stalled").all()
    assert state_of(ss.SGD(double_well(1), STILL, lr=0.01), [-0.5], 0.01) == "moving"


def well(momentum=0.0, values=(1.0,), **options):
    values = [*values]
    return ss.SGD(quadratic(values), ss.IsotropicNoise(2.0), lr=0.01, batch_size=8, momentum=momentum, **options)


@pytest.mark.parametrize(("momentum", "lr_of_dt"), [(0.0, 1.0), (0.8, 0.5)])
def test_the_noise_of_the_gradient_in_a_well_is_what_the_criterion_takes_it_for(momentum, lr_of_dt, monkeypatch):
    """‖∇ℓ‖ exceeds one standard deviation in 31.73 % of the paths, in one dimension."""
    monkeypatch.setattr(ends, "NOISE_WIDTH", 1.0)
    dynamics, n_paths = well(momentum), 20_000
    start = ss.NormalStart([0.0], (0.01 * 4 / (2 * 8 * (1 - momentum))) ** 0.5)
    result = run(dynamics, start, 1.0, n_paths=n_paths, dt=0.01 * lr_of_dt)
    outside = fraction(result.ends(n_paths, tolerance=0.0), "moving")
    assert outside == pytest.approx(0.3173, abs=4 * (0.3173 * 0.6827 / n_paths) ** 0.5 + 0.003)


WELLS = {
    "SGD": well(values=[1.0, 30.0]),
    "SGD in 30 dimensions": well(values=np.linspace(0.5, 20, 30)),
    "SGD with momentum": well(0.5, values=[1.0, 3.0]),
    "SAM": ss.SAM(quadratic([1.0, 30.0]), WHITE, lr=0.01, rho=0.1),
    "SAM, same batch": ss.SAM(quadratic([1.0, 3.0]), WHITE, lr=0.01, rho=0.1, ascent="same"),
    "USAM, same batch": ss.USAM(quadratic([1.0, 3.0]), WHITE, lr=0.01, rho=0.1, ascent="same"),
    "DNSAM": ss.DNSAM(quadratic([1.0, 3.0]), WHITE, lr=0.01, rho=0.01, batch_size=4),
}


@pytest.mark.parametrize("name", WELLS)
def test_nearly_all_paths_in_a_well_are_at_the_minimum(name):
    dynamics = WELLS[name]
    frame = run(dynamics, ss.NormalStart([0.0] * dynamics.dim, 0.01), 2.0, n_paths=400).ends()
    assert fraction(frame, "minimum") > 0.98
    assert fraction(frame, "saddle") == 0


def test_paths_on_their_way_down_to_a_well_are_moving():
    frame = run(well(values=[1.0, 3.0]), [3.0, 3.0], 1.0, n_paths=100).ends()
    assert fraction(frame, "moving") == 1


def test_trapped_sam_is_at_the_saddle_and_sgd_has_left_it():
    surface, region = beale(), ss.Ball([0, 1], 0.3)
    noise = ss.FrozenHessianNoise(surface, [0, 1])
    sgd = ss.SGD(surface, noise, lr=0.001, batch_size=32)
    sam = ss.SAM(surface, noise, lr=0.001, batch_size=32, rho=0.05)
    options = {"start": [0.0, 1.0], "t_max": 0.5, "n_paths": 200, "region": region}
    assert fraction(run(sam, **options).ends(), "saddle") > 0.99
    left = run(sgd, **options).ends().query("outcome == 'escaped'")
    assert len(left) > 150
    assert fraction(left, "moving") == 1


@pytest.mark.parametrize(("location", "state"), [("minimum", "minimum"), ("saddle", "saddle")])
def test_states_of_many_coordinates_are_classed_from_products(location, state):
    surface = styblinski_tang(120)
    point = next(p.location for p in surface.critical_points if p.kind == location)
    dynamics = ss.SAM(surface, ss.IsotropicNoise(0.1), lr=0.001, batch_size=8, rho=0.01)
    frame = run(dynamics, point, 0.1 if state == "saddle" else 0.2, n_paths=3).ends()
    assert list(frame["state"]) == [state] * 3
    values = torch.linalg.eigvalsh(surface.hessian(torch.tensor([point]).double()))[0]
    np.testing.assert_allclose(frame["largest_eigenvalue"], values[-1], rtol=0.02)
    np.testing.assert_allclose(frame["smallest_eigenvalue"], values[0], rtol=0.02)


def test_a_path_that_failed_is_moving_and_leaves_empty_what_is_not_finite():
    steep = ss.LossSurface(lambda w: -10 * (w**4).sum(), dim=1)
    frame = run(ss.SGD(steep, STILL, lr=0.1), [2.0], 10.0, region=ss.LevelSet(lambda w: -1 - 0 * w[0])).ends()
    assert list(frame["outcome"]) == ["failed"]
    assert list(frame["state"]) == ["moving"]


def test_dnsam_at_a_critical_point_has_no_perturbed_gradient():
    dynamics = ss.DNSAM(quadratic([1.0, 2.0]), STILL, lr=0.5, rho=0.1, ascent="same")
    result = run(dynamics, [1.0, 1.0], 1.0)
    result.exit_points[:] = 0.0
    (row,) = result.ends().itertuples()
    assert (row.gradient_norm, row.state) == (0.0, "minimum")
    assert math.isnan(row.perturbed_gradient_norm)


def test_the_blocks_are_not_seen_in_the_result(monkeypatch):
    dynamics = ss.SAM(beale(), WHITE, lr=0.001, rho=0.05)
    result = run(dynamics, ss.NormalStart([0.0, 1.0], 0.1), 0.1, n_paths=23)
    whole = result.ends()
    monkeypatch.setattr(curvature, "NUMBERS_AT_ONCE", 20)
    pd.testing.assert_frame_equal(result.ends(), whole)


def test_the_first_paths_are_a_sample_and_no_more_than_there_are():
    result = run(well(), [0.0], 0.1, n_paths=20)
    assert len(result.ends()) == 20
    pd.testing.assert_frame_equal(result.ends(7), result.ends().head(7))


class Brownian(ss.Dynamics):
    """dw = dW, with no loss."""

    dim = channels = 2
    lr = 0.01
    noise_type = "additive"

    def f(self, t, w):
        return torch.zeros_like(w)

    def g(self, t, w):
        return torch.eye(2, dtype=w.dtype).expand(len(w), -1, -1)


@pytest.mark.parametrize(
    ("dynamics", "options", "message"),
    [
        (Brownian(), {}, r"ends: expected an optimizer on a surface such as SGD.*, got Brownian"),
        (well(), {"n_paths": 0}, "n_paths: expected a whole number of at least 1, got 0"),
        (well(), {"n_paths": 2.5}, "n_paths: expected a whole number of at least 1, got 2.5"),
        (well(), {"tolerance": -1}, "tolerance: expected a number that is 0 or more, got -1"),
    ],
)
def test_bad_arguments_are_refused(dynamics, options, message):
    result = run(dynamics, [0.0] * dynamics.dim, 0.1)
    with pytest.raises(ValueError, match=message):
        result.ends(**options)
