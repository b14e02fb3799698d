"""Every noise agrees with its covariance matrix, however it is asked."""

import pytest
import torch
from scipy.linalg import fractional_matrix_power

from sam_sde.noise import ConstantNoise, FrozenHessianNoise, HessianNoise, IsotropicNoise, NoNoise
from sam_sde.noise.hessian import absolute_power
from sam_sde.surfaces import LossSurface, beale, quadratic

COVARIANCE = [[2.0, 0.6], [0.6, 0.5]]
NOISES = {
    "none": (NoNoise(), lambda w: torch.zeros(2, 2)),
    "isotropic": (IsotropicNoise(1.5), lambda w: 2.25 * torch.eye(2)),
    "constant": (ConstantNoise(COVARIANCE), lambda w: torch.tensor(COVARIANCE)),
    "hessian": (HessianNoise(beale()), lambda w: absolute(beale().hessian(w[None])[0])),
    "squared": (HessianNoise(beale(), power=2), lambda w: root_of_square(beale().hessian(w[None])[0], 1)),
    "fractional": (HessianNoise(beale(), power=1.5), lambda w: root_of_square(beale().hessian(w[None])[0], 0.75)),
    "frozen fractional": (
        FrozenHessianNoise(quadratic([1.0, -4.0]), [0, 0], 1.5),
        lambda w: torch.tensor([1.0, 8.0]).diag(),
    ),
    "frozen": (FrozenHessianNoise(beale(), at=[0, 1]), lambda w: 27.75 * torch.eye(2)),
}


def absolute(matrix: torch.Tensor) -> torch.Tensor:
    """|H| = √(H²), without eigenvectors: by Newton's iteration for the sign of H."""
    sign = matrix / torch.linalg.matrix_norm(matrix)
    for _ in range(60):
        sign = 0.5 * (sign + torch.linalg.inv(sign))
    return matrix @ sign


def root_of_square(matrix: torch.Tensor, power: float) -> torch.Tensor:
    """(H²)^power, by Schur's method."""
    return torch.from_numpy(fractional_matrix_power((matrix @ matrix).numpy(), power))


@pytest.fixture
def w():
    return torch.tensor([[0.0, 1.0], [0.4, 0.7], [-0.3, 1.4]], dtype=torch.float64)


@pytest.mark.parametrize("name", NOISES)
def test_covariance_factor_and_trace_are_those_of_the_formula(name, w):
    noise, formula = NOISES[name]
    expected = torch.stack([formula(point).double() for point in w])
    factor = noise.factor(w)
    torch.testing.assert_close(noise.covariance(w), expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(factor @ factor.mT, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(noise.trace(w), expected.diagonal(dim1=1, dim2=2).sum(-1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NOISES)
def test_products_are_those_with_the_factor(name, w):
    noise, _ = NOISES[name]
    factor, v = noise.factor(w), torch.randn(3, 2, generator=torch.manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(noise.product(w, v), (factor @ v[..., None])[..., 0])
    torch.testing.assert_close(noise.transposed_product(w, v), (factor.mT @ v[..., None])[..., 0])
    along = (v[:, None] @ noise.covariance(w) @ v[..., None])[:, 0, 0]
    torch.testing.assert_close(noise.transposed_product(w, v).square().sum(-1), along)


@pytest.mark.parametrize("name", NOISES)
def test_additive_noise_is_the_same_everywhere_and_bounded(name, w):
    noise, _ = NOISES[name]
    assert noise.additive == (name not in ("hessian", "squared", "fractional"))
    if noise.additive:
        assert torch.equal(noise.covariance(w)[0], noise.covariance(w)[1])
        largest = torch.linalg.eigvalsh(noise.covariance(w)[0])[-1].item()
        assert noise.largest_variance() == pytest.approx(largest)
        assert not noise.trace_gradient(w).any()


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_the_gradient_of_the_trace_is_that_of_finite_differences(w, power):
    noise, step = HessianNoise(beale(), power), 1e-5
    for i in range(2):
        shift = step * torch.eye(2, dtype=torch.float64)[i]
        slope = (noise.trace(w + shift) - noise.trace(w - shift)) / (2 * step)
        torch.testing.assert_close(noise.trace_gradient(w)[:, i], slope, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_the_trace_is_finite_where_the_eigenvalues_are_equal():
    noise = HessianNoise(LossSurface(lambda w: (w**2).sum() / 2 + (w**4).sum(), dim=2))
    w = torch.tensor([[0.3, 0.3]], dtype=torch.float64)  # Σ = 1 + 12 w² for each coordinate
    torch.testing.assert_close(noise.trace_gradient(w), 24 * w)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_powers_of_symmetric_matrices(dim):
    matrix = torch.randn(50, dim, dim, generator=torch.manual_seed(0), dtype=torch.float64)
    matrix = torch.cat([matrix + matrix.mT, torch.eye(dim)[None].double(), torch.zeros(1, dim, dim)])
    expected = torch.stack([absolute(each) for each in matrix[:-1]])
    root = absolute_power(matrix, 0.5)
    torch.testing.assert_close((root @ root)[:-1], expected)
    torch.testing.assert_close(absolute_power(matrix, 1.0)[:-1], expected)
    assert not root[-1].any()


@pytest.mark.parametrize("dim", [2, 3])
def test_a_state_that_is_not_finite_gives_nan_and_no_error(dim):
    w = torch.zeros(2, dim)
    w[0, 0] = torch.nan
    noise = HessianNoise(LossSurface(lambda w: w.cos().sum(), dim=dim))
    for answer in (noise.factor(w), noise.trace(w)):
        assert answer[0].isnan().all()
        assert answer[1].isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IsotropicNoise(-1), "sigma: expected a number that is 0 or more, got -1"),
        (lambda: IsotropicNoise(float("nan")), "sigma"),
        (lambda: ConstantNoise([[1, 2], [0, 1]]), "symmetric"),
        (lambda: ConstantNoise([[1, 2], [2, 1]]), "positive semidefinite"),
        (lambda: ConstantNoise([[1, 2, 3], [2, 1, 0]]), "square"),
        (lambda: ConstantNoise([[1, 2], [3]]), "covariance"),
        (lambda: ConstantNoise([[float("inf")]]), "finite"),
        (lambda: HessianNoise(beale(), power=0), "power: expected a number above 0, got 0"),
        (lambda: FrozenHessianNoise(beale(), [0, 1], power=-1), "power: expected a number above 0, got -1"),
        (lambda: FrozenHessianNoise(quadratic([1.0, -1.0]), at=[0.0]), "at: expected 2 numbers"),
    ],
)
def test_bad_noises_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
