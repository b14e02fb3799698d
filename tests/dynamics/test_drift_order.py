"""The drift of second order, b - (η/2)(∇b) b, against central differences of b, and what refuses it."""

import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import beale
from sam_sde.surfaces.synthetic import toy_network

LR, EPSILON = 0.01, 1e-6
NETWORK, WHITE = toy_network(n=7), ss.IsotropicNoise(1.0)
W = torch.tensor([[0.3, 1.2], [1.0, 0.5], [-0.7, 0.4]], dtype=torch.float64)
VARIANTS = [(ascent, "stop_gradient") for ascent in ("full", "same", "independent")]
VARIANTS += [("full", "total"), ("full", "expansion")]


def optimizers(surface, noise, **options):
    options |= {"lr": LR, "batch_size": 4}
    yield ss.SGD(surface, noise, weight_decay=0.3, **options)
    for ascent, drift in VARIANTS:
        for kind in (ss.SAM, ss.USAM, ss.DNSAM):
            yield kind(surface, noise, rho=0.05, ascent=ascent, drift=drift, **options)
    yield ss.PerturbedSGD(surface, noise, perturbation=lambda g: 0.1 * torch.tanh(g), **options)


@pytest.mark.parametrize(
    ("surface", "noise"),
    [(beale(), WHITE), (beale(), ss.HessianNoise(beale())), (NETWORK, ss.EmpiricalNoise(NETWORK))],
    ids=["Beale", "Hessian noise", "data"],
)
def test_every_optimizer_has_it(surface, noise):
    pairs = zip(optimizers(surface, noise), optimizers(surface, noise, drift_order=2), strict=True)
    for first, second in pairs:
        b = first.f(0.0, W)
        step = EPSILON * b / b.norm(dim=-1, keepdim=True)
        along = (first.f(0.0, W + step) - first.f(0.0, W - step)) * b.norm(dim=-1, keepdim=True) / (2 * EPSILON)
        expected = b - 0.5 * LR * along
        torch.testing.assert_close(second.f(0.0, W), expected, rtol=1e-6, atol=1e-7)
        if hasattr(second, "f_and_g_prod"):
            z = torch.ones(len(W), second.channels, dtype=torch.float64)
            drift, noise_z = second.f_and_g_prod(0.0, W, z)
            torch.testing.assert_close(drift, second.f(0.0, W), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(noise_z, first.g_prod(0.0, W, z), rtol=1e-12, atol=1e-12)


def test_for_sgd_it_is_the_gradient_of_the_loss_of_li_tai_and_e():
    surface = beale()
    modified = ss.LossSurface(
        lambda w: surface.loss(w) + LR / 4 * torch.func.grad(surface.loss)(w).square().sum(), dim=2
    )
    sgd = ss.SGD(surface, WHITE, lr=LR, drift_order=2)
    torch.testing.assert_close(sgd.f(0.0, W), -torch.func.vmap(torch.func.grad(modified.loss))(W))


def test_what_it_is_not_known_for_is_refused():
    decay = ss.CosineSchedule(t_end=1.0)
    for options, what in (({"momentum": 0.9}, "momentum"), ({"lr_schedule": decay}, "lr_schedule")):
        with pytest.raises(ValueError, match=f"drift_order: 2 is known for plain steps only, not with {what}"):
            ss.SGD(beale(), WHITE, lr=LR, drift_order=2, **options)
    with pytest.raises(ValueError, match="drift_order: 2 is known for plain steps only, not with rho_schedule"):
        ss.SAM(beale(), WHITE, lr=LR, rho=0.1, drift_order=2, rho_schedule=decay)
    for wrong in (0, 3, 1.5):
        with pytest.raises(ValueError, match="drift_order: expected a whole number from 1 to 2"):
            ss.SGD(beale(), WHITE, lr=LR, drift_order=wrong)
    sgd = ss.SGD(beale(), WHITE, lr=LR, drift_order=2)
    with pytest.raises(ValueError, match="drift_order: 2 is a model of the algorithm"):
        sgd.check_algorithm()
