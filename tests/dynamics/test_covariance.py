"""g gᵀ, put together from products, is that of the matrix g where there is one, and of the products both ways."""

import pytest
import torch

import sam_sde as ss
from sam_sde.dynamics import WithSGDNoise
from sam_sde.surfaces import beale, quadratic

OBLIQUE = [[2.0, 0.5], [0.5, 1.0]]
K = {"lr": 0.01, "batch_size": 4}
X = torch.tensor([[0.3, 1.2], [1.0, 0.5], [-0.7, 0.4]], dtype=torch.float64)


class OwnNoise(ss.Dynamics):
    """A matrix or a diagonal of one's own, that grows with time."""

    dim, lr = 2, 0.01

    def __init__(self, noise_type):
        self.noise_type = noise_type
        self.channels = 2 if noise_type == "diagonal" else 3

    def f(self, t, x):
        return -x

    def g(self, t, x):
        if self.noise_type == "diagonal":
            return (1 + torch.as_tensor(t, dtype=x.dtype)) * x
        matrix = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], dtype=x.dtype)
        return (1 + torch.as_tensor(t, dtype=x.dtype)[..., None]) * x[:, :, None] * matrix


def test_of_sgd_it_is_lr_sigma_over_batch():
    sgd = ss.SGD(beale(), ss.ConstantNoise(OBLIQUE), lr_schedule=ss.ConstantSchedule(3.0), **K)
    expected = 9 * 0.01 / 4 * torch.tensor(OBLIQUE, dtype=torch.float64)
    torch.testing.assert_close(sgd.covariance(0.0, X), expected.expand(3, 2, 2))


def test_of_usam_on_a_quadratic_it_has_the_factors_of_the_ascent():
    """L, (I + ρH) L, and both L and ρH L."""
    hessian, sigma = torch.diag(torch.tensor([1.5, -1.0], dtype=torch.float64)), torch.tensor(OBLIQUE).double()
    shift = 0.3 * hessian
    whole = torch.eye(2) + shift
    expected = {"full": sigma, "same": whole @ sigma @ whole, "independent": sigma + shift @ sigma @ shift}
    for ascent, matrix in expected.items():
        usam = ss.USAM(quadratic([1.5, -1.0]), ss.ConstantNoise(OBLIQUE), rho=0.3, ascent=ascent, **K)
        torch.testing.assert_close(usam.covariance(0.0, X), (0.01 / 4 * matrix).expand(3, 2, 2))


def test_of_a_heavy_ball_it_is_that_of_the_velocity():
    heavy = ss.SGD(beale(), ss.ConstantNoise(OBLIQUE), momentum=0.9, **K)
    found = heavy.covariance(0.0, torch.cat([X, X], dim=-1))
    assert not found[:, :2].any()
    assert not found[:, :, :2].any()
    torch.testing.assert_close(found[:, 2:, 2:], (torch.tensor(OBLIQUE).double() / (0.01 * 4)).expand(3, 2, 2))


@pytest.mark.parametrize("t", [0.5, "rows"])
@pytest.mark.parametrize("noise_type", ["diagonal", "general"])
def test_a_g_of_ones_own_is_multiplied_with_its_transpose(noise_type, t):
    dynamics = OwnNoise(noise_type)
    t = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64) if t == "rows" else t
    units = torch.eye(dynamics.channels, dtype=torch.float64)
    columns = torch.stack([dynamics.g_prod(t, X, unit.expand(3, -1)) for unit in units], dim=-1)
    torch.testing.assert_close(dynamics.covariance(t, X), columns @ columns.mT)
    rows = torch.stack([dynamics.g_transpose_prod(t, X, unit.expand(3, -1)) for unit in torch.eye(2).double()], 1)
    torch.testing.assert_close(rows, columns)


@pytest.mark.parametrize("ascent", ["same", "independent"])
def test_with_the_noise_of_sgd_it_is_that_of_sgd(ascent):
    noise = ss.HessianNoise(beale())
    wrong = WithSGDNoise(ss.SAM(beale(), noise, rho=0.1, ascent=ascent, **K))
    torch.testing.assert_close(wrong.covariance(0.0, X), ss.SGD(beale(), noise, **K).covariance(0.0, X))


def test_of_a_switch_it_is_that_of_the_optimizer_at_each_time():
    first, second = (ss.SGD(beale(), ss.IsotropicNoise(sigma), **K) for sigma in (1.0, 2.0))
    switch = ss.Switch(first, second, at=0.5)
    t = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    expected = 0.01 / 4 * torch.tensor([1.0, 4.0, 4.0], dtype=torch.float64)[:, None, None] * torch.eye(2)
    torch.testing.assert_close(switch.covariance(t, X), expected)
