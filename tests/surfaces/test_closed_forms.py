import itertools
import math
import pickle

import pytest
import torch

from sam_sde.surfaces import (
    SURFACES,
    beale,
    double_well,
    embedded_saddle,
    muller_brown,
    quadratic,
    rosenbrock,
    styblinski_tang,
)

PARAMETERS = {
    "quadratic": [
        {"eigenvalues": [1.0, -0.5]},
        {"eigenvalues": [3.0, -1.0, 2.0], "rotation": 30},
        {"eigenvalues": [2.0]},
        {"eigenvalues": [-1.0, -2.0]},
        {"eigenvalues": [1.0, 0.0]},
        {"eigenvalues": [1.0] * 19 + [-1.0]},
    ],
    "rosenbrock": [{}, {"a": -2.0, "b": 5.0}],
    "styblinski_tang": [{}, {"dim": 1}, {"dim": 5}],
    "double_well": [{}, {"dim": 1, "barrier": 0.3}, {"dim": 4, "barrier": 2.0}],
    "embedded_saddle": [
        {"eigenvalues": [1.0, -1.0]},
        {"eigenvalues": [-0.7], "cubic": 0.5},
        {"eigenvalues": [0.1, -1.0], "quartic": 0.25, "cubic": 1.0},
        {"eigenvalues": [1.0, -1.0, -0.5, 2.0, 0.1], "quartic": 0.5, "cubic": 1.5},
        {"eigenvalues": [0.0, -1.0]},
        {"eigenvalues": [-1.0] * 12},
    ],
}
CASES = [(name, parameters) for name in SURFACES for parameters in PARAMETERS.get(name, [{}])]
EVERY = pytest.mark.parametrize(("name", "parameters"), CASES)


def random_points(surface, paths=7, dtype=torch.float64):
    return 4.0 * torch.rand(paths, surface.dim, dtype=dtype, generator=torch.Generator().manual_seed(0)) - 2.0


@EVERY
def test_listed_points_are_critical_and_of_the_kind_stated(name, parameters):
    surface = SURFACES[name](**parameters)
    w = torch.tensor([point.location for point in surface.critical_points], dtype=torch.float64)
    assert surface.gradient(w).abs().max() < 1e-9 * max(1.0, surface.hessian(w).abs().max().item())
    for point, eigenvalues in zip(surface.critical_points, torch.linalg.eigvalsh(surface.hessian(w)), strict=True):
        if eigenvalues.abs().min() > 1e-9:
            signs = {bool(eigenvalue > 0) for eigenvalue in eigenvalues}
            assert point.kind == ("saddle" if len(signs) == 2 else "minimum" if signs == {True} else "maximum")
        else:  # the eigenvalues do not decide: go round the point instead
            around = w.new_tensor(point.location) + 1e-2 * random_directions(surface.dim)
            higher = surface.value(around) > surface.value(w.new_tensor([point.location])) - 1e-12
            assert (point.kind == "minimum") == bool(higher.all())


def random_directions(dim):
    directions = torch.randn(500, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return directions / directions.norm(dim=1, keepdim=True)


@EVERY
def test_critical_points_are_distinct(name, parameters):
    points = [point.location for point in SURFACES[name](**parameters).critical_points]
    assert all(math.dist(a, b) > 1e-6 for a, b in itertools.combinations(points, 2))


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("paths", [1, 7])
def test_every_surface_passes_its_check_and_keeps_dtype_and_shape(name, parameters, dtype, paths):
    surface = SURFACES[name](**parameters)
    w = random_points(surface, paths, dtype)
    surface.check_at(w)
    value, gradient = surface.value(w), surface.gradient(w)
    assert (value.shape, gradient.shape) == ((paths,), (paths, surface.dim))
    assert value.dtype == gradient.dtype == surface.hessian(w).dtype == dtype


@EVERY
def test_gradients_are_finite_differences_of_values(name, parameters):
    surface = SURFACES[name](**parameters)
    w, h = random_points(surface), 1e-6
    for i, step in enumerate(h * torch.eye(surface.dim, dtype=torch.float64)):
        difference = (surface.value(w + step) - surface.value(w - step)) / (2 * h)
        scale = 1.0 + surface.value(w).abs().max().item()
        torch.testing.assert_close(surface.gradient(w)[:, i], difference, rtol=1e-5, atol=1e-7 * scale)


@EVERY
def test_every_surface_can_be_sent_to_another_process(name, parameters):
    surface = SURFACES[name](**parameters)
    w = random_points(surface)
    twin = pickle.loads(pickle.dumps(surface))
    assert torch.equal(twin.gradient(w), surface.gradient(w))
    assert (twin.name, twin.critical_points) == (name, surface.critical_points)


def at(surface, *place):
    w = torch.tensor([place], dtype=torch.float64)
    return surface.value(w).item(), torch.linalg.eigvalsh(surface.hessian(w))[0].tolist()


def test_published_values():
    value, eigenvalues = at(beale(), 0, 1)
    assert value == 14.203125
    assert eigenvalues == pytest.approx([-27.75, 27.75], rel=1e-12)
    assert at(rosenbrock(), -1.2, 1)[0] == pytest.approx(24.2)
    assert at(styblinski_tang(3), *[-2.903534] * 3)[0] == pytest.approx(3 * -39.16616570377142)
    assert at(muller_brown(), -0.5582236, 1.4417258)[0] == pytest.approx(-146.69951721)
    assert at(double_well(3, barrier=2.0), 0, 0, 0) == (2.0, pytest.approx([-8, 1, 1]))
    assert at(SURFACES["himmelblau"](), 0, 0)[0] == 170
    assert at(SURFACES["monkey_saddle"](), 1, 2)[0] == -11
    assert at(SURFACES["scalar_factorization"](), 0, 0) == (0.5, pytest.approx([-1, 1]))


@pytest.mark.parametrize(("dim", "number"), [(1, 3), (2, 9), (6, 3)])
def test_styblinski_tang_lists_what_it_says(dim, number):
    surface = styblinski_tang(dim)
    w = torch.tensor([point.location for point in surface.critical_points], dtype=torch.float64)
    assert len(w) == number
    assert surface.value(w).argmin() == 0
    if dim > 2:
        assert (torch.linalg.eigvalsh(surface.hessian(w)) < 0).sum(1).tolist() == [0, dim, 1]


@pytest.mark.parametrize("rotation", [0.0, 30.0, 90.0, -200.0])
def test_a_rotated_quadratic_has_hessian_r_diag_rt(rotation):
    surface, angle = quadratic([2.0, -1.0, 0.5], rotation=rotation), math.radians(rotation)
    R = torch.eye(3, dtype=torch.float64)
    R[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    expected = R @ torch.diag(torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)) @ R.T
    torch.testing.assert_close(surface.hessian(random_points(surface, 1))[0], expected)


@pytest.mark.parametrize("dim", [3, 8, 9, 40])
def test_a_weighted_sum_is_the_same_however_many_weights(dim):
    eigenvalues = torch.linspace(-1, 2, dim)
    surface = quadratic(eigenvalues.tolist())
    w = random_points(surface, dtype=torch.float32)
    torch.testing.assert_close(surface.value(w), (0.5 * eigenvalues * w**2).sum(1))
    torch.testing.assert_close(surface.gradient(w), eigenvalues * w)


def test_embedded_saddle_is_the_formula():
    h, quartic, cubic = [1.0, -2.0], 0.3, 0.7
    surface = embedded_saddle(h, quartic=quartic, cubic=cubic)
    w = random_points(surface)
    expected = (0.5 * w.new_tensor(h) * w**2 + quartic / 2 * w**4 - cubic / 3 * w**3).sum(1)
    torch.testing.assert_close(surface.value(w), expected)


def test_embedded_saddle_in_many_dimensions_lists_a_global_minimum():
    surface = embedded_saddle([1.0, -1.0, 0.1], quartic=0.3, cubic=1.0)
    origin, lowest = surface.critical_points
    assert (origin.kind, lowest.kind) == ("saddle", "minimum")
    grid = torch.linspace(-5.0, 5.0, 4001, dtype=torch.float64)[:, None].expand(-1, 3)
    by_coordinate = 0.5 * grid**2 * grid.new_tensor([1.0, -1.0, 0.1]) + 0.15 * grid**4 - grid**3 / 3
    value = surface.value(grid.new_tensor([lowest.location])).item()
    assert value == pytest.approx(by_coordinate.min(0).values.sum().item(), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("quadratic", {"eigenvalues": []}, "eigenvalues: expected a list of numbers"),
        ("quadratic", {"eigenvalues": ["a"]}, "eigenvalues: expected a list of numbers"),
        ("quadratic", {"eigenvalues": [1.0, math.nan]}, "eigenvalues: expected finite"),
        ("quadratic", {"eigenvalues": [0.0, 0.0]}, "at least one that is not 0"),
        ("quadratic", {"eigenvalues": [1.0], "rotation": 10}, "rotation: expected at least two"),
        ("quadratic", {"eigenvalues": [1.0, 2.0], "rotation": "a"}, "rotation: expected a finite number"),
        ("rosenbrock", {"b": 0}, "b: expected a number above 0"),
        ("styblinski_tang", {"dim": 0}, "dim: expected a whole number"),
        ("double_well", {"dim": 1.5}, "dim: expected a whole number"),
        ("double_well", {"barrier": -1}, "barrier: expected a number above 0"),
        ("embedded_saddle", {"eigenvalues": [1.0], "quartic": 0}, "quartic: expected a number above 0"),
        ("embedded_saddle", {"eigenvalues": [1.0], "cubic": math.inf}, "cubic: expected a finite"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        SURFACES[name](**parameters)
