"""The SDE that is exact on quadratics, against the recursion of the algorithm; and where there is none."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.dynamics import Minibatch
from sam_sde.engines import Integration, integrate
from sam_sde.engines.torchsde_engine import advance
from sam_sde.random import Stream
from sam_sde.surfaces import beale, quadratic
from sam_sde.theory.displacement.propagation import through_sde

GENERATOR = np.random.default_rng(3)
STEPS = 7


def quadratic_of(values):
    """½ wᵀHw in random eigenvectors, and H."""
    vectors = np.linalg.qr(GENERATOR.normal(size=(len(values), len(values))))[0]
    hessian = torch.from_numpy(vectors * values @ vectors.T)
    return ss.LossSurface(lambda w: 0.5 * w @ hessian.to(w) @ w, dim=len(values)), hessian.numpy()


def recursion(dynamics, start):
    """Mean (dim,) and covariance (dim, dim) of the algorithm after some steps, by its own `step` in a plain loop."""
    noise, full = dynamics.noise, dynamics.surface.gradient
    scale, dim = dynamics.minibatch_variance**0.5, dynamics.dim

    def stepped(w, z):
        first, second = z.chunk(2) if dynamics.ascent == "independent" else (z, z)
        parts = [lambda w, z=z: full(w) - scale * noise.product(w, z.expand(len(w), -1)) for z in (first, second)]
        return dynamics.step(0.0, w, [Minibatch(*parts, full)]).numpy()

    channels = dim * (2 if dynamics.ascent == "independent" else 1)
    basis, quiet = torch.cat([torch.zeros(1, dim), torch.eye(dim)]).double(), torch.zeros(channels).double()
    constant, *columns = stepped(basis, quiet)
    step = np.stack([column - constant for column in columns], 1)
    noise_factor = np.stack([stepped(basis[:1], z)[0] - constant for z in torch.eye(channels).double()], 1)
    mean, covariance = start, np.zeros((dim, dim))
    for _ in range(STEPS):
        mean, covariance = step @ mean + constant, step @ covariance @ step.T + noise_factor @ noise_factor.T
    return mean, covariance


def flow(dynamics, start):
    """The same of the SDE at that time, from its own drift and noise."""
    dim = dynamics.dim
    f = dynamics.f(0.0, torch.cat([torch.zeros(1, dim), torch.eye(dim)]).double()).numpy()
    drift, noise = np.zeros((dim + 1, dim + 1)), np.zeros((dim + 1, dim + 1))
    drift[:dim, :dim], drift[:dim, dim] = (f[1:] - f[0]).T, f[0]
    noise[:dim, :dim] = dynamics.covariance(0.0, torch.zeros(1, dim).double())[0].numpy()
    power, covariance = through_sde(drift, noise, np.array([STEPS * dynamics.lr]))
    return (power[0] @ np.append(start, 1.0))[:dim], covariance[0, :dim, :dim]


# Noises of a Hessian: isotropic, |H|, and one that does not commute with it.
NOISES = {
    "isotropic": lambda surface, hessian: ss.IsotropicNoise(0.7),
    "hessian": lambda surface, hessian: ss.FrozenHessianNoise(surface, [0.0] * surface.dim),
    "oblique": lambda surface, hessian: ss.ConstantNoise(np.eye(len(hessian)) + 0.02 * np.ones_like(hessian)),
}
ARMS = {
    "sgd": (ss.SGD, {}),
    "weight decay": (ss.SGD, {"weight_decay": 0.05}),
    "full": (ss.USAM, {"rho": 0.3}),
    "same": (ss.USAM, {"rho": 0.3, "ascent": "same"}),
    "independent": (ss.USAM, {"rho": 0.3, "ascent": "independent"}),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_mean_and_covariance_are_those_of_the_algorithm_up_to_a_step_of_nine_tenths(dim, arm, noise):
    """Random spectra, with saddles and a flat direction, whose largest curvature times η is 0.9."""
    kind, options = ARMS[arm]
    values = np.sort(GENERATOR.uniform(-1, 1, dim))
    values[-1] = 1.0
    if dim == 5:
        values[2] = 0.0
    surface, hessian = quadratic_of(values)
    lr = 0.9 / (1.0 + options.get("rho", 0.0) + options.get("weight_decay", 0.0))
    make = {"lr": lr, "batch_size": 3, **options}
    algorithm = kind(surface, NOISES[noise](surface, hessian), **make)
    exact = kind(surface, algorithm.noise, sde="exact", **make)
    start = GENERATOR.normal(size=dim)
    exact.check_start(torch.from_numpy(start)[None])
    for found, expected in zip(flow(exact, start), recursion(algorithm, start), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    usual = flow(algorithm, start)[1]
    assert np.abs(usual - expected).max() > 0.02 * np.abs(expected).max()


def test_in_one_dimension_it_has_the_closed_form():
    """a = -ln(1-ηλ)/η and the noise rate 2aη²σ²/(B(1-(1-ηλ)²))."""
    for eigenvalue in (-2.0, 0.5, 1.8):
        sgd = ss.SGD(quadratic([eigenvalue]), ss.IsotropicNoise(1.5), lr=0.5, batch_size=2, sde="exact")
        w = torch.tensor([[0.25]]).double()
        a = -np.log(1 - 0.5 * eigenvalue) / 0.5
        assert sgd.f(0.0, w).item() == pytest.approx(-0.25 * a, rel=1e-12)
        rate = 2 * a * 0.25 * 1.5**2 / (2 * (1 - (1 - 0.5 * eigenvalue) ** 2))
        assert sgd.covariance(0.0, w).item() == pytest.approx(rate, rel=1e-12)


def test_the_methods_agree_with_each_other():
    """g z, gᵀd and both at once, for noise with more channels than weights."""
    usam = ss.USAM(beale(), ss.IsotropicNoise(1.0), lr=0.003, rho=0.02, ascent="independent", sde="exact")
    w, z, d = (torch.from_numpy(GENERATOR.normal(size=(3, n))) for n in (2, 4, 2))
    assert usam.channels == 4
    moved, turned = usam.g_prod(0.0, w, z), usam.g_transpose_prod(0.0, w, d)
    torch.testing.assert_close((moved * d).sum(-1), (turned * z).sum(-1))
    together = usam.f_and_g_prod(0.0, w, z)
    torch.testing.assert_close(together, (usam.f(0.0, w), moved))


def test_for_small_steps_it_is_the_drift_of_second_order():
    surface, w = beale(), torch.tensor([[0.1, 0.9], [0.5, 1.2]]).double()
    differences = []
    for lr in (1e-3, 5e-4):
        exact, second = (
            ss.SGD(surface, ss.IsotropicNoise(1.0), lr=lr, **options)
            for options in ({"sde": "exact"}, {"drift_order": 2})
        )
        differences.append((exact.f(0.0, w) - second.f(0.0, w)).norm())
    assert differences[0] / differences[1] == pytest.approx(4.0, rel=0.1)


def test_its_paths_have_the_variance_of_the_algorithm_at_a_large_step():
    """At ηλ = 0.9 the usual SDE's stationary variance is 0.55 of it."""
    sgd = ss.SGD(quadratic([0.9]), ss.IsotropicNoise(1.0), lr=1.0, sde="exact")
    integration = Integration(dynamics=sgd, stream=Stream(0), dt=1 / 32, method="heun")
    n_paths = 10_000
    end = integrate(advance, integration, torch.zeros(n_paths, 1), torch.arange(n_paths), 0, 96)
    expected = (1 - 0.1**6) / (1 - 0.1**2)
    assert abs(end.double().var().item() / expected - 1) < 4 * (2 / n_paths) ** 0.5


def test_where_it_reaches_one_on_the_way_a_path_fails():
    surface = ss.LossSurface(lambda w: w[0] ** 4, dim=1)
    sgd = ss.SGD(surface, ss.IsotropicNoise(0.1), lr=1.0, sde="exact")
    assert torch.isnan(sgd.f(0.0, torch.tensor([[0.5]]))).all()
    with pytest.raises(ss.ArgumentError, match=r"^sde: 'exact' needs lr · λ below 1 .* got 3"):
        sgd.check_start(torch.tensor([[0.5]]))


def test_noise_that_has_no_exact_sde_is_refused():
    """Along (1, 1) alone, with one eigenvalue near 1/η and one at zero, Q has the determinant of a negative number."""
    surface = quadratic([0.9, 0.0])
    sgd = ss.SGD(surface, ss.ConstantNoise([[1.0, 1.0], [1.0, 1.0]]), lr=1.0, sde="exact")
    with pytest.raises(ss.ArgumentError, match="commutes more with the Hessian"):
        sgd.check_start(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ss.SGD, {"momentum": 0.9}, "without momentum"),
        (ss.SGD, {"lr_schedule": ss.CosineSchedule(1.0)}, "without lr_schedule"),
        (ss.SGD, {"drift_order": 2}, "without drift_order"),
        (ss.SAM, {"rho": 0.1}, "linear on a quadratic, SGD and USAM"),
        (ss.USAM, {"rho": 0.1, "drift": "total"}, "without drift"),
        (ss.USAM, {"rho": 0.1, "rho_schedule": ss.CosineSchedule(1.0)}, "without rho_schedule"),
    ],
)
def test_what_has_no_exact_sde_is_refused(kind, options, message):
    with pytest.raises(ss.ArgumentError, match=f"^sde: 'exact' .*{message}"):
        kind(beale(), ss.IsotropicNoise(1.0), lr=0.001, sde="exact", **options)


def test_many_weights_other_words_and_the_algorithm_are_refused():
    with pytest.raises(ss.ArgumentError, match=r"^sde: .* at most 100 weights, got 101"):
        ss.SGD(quadratic([1.0] * 101), ss.IsotropicNoise(1.0), lr=0.1, sde="exact")
    with pytest.raises(ss.ArgumentError, match=r"^sde: unknown value 'exactly'; did you mean 'exact'"):
        ss.SGD(beale(), ss.IsotropicNoise(1.0), lr=0.1, sde="exactly")
    with pytest.raises(ss.ArgumentError, match=r"^sde: 'exact' is a model of the algorithm"):
        ss.SGD(beale(), ss.IsotropicNoise(1.0), lr=0.1, sde="exact").check_algorithm()
