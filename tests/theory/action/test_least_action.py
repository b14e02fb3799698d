"""The least action against closed forms: gradients, Maier and Stein's drift, SAM's trap, linear drifts, coordinates."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, linalg, sparse

import sam_sde as ss
from sam_sde.surfaces import muller_brown, quadratic
from sam_sde.theory.action import Field, escape_exponent, least_action_of

WELL = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2 / 2, dim=2)
NORMAL = np.array([[1.0, 1.0, -2.0], [0.0, 2.0, 1.0], [0.0, 0.0, 0.5]])  # not normal: its eigenvectors are oblique
NOISE = np.array([[1.0, 0.4, -0.2], [0.4, 2.0, 0.3], [-0.2, 0.3, 0.5]])


class Given(ss.Dynamics):
    """A drift of one's own with constant noise: dw = b(w) dt + √lr σ dW."""

    noise_type = "additive"

    def __init__(self, drift, covariance, lr=0.01):
        self.dim = self.channels = len(covariance)
        self.lr, self._drift = lr, drift
        self._factor = torch.linalg.cholesky(torch.as_tensor(covariance, dtype=torch.float64))

    def f(self, t, x):
        return self._drift(x)

    def g(self, t, x):
        return self.lr**0.5 * self._factor.to(x).expand(len(x), -1, -1)


def maier_stein(beta):
    def drift(w):
        u, v = w.unbind(-1)
        return torch.stack([u - u**3 - beta * u * v**2, -(1 + u**2) * v], dim=-1)

    return Given(drift, np.eye(2))


def sam(surface, noise, **options):
    return ss.SAM(surface, noise, **{"lr": 0.01, "batch_size": 4, "rho": 0.1, **options})


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_out_of_a_well_it_is_twice_the_barrier_over_the_variance(sigma):
    sgd = ss.SGD(WELL, ss.IsotropicNoise(sigma), lr=0.01, batch_size=8)
    found = ss.least_action(sgd, start=[-0.8, 0.2], region=ss.Slab([-1, 0], [1, 0], 1.3))
    assert found.action == pytest.approx(0.5 / sigma**2, rel=1e-4)
    assert abs(found.action - 0.5 / sigma**2) < 3 * found.error
    assert found.exponent == pytest.approx(found.action * 8 / 0.01)
    np.testing.assert_allclose(found.origin, [-1, 0], atol=1e-8)
    assert found.side == "high"
    assert found.end[0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("minimum", "saddle"),
    [((-0.55822363, 1.44172584), (-0.82200156, 0.6243128)), ((0.6234994, 0.02803776), (0.21248658, 0.29298833))],
)
def test_along_the_valleys_of_muller_and_brown_it_is_twice_the_barrier(minimum, saddle):
    surface = muller_brown()
    low, high = surface.value(torch.tensor([minimum, saddle], dtype=torch.float64)).tolist()
    found = ss.least_action(ss.SGD(surface, ss.IsotropicNoise(1.0), lr=1e-4), start=minimum, to=saddle)
    assert found.action == pytest.approx(2 * (high - low), rel=1e-4)


@pytest.mark.parametrize(("beta", "known", "off"), [(1.0, 0.5, 1e-6), (3.0, 0.5, 1e-6), (10.0, 0.3375, 0.01)])
def test_the_drift_of_maier_and_stein_has_the_actions_that_are_known(beta, known, off):
    """Beyond β = 4 the way leaves the axis: dX = b dt + σ dW leaves at the rate e^{-V/σ²} with V below 1/2."""
    found = ss.least_action(maier_stein(beta), start=[-1.0, 0.0], to=[0.0, 0.0])
    assert found.action == pytest.approx(known, abs=off)
    assert (np.abs(found.path[:, 1]).max() > 0.1) == (beta > 4)
    assert found.ties == (beta > 4)  # the mirrored way


@pytest.mark.parametrize(
    ("eigenvalues", "covariance"), [([1.0, -2.0], [[1.0, 0.0], [0.0, 2.0]]), ([-1.5], [[0.7]])], ids=["2-D", "1-D"]
)
def test_out_of_the_trap_of_sam_at_a_saddle_it_is_rho_squared_lambda_over_the_variance(eigenvalues, covariance):
    dim = len(eigenvalues)
    dynamics = sam(quadratic(eigenvalues), ss.ConstantNoise(covariance))
    found = ss.least_action(dynamics, start=[0.0] * dim, region=ss.Ball([0.0] * dim, 0.4))
    assert found.action == pytest.approx(0.1**2 * abs(eigenvalues[-1]) / covariance[-1][-1], rel=1e-3)
    assert found.ties == 1
    np.testing.assert_allclose(np.abs(found.end), [0.0] * (dim - 1) + [0.4], atol=0.01)
    trap = found.path[np.searchsorted(found.actions, 0.999 * found.action)]  # beyond, the flow leads out for nothing
    assert np.linalg.norm(trap) == pytest.approx(0.1, abs=0.01)


def test_of_a_linear_drift_it_is_the_logarithm_of_the_stationary_density():
    """V(x) = xᵀ S⁻¹ x / 2, A S + S Aᵀ = C, for dw = -A w dt + √ε C^½ dW, with A no symmetric and no normal matrix."""
    matrix = torch.from_numpy(NORMAL)
    dynamics = Given(lambda w: -w @ matrix.T.to(w), NOISE)
    inverse = np.linalg.inv(linalg.solve_continuous_lyapunov(NORMAL, NOISE))
    to = np.array([1.0, -0.5, 0.8])
    found = ss.least_action(dynamics, start=[0.1, 0.0, 0.1], to=to)
    assert found.action == pytest.approx(to @ inverse @ to / 2, rel=1e-3)
    direction = to / np.linalg.norm(to)
    out = ss.least_action(dynamics, start=[0.0] * 3, region=ss.Slab([0.0] * 3, direction, 1.0))
    assert out.action == pytest.approx(1 / (direction @ np.linalg.inv(inverse) @ direction) / 2, rel=1e-3)
    assert out.ties == 1


def test_it_is_the_same_in_other_coordinates():
    """y = (x₀, x₁ + x₀²) of a linear x has a covariance that changes with the state, and the same action."""
    drift, covariance = torch.from_numpy(NORMAL[:2, :2]), torch.from_numpy(NOISE[:2, :2])

    def straight_and_slope(y):
        x = torch.stack([y[:, 0], y[:, 1] - y[:, 0] ** 2], dim=-1)
        one, zero = torch.ones_like(y[:, 0]), torch.zeros_like(y[:, 0])
        return x, torch.stack([one, zero, 2 * y[:, 0], one], dim=-1).view(-1, 2, 2)

    def b(y):
        x, slope = straight_and_slope(y)
        return (slope @ (-x @ drift.T)[..., None])[..., 0]

    def a(y):
        _, slope = straight_and_slope(y)
        return slope @ covariance @ slope.mT

    to = np.array([1.0, 0.3])
    inverse = np.linalg.inv(linalg.solve_continuous_lyapunov(drift.numpy(), covariance.numpy()))
    found = least_action_of(Field(b, a, 2), np.zeros(2), to=[to[0], to[1] + to[0] ** 2])
    assert found.action == pytest.approx(to @ inverse @ to / 2, rel=1e-3)


def test_with_noise_of_the_hessian_it_is_the_integral_of_the_drift_over_the_variance():
    surface = ss.LossSurface(lambda w: w[0] ** 2 / 2 + w[0] ** 4 / 12, dim=1)
    sgd = ss.SGD(surface, ss.HessianNoise(surface), lr=0.01, batch_size=2)
    found = ss.least_action(sgd, start=[0.3], region=ss.Box([-1.0], [1.5]))
    known, _ = integrate.quad(lambda w: 2 * (w + w**3 / 3) / (1 + w**2), 0, 1)
    assert found.action == pytest.approx(known, rel=1e-3)
    assert found.side == "low"


def test_what_a_way_costs_adds_up_along_it():
    found = ss.least_action(maier_stein(1.0), start=[-1.0, 0.0], region=ss.Ball([-1.0, 0.0], 0.6))
    table = found.table()
    assert list(table) == ["arc_length", "action", "x0", "x1"]
    assert (table["action"].diff().dropna() >= 0).all()
    assert table["action"].iloc[[0, -1]].tolist() == pytest.approx([0.0, found.action])
    np.testing.assert_allclose(table["arc_length"].diff().dropna(), 0.6 / 200, rtol=0.01)
    potential = 2 * (table["x0"] ** 4 / 4 - table["x0"] ** 2 / 2 + 0.25)  # of β = 1, along the axis
    np.testing.assert_allclose(table["action"], potential, atol=2e-3)


def test_without_a_barrier_nothing_has_to_be_paid():
    surface = quadratic([1.0, -1.0])
    for start in ([0.0, 0.0], [0.3, 0.1]):
        found = ss.least_action(
            ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.01), start=start, region=ss.Ball([0, 0], 1)
        )
        assert (found.action, found.error, found.exponent) == (0.0, 0.0, 0.0)
        assert abs(found.end[1]) > 0.9


def test_a_warning_takes_the_exponent_where_it_is_quickly_had():
    surface, noise = quadratic([-2.0]), ss.IsotropicNoise(0.5)
    region = ss.Ball([0.0], 1.0)
    assert escape_exponent(sam(surface, noise), start=[0.0], region=region) == pytest.approx(0.08 * 400, rel=0.01)
    assert escape_exponent(ss.SGD(surface, noise, lr=0.1), start=[0.0], region=region) is None
    assert escape_exponent(sam(surface, noise, momentum=0.9), start=[0.0], region=region) is None
    many = sam(quadratic([-2.0] * 4), noise)
    assert escape_exponent(many, start=[0.0] * 4, region=ss.Ball([0.0] * 4, 1.0)) is None


def cheapest_on_a_grid(dynamics, inside, start, low, high, count, reach=5):
    """The least sum of the action over straight edges between points of a grid, from a point to the outside."""
    axes = [np.linspace(*ends, count) for ends in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange(count**2).reshape(count, count)
    edges = []
    for i, j in np.ndindex(2 * reach + 1, 2 * reach + 1):
        i, j = i - reach, j - reach
        if math.gcd(i, j) == 1:
            a = number[max(0, -i) : count - max(0, i), max(0, -j) : count - max(0, j)].ravel()
            b = number[max(0, i) : count + min(0, i), max(0, j) : count + min(0, j)].ravel()
            step, cost = points[b] - points[a], 0.0
            for part in (1 / 6, 1 / 2, 5 / 6):
                drift = dynamics.f(0.0, torch.from_numpy(points[a] + part * step)).numpy()
                cost += (np.linalg.norm(step, axis=1) * np.linalg.norm(drift, axis=1) - (step * drift).sum(1)) / 3
            edges.append((np.maximum(cost, 1e-12), a, b))
    cost, a, b = (np.concatenate(each) for each in zip(*edges, strict=True))
    graph = sparse.csr_array((cost, (a, b)), shape=(count**2,) * 2)
    costs = sparse.csgraph.dijkstra(graph, indices=np.linalg.norm(points - start, axis=1).argmin())
    return costs[~inside(points)].min()


def test_no_path_on_a_grid_costs_less_where_the_drift_is_no_gradient_and_jumps():
    """SAM in a valley of Müller and Brown: its drift jumps at the minimum and at the saddle that the way passes."""
    surface, minimum = muller_brown(), [0.6234994, 0.0280378]
    dynamics = ss.SAM(surface, ss.IsotropicNoise(1.0), lr=1e-4, rho=0.1)
    found = ss.least_action(dynamics, start=minimum, region=ss.Ball([0.62, 0.03], 0.6))

    def inside(points):
        return np.linalg.norm(points - [0.62, 0.03], axis=1) < 0.6

    coarse = cheapest_on_a_grid(dynamics, inside, minimum, [0.05, -0.1], [0.75, 0.5], 71)
    assert found.action * 0.999 < coarse < found.action * 1.06


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the exact mean escape time")
def test_the_logarithm_of_exact_escape_times_grows_by_it(monkeypatch):
    """From B = 4 to 8 by V/η, up to the prefactor: of SAM on a loss that is no quadratic. Its drift is no gradient."""
    surface = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2 + 0.5 * w[0] * w[1], dim=2)
    region = ss.Box([-2.5, -2.0], [0.3, 2.0])
    monkeypatch.setattr("sam_sde.theory.exact.on_plane.MOST_GRIDS", 3)
    times = []
    for batch_size in (4, 8):
        dynamics = sam(surface, ss.ConstantNoise(NOISE[:2, :2]), batch_size=batch_size, lr=0.6, rho=0.2, ascent="same")
        times.append(ss.exact_escape_times(dynamics, start=[-1.0, 0.2], region=region).mean_time)
    found = ss.least_action(dynamics, start=[-1.0, 0.2], region=region)
    assert np.log(times[1] / times[0]) == pytest.approx(found.action * 4 / 0.6, rel=0.05)


@pytest.mark.parametrize("region", [ss.Ball([0, 0], 0.5), ss.Slab([0, 0], [0, 1], 0.5)])
@pytest.mark.parametrize("start", [[0.0, 0.0], [0.1, 0.05]])
def test_a_flow_that_leaves_by_itself_ends_on_the_boundary_and_costs_nothing(region, start):
    sgd = ss.SGD(quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.01)
    found = ss.least_action(sgd, start=start, region=region)
    assert (found.action, found.exponent) == (0.0, 0.0)
    assert region.levels(torch.from_numpy(found.end)[None]).max().item() == pytest.approx(0, abs=1e-9)
