"""Weak errors against exact moments: linear regressions, whose means and second moments obey linear equations."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.linalg import expm

import sam_sde as ss
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.escape.start import PointStart
from sam_sde.random import Stream
from sam_sde.surfaces import beale, quadratic
from sam_sde.surfaces.synthetic import teacher_student
from sam_sde.weak.errors import WeakComparison, with_sgd_noise
from sam_sde.weak.observables import observable

T, BATCH = 0.6, 2


class Problem:
    """A linear regression, far from its minimum: x (n, dim), y (n,), and where paths start."""

    def __init__(self, surface, start):
        self.surface = surface
        self.x, self.y = (tensor.numpy() for tensor in self.surface.samples.tensors)
        self.y, self.start = self.y.reshape(-1), np.array(start)
        self.noise = ss.EmpiricalNoise(self.surface)

    def sample_gradients(self, w):
        return self.x * (self.x @ w - self.y)[:, None]

    def loss(self, mean, second):
        """E ℓ from the mean and the second moment of w."""
        h, c = self.x.T @ self.x / len(self.x), self.x.T @ self.y / len(self.x)
        return 0.5 * np.sum(h * second) - c @ mean + 0.5 * np.mean(self.y**2)


def squared_error(w, sample):
    x, y = sample
    return 0.5 * (x @ w - y) ** 2


def with_a_rare_large_sample(start):
    """Gradient noise that outweighs the gradient, most of it from one sample in fifty."""
    x = torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[0] = 5.0
    return Problem(ss.FiniteSum(squared_error, (x, x.sum(-1)), 1), start)


WIDE = Problem(teacher_student(dim=2, n=8, label_noise=1.0, seed=3), [2.0, -1.5])
LINE = Problem(teacher_student(dim=1, n=8, label_noise=1.0, seed=3), [3.0])


def gradient(problem, w):
    return problem.sample_gradients(w).mean(0)


# Where the gradient is taken, by hand. In one dimension SAM's perturbation is ρ times a sign, which no path changes.
PERTURBED = {
    "SGD": lambda problem, w, rho: w,
    "USAM": lambda problem, w, rho: w + rho * gradient(problem, w),
    "SAM": lambda problem, w, rho: w + rho * np.sign(gradient(problem, w)),
}
PERTURBED["SAM, rare sample"] = PERTURBED["SAM"]
KINDS = {
    "SGD": (ss.SGD, WIDE),
    "USAM": (ss.USAM, WIDE),
    "SAM": (ss.SAM, LINE),
    "SAM, rare sample": (ss.SAM, with_a_rare_large_sample([2.0])),
}
RHO = {"SGD": 0.0, "USAM": 0.4, "SAM": 1.0, "SAM, rare sample": 2.0}
VARIANTS = [kind for kind in KINDS if kind != "SGD"]


def build(kind, lr, rho=None, **options):
    cls, problem = KINDS[kind]
    radius = {} if kind == "SGD" else {"rho": RHO[kind] if rho is None else rho}
    return cls(problem.surface, problem.noise, lr=lr, batch_size=BATCH, **radius, **options)


def build_wrong(kind, lr, **options):
    return with_sgd_noise(build(kind, lr, **options))


def moments_operator(drift, covariance, dim, centre):
    """(m, M) to (E b, E[b uᵀ + u bᵀ], E b bᵀ, E C) for b affine and C quadratic in u = w - centre, by probing them."""
    units = np.eye(dim)
    b0 = drift(centre)
    jacobian = np.stack([drift(centre + e) - b0 for e in units], axis=1)
    c0 = covariance(centre)
    linear = [(covariance(centre + e) - covariance(centre - e)) / 2 for e in units]
    mixed = np.zeros((dim, dim, dim, dim))
    for i, a in enumerate(units):
        for j, b in enumerate(units):
            ends = [covariance(centre + s * a + t * b) * s * t for s in (1, -1) for t in (1, -1)]
            mixed[i, j] = sum(ends) / 8

    def expected(mean, second):
        of_b = b0 + jacobian @ mean
        cross = np.outer(b0, mean) + jacobian @ second
        of_bb = np.outer(b0, b0) + np.outer(b0, jacobian @ mean) + np.outer(jacobian @ mean, b0)
        of_c = c0 + sum(x * m for x, m in zip(linear, mean, strict=True)) + np.einsum("ijkl,ij->kl", mixed, second)
        return of_b, cross + cross.T, of_bb + jacobian @ second @ jacobian.T, of_c

    return expected


def algorithm_moments(kind, lr, rho):
    """Mean and second moment of w - start after T/lr steps of the algorithm, from the samples."""
    problem = KINDS[kind][1]
    dim = len(problem.start)

    def gradients(w):
        return problem.sample_gradients(PERTURBED[kind](problem, w, rho))

    expected = moments_operator(
        lambda w: -gradients(w).mean(0),
        lambda w: np.cov(gradients(w).T, bias=True).reshape(dim, dim),
        dim,
        problem.start,
    )
    mean, second = np.zeros(dim), np.zeros((dim, dim))
    for _ in range(round(T / lr)):
        b, cross, bb, c = expected(mean, second)
        mean, second = mean + lr * b, second + lr * cross + lr**2 * (bb + c / BATCH)
    return mean, second


def sde_moments(model, start):
    """The same of an SDE of the package at time T, exactly, from its drift and diffusion."""
    dim = len(start)

    def at(w):
        return torch.tensor(w)[None]

    def covariance(w):
        return model.covariance(0.0, at(w))[0].numpy()

    expected = moments_operator(lambda w: model.f(0.0, at(w))[0].numpy(), covariance, dim, start)

    def rate(flat):
        mean, second = flat[1 : 1 + dim], flat[1 + dim :].reshape(dim, dim)
        (b, cross, _, c), (b0, cross0, _, c0) = expected(mean, second), expected(0 * mean, 0 * second)
        change = np.concatenate([b - b0, (cross - cross0 + c - c0).ravel()])
        return np.concatenate([[0.0], change + flat[0] * np.concatenate([b0, (cross0 + c0).ravel()])])

    size = 1 + dim + dim**2
    matrix = np.stack([rate(unit) for unit in np.eye(size)], axis=1)
    end = expm(T * matrix)[:, 0]
    return end[1 : 1 + dim], end[1 + dim :].reshape(dim, dim)


def observed(problem, mean, second):
    """Expectations of loss, ‖w‖² and w₀ from the moments of w - start."""
    m = problem.start + mean
    s = second + np.outer(problem.start, mean) + np.outer(mean, problem.start) + np.outer(problem.start, problem.start)
    return np.array([problem.loss(m, s), np.trace(s), m[0]])


NAMES = ("loss", "squared_norm", "x0")


def exact_differences(kind, lr, model, rho):
    problem = KINDS[kind][1]
    ends = algorithm_moments(kind, lr, rho), sde_moments(model, problem.start)
    return observed(problem, *ends[0]) - observed(problem, *ends[1])


def slopes(kind, make_model, lrs=(0.004, 0.002, 0.001), rho=lambda lr: None):
    """Orders in lr of the errors of loss and ‖w‖², and the errors at the smallest lr."""
    radius = [RHO[kind] if rho(lr) is None else rho(lr) for lr in lrs]
    errors = np.array([exact_differences(kind, lr, make_model(lr), r) for lr, r in zip(lrs, radius, strict=True)])
    errors = np.abs(errors[:, :2])
    return np.polyfit(np.log(lrs), np.log(errors), 1)[0], errors[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_drift_of_second_order_and_the_right_covariance_the_weak_order_is_two(kind):
    order, _ = slopes(kind, lambda lr: build(kind, lr, drift_order=2))
    assert (abs(order - 2) < 0.3).all(), order


@pytest.mark.parametrize("kind", VARIANTS)
def test_with_a_drift_of_second_order_and_the_covariance_of_sgd_it_is_one(kind):
    order, _ = slopes(kind, lambda lr: with_sgd_noise(build(kind, lr, drift_order=2)))
    assert (abs(order - 1) < 0.3).all(), order


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_drift_of_first_order_it_is_one(kind):
    order, _ = slopes(kind, lambda lr: build(kind, lr))
    assert (abs(order - 1) < 0.3).all(), order


def test_at_a_fixed_learning_rate_the_right_covariance_has_the_smaller_error():
    """With a drift of first order where noise outweighs the gradient; the drift's own error may hide it elsewhere."""
    for drift_order, ratio, kinds in ((1, 3.0, VARIANTS[2:]), (2, 10.0, VARIANTS)):
        for kind in kinds:
            _, right = slopes(kind, partial(build, kind, drift_order=drift_order))
            _, wrong = slopes(kind, partial(build_wrong, kind, drift_order=drift_order))
            assert (wrong > ratio * right).all(), (kind, drift_order, wrong / right)


@pytest.mark.parametrize("kind", VARIANTS[:2])
def test_expansion_with_a_radius_that_is_a_multiple_of_the_root_of_lr_has_order_one(kind):
    def rho(lr):
        return RHO[kind] * (lr / 0.004) ** 0.5

    order, _ = slopes(kind, lambda lr: build(kind, lr, rho=rho(lr), drift="expansion"), rho=rho)
    assert (abs(order - 1) < 0.3).all(), order


def compare(algorithm, models, start, t=T, seed=0):
    return WeakComparison(algorithm, models, PointStart(start), t, Stream(seed, "arm"), torch.device("cpu"))


@pytest.mark.parametrize(("kind", "drift_order", "lr"), [("SGD", 1, 0.1), ("USAM", 2, 0.15), ("SAM", 2, 0.15)])
def test_estimates_are_the_exact_differences(kind, drift_order, lr):
    problem = KINDS[kind][1]
    models = {"right": build(kind, lr, drift_order=drift_order)}
    if kind != "SGD":
        models["wrong"] = with_sgd_noise(models["right"])
    comparison = compare(build(kind, lr), models, problem.start)
    found = comparison.differences([observable(name, problem.surface) for name in NAMES], 4000)
    told = 0.0
    for name, model in models.items():
        exact = exact_differences(kind, lr, model, RHO[kind])
        for estimate, (difference, error) in zip(exact, found[name], strict=True):
            assert abs(difference - estimate) < 4.5 * error, (name, difference, estimate, error)
            told = max(told, abs(estimate) / error)
    assert told > 8, "the errors are too large to see a difference"


NOISY = ss.ConstantNoise([[4.0, 1.0], [1.0, 2.0]])


def test_with_gaussian_noise_pairs_and_controls_leave_little_spread():
    """Against the same estimate with independent normals, whose errors are those of two separate means."""
    sgd = ss.SGD(beale(), NOISY, lr=0.001, batch_size=8)
    observables = [observable(name, sgd.surface) for name in ("loss", "gradient_norm", "x1")]
    comparison = compare(sgd, {"SGD": sgd}, [0.5, 1.0], t=0.02)
    start = torch.tensor([[0.5, 1.0]], dtype=torch.float64).expand(1000, -1)
    ends = comparison._sde_ends(sgd, start, torch.arange(1000))
    found = comparison.differences(observables, 1000)["SGD"]
    for each, (_, error) in zip(observables, found, strict=True):
        assert error < 0.1 * each.value(ends).std() * (2 / 1000) ** 0.5


def test_the_halves_of_a_step_are_independent_standard_normals_that_make_the_step_of_the_algorithm():
    sgd, paths = ss.SGD(beale(), NOISY, lr=0.01), torch.arange(20_000)
    comparison = compare(sgd, {"SGD": sgd}, [0.5, 1.0], t=0.01)
    ((first, second),) = comparison._halves(paths)
    covariance = torch.cov(torch.cat([first, second], dim=-1).T)
    assert (covariance - torch.eye(4)).abs().max() < 4 * (2 / len(paths)) ** 0.5
    whole = KeyedBrownian(comparison.stream, paths, 2, torch.float64, 0)(0, 1)
    torch.testing.assert_close(first + second, 2**0.5 * whole)


@pytest.mark.parametrize("ascent", ["same", "independent"])
def test_ascents_with_noise_have_the_weak_order_two_on_a_quadratic(ascent):
    """USAM on a quadratic with constant noise, where mean and covariance of the model are exact."""
    surface = quadratic([1.5, 0.8])
    errors, deviations = [], []
    for lr in (0.2, 0.1):
        usam, wrong = (
            ss.USAM(surface, NOISY, lr=lr, batch_size=4, rho=0.6, ascent=ascent, drift_order=order) for order in (2, 1)
        )
        models = {"right": usam, "wrong": with_sgd_noise(usam)}
        found = compare(wrong, models, [1.0, 0.5], t=1.0).differences([observable("squared_norm", surface)], 12_000)
        errors.append([found[name][0][0] for name in models])
        deviations.append([found[name][0][1] for name in models])
    errors, relative = np.array(errors), np.abs(np.array(deviations) / np.array(errors))
    order, spread = np.log2(np.abs(errors[0] / errors[1])), np.hypot(*relative) / np.log(2)
    assert (4 * spread < 0.5).all(), (spread, errors)
    assert np.abs(order - [2, 1]).max() < 0.5, order


def test_there_is_no_ablation_where_the_covariance_is_that_of_sgd():
    assert with_sgd_noise(ss.SGD(beale(), ss.HessianNoise(beale()), lr=0.1)) is None
    assert with_sgd_noise(ss.SAM(beale(), NOISY, lr=0.1, rho=0.1)) is None
    assert with_sgd_noise(ss.SAM(beale(), NOISY, lr=0.1, rho=0.1, ascent="same")) is not None


def test_bad_comparisons_are_refused():
    sgd = ss.SGD(beale(), NOISY, lr=0.01)
    with pytest.raises(ValueError, match=r"t: expected a whole number of steps of lr = 0.01, got 2.5 of them; try"):
        compare(sgd, {"SGD": sgd}, [0.0, 1.1], t=0.025)
    nesterov = ss.SGD(beale(), NOISY, lr=0.01, momentum=0.9, nesterov=True)
    with pytest.raises(ValueError, match="nesterov: no SDE of it is known"):
        compare(nesterov, {"SGD": nesterov}, [0.0, 1.1])
    with pytest.raises(ValueError, match="test_functions: unknown value 'los'; did you mean 'loss'"):
        observable("los", beale())
    with pytest.raises(ValueError, match="test_functions: the surface has 2 coordinates, x0 to x1, got x2"):
        observable("x2", beale())
    wild = ss.SGD(beale(), NOISY, lr=0.5)
    with pytest.raises(ValueError, match=r"lrs: at 0\.5 paths of the algorithm became NaN or infinite"):
        compare(wild, {"SGD": wild}, [3.0, 3.0], t=50.0).differences([observable("loss", beale())], 100)


def test_weak_errors_of_one_optimizer_from_python():
    """Without noise the SDE is an ODE, and the algorithm Euler's method: the error of x₀ is that of (1-η)^k."""
    found = ss.weak_errors(
        lambda lr: ss.SGD(quadratic([1.0]), ss.NoNoise(), lr=lr),
        start=[1.0],
        t=1.0,
        lrs=[0.1, 0.05, 0.025],
        test_functions=["x0"],
        n_paths=100,
    )
    expected = [abs((1 - lr) ** round(1 / lr) - np.exp(-1)) for lr in found["lr"]]
    np.testing.assert_allclose(found["error"], expected, rtol=1e-3)
    orders = ss.weak_orders(found)
    assert orders.loc[0, "test_function"] == "x0"
    assert orders.loc[0, "order"] == pytest.approx(1.0, abs=0.1)
    with pytest.raises(ss.ArgumentError, match=r"optimizer: expected an optimizer of the learning rate 0\.1"):
        ss.weak_errors(lambda lr: ss.SGD(quadratic([1.0]), ss.NoNoise(), lr=0.2), start=[1.0], t=1.0, lrs=[0.1])
