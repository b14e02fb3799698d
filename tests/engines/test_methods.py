"""Each method of integration against the law of the SDE itself, found without random numbers."""

import itertools

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration, integrate
from sam_sde.engines.compiled.steps import step_of
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import quadratic

T, RHO, LR, BATCH = 1.0, 0.2, 0.1, 2
CRITICAL_POINTS = {"maximum": [-1.0], "saddle": [1.0, -1.0]}


def law_of_sam(eigenvalues: list[float], points: int, width: float = 1.6) -> np.ndarray:
    """E w_j² of normalized SAM from 0 at time T: a Markov chain on a grid with the drift and noise of the SDE.

    Its rates D/h² · exp(±b h/2D) have both to O(h²), also where the drift jumps.
    """
    x = np.linspace(-width, width, points)
    h, diffusion, dim = x[1] - x[0], LR / BATCH / 2, len(eigenvalues)
    grid = np.stack(np.meshgrid(*[x] * dim, indexing="ij"))
    gradient = grid * np.reshape(eigenvalues, (-1, *[1] * dim))
    norm = np.sqrt((gradient**2).sum(axis=0))
    ascent = RHO * np.divide(gradient, norm, out=np.zeros_like(gradient), where=norm > 0)
    drift = -np.reshape(eigenvalues, (-1, *[1] * dim)) * (grid + ascent)
    number = np.arange(points**dim).reshape(*[points] * dim)
    rates = sparse.lil_matrix((number.size, number.size)).tocsr()
    for axis, sign in itertools.product(range(dim), (1, -1)):
        stay = [slice(None)] * dim
        stay[axis] = slice(None, -1) if sign > 0 else slice(1, None)
        move = [slice(None)] * dim
        move[axis] = slice(1, None) if sign > 0 else slice(None, -1)
        origin, target = number[tuple(stay)].ravel(), number[tuple(move)].ravel()
        between = 0.5 * (drift[axis][tuple(stay)] + drift[axis][tuple(move)]).ravel()
        rate = diffusion / h**2 * np.exp(sign * between * h / (2 * diffusion))
        rates += sparse.csr_matrix((rate, (origin, target)), shape=rates.shape)
    generator = rates - sparse.diags(np.asarray(rates.sum(axis=1)).ravel())
    squares = np.stack([(grid[j] ** 2).ravel() for j in range(dim)], axis=1)
    return expm_multiply(generator * T, squares)[number.size // 2]


def moments(method: str, eigenvalues: list[float], dt: float, n_paths: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of w_j² after the time T, and their standard errors."""
    surface, noise = quadratic(eigenvalues), ss.IsotropicNoise(1.0)
    sam = ss.SAM(surface, noise, lr=LR, batch_size=BATCH, rho=RHO)
    integration = Integration(dynamics=sam, stream=Stream(3), dt=dt, method=method)
    start = torch.zeros(n_paths, len(eigenvalues), dtype=torch.float64)
    advance = ENGINES["torchsde"].prepare(integration, start)
    with torch.no_grad():
        squares = integrate(advance, integration, start, torch.arange(n_paths), 0, round(T / dt)).square()
    return squares.mean(0).numpy(), squares.std(0).numpy() / n_paths**0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", CRITICAL_POINTS)
def test_weak_errors_where_the_drift_of_sam_jumps(kind):
    """All vanish with dt; where paths are held at the jump, along the stable axis, Euler's are the largest by far."""
    coarse, fine = (law_of_sam(CRITICAL_POINTS[kind], points) for points in (65, 129))
    exact, errors = fine + (fine - coarse) / 3, {}
    for method, dt in itertools.product(("euler", "heun", "srk"), (0.2, 0.1, 0.025)):
        found, standard_error = moments(method, CRITICAL_POINTS[kind], dt, n_paths=40_000)
        errors[method, dt] = np.abs(found / exact - 1)
        noise = 4 * standard_error / exact
        assert np.all(errors[method, dt] < {0.2: 0.4, 0.1: 0.15, 0.025: 0.05}[dt] + noise), (method, dt)
    if kind == "saddle":
        assert errors["euler", 0.2][0] > 0.25
        assert errors["euler", 0.1][0] > 0.09
        assert max(errors[method, dt][0] for method in ("heun", "srk") for dt in (0.2, 0.1)) < 0.05


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("kind", ["maximum", "saddle"])
def test_on_a_quadratic_a_step_is_the_expansion_of_the_exact_one(kind, method):
    """Of dw_j = -λ_j w_j dt + σ dW: w (1 - λh [+ λ²h²/2]) + σ √h (1 [- λh/2]) z, the brackets by Heun alone."""
    h, n, eigenvalues = 0.1, 9, np.array(CRITICAL_POINTS[kind])
    sgd = ss.SGD(quadratic(list(eigenvalues)), ss.IsotropicNoise(1.0), lr=h, batch_size=4)
    stream, second = Stream(), method == "heun"
    integration = Integration(dynamics=sgd, stream=stream, dt=h, method=method)
    start = torch.full((n, len(eigenvalues)), 0.5, dtype=torch.float64)
    states = ENGINES["torchsde"].prepare(integration, start)(integration, start, torch.arange(n), 0, 8).states
    z = stream.normals_of_quads(Purpose.DIFFUSION, torch.arange(n), range(2), len(eigenvalues), torch.float64)
    w = start.numpy()
    for k, normals in enumerate(z.flatten(0, 1).numpy()):
        growth = 1 - eigenvalues * h + second * (eigenvalues * h) ** 2 / 2
        w = w * growth + (h / 4) ** 0.5 * h**0.5 * (1 - second * eigenvalues * h / 2) * normals
        np.testing.assert_allclose(states[k + 1], w, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_a_step_that_begins_before_a_switch_is_the_first_optimizers_all_of_it(method):
    """In the engine's steps and in those that are compiled: 6 of w' = -w and 4 of w' = w, the switch within the 6th."""
    h, growth = 0.1, {"euler": lambda x: 1 + x, "heun": lambda x: 1 + x + x**2 / 2}[method]
    first, second = (ss.SGD(quadratic([curvature]), ss.NoNoise(), lr=h) for curvature in (1.0, -1.0))
    switch = ss.Switch(first, second, at=5.3 * h)
    integration = Integration(dynamics=switch, stream=Stream(), dt=h, method=method)
    start = torch.ones(3, 1, dtype=torch.float64)
    states = ENGINES["torchsde"].prepare(integration, start)(integration, start, torch.arange(3), 0, 10).states
    take, moved = step_of(integration), torch.zeros_like(start)
    for step in range(10):
        moved, _ = take(start, moved, torch.zeros_like(start), torch.tensor(step), torch.full((3,), -1.0))
    for end in (states[-1], start + moved):
        np.testing.assert_allclose(end, growth(-h) ** 6 * growth(h) ** 4, rtol=1e-12)


def test_heun_keeps_the_mean_where_the_noise_depends_on_the_state():
    """Itô's sense: E w of dw = -∇ℓ dt + g(w) dW starts with -∇ℓ, whatever g; Stratonovich's has a drift more."""

    class Geometric(ss.Dynamics):
        dim = channels = 1
        lr, noise_type = 0.05, "general"

        def f(self, t, w):
            return -0.5 * w

        def g(self, t, w):
            return 0.8 * w[..., None]

    n_paths, dt = 200_000, 0.05
    integration = Integration(dynamics=Geometric(), stream=Stream(1), dt=dt, method="heun")
    start = torch.ones(n_paths, 1, dtype=torch.float64)
    advance = ENGINES["torchsde"].prepare(integration, start)
    w = integrate(advance, integration, start, torch.arange(n_paths), 0, 20)[:, 0].numpy()
    assert abs(w.mean() - np.exp(-0.5)) < 4 * w.std() / n_paths**0.5 + 1e-3  # Stratonovich: exp(-0.18)


@pytest.mark.usefixtures("uncompiled")
def test_both_engines_take_the_same_steps_of_heun_where_the_noise_depends_on_the_state():
    sam = ss.SAM(quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.02, batch_size=4, rho=0.05, ascent="same")
    options = {"start": [0, 0], "region": ss.Ball([0, 0], 0.3), "t_max": 2.0, "n_paths": 300, "dtype": "float64"}
    one, other = (ss.escape_times(sam, engine=engine, method="heun", **options) for engine in ("torchsde", "compiled"))
    assert (one.engine, other.engine) == ("torchsde", "compiled")
    assert (one.outcome == ss.Outcome.ESCAPED).sum() > 30
    np.testing.assert_allclose(other.times, one.times, rtol=1e-9)
