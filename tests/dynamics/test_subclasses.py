"""What a subclass writes anew counts, however drift and noise are asked for: one by one, or both at once."""

import pytest
import torch

import sam_sde as ss
from sam_sde.dynamics import covers, times
from sam_sde.engines.methods import INCREMENTS
from sam_sde.surfaces import toy_network

SURFACE = toy_network(n=6, seed=3)
W = torch.tensor([[0.4, 0.3], [-0.2, 0.5]], dtype=torch.float64)
Z = torch.linspace(-1.0, 1.0, 12, dtype=torch.float64).view(2, 6)
NAMES = ("f", "g_prod", "descent", "descent_noise")


def subclass(kind, name):
    """An optimizer whose method `name` gives three times as much."""

    def tripled(self, *arguments):
        return 3.0 * getattr(super(made, self), name)(*arguments)

    made = type("Mine", (kind,), {name: tripled})
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [None, {"rho": 0.1}, {"rho": 0.1, "ascent": "same"}], ids=["SGD", "SAM", "same"])
def test_one_that_is_written_anew_counts_in_a_step(name, options):
    kind, noise = (ss.SGD, {}) if options is None else (ss.SAM, options), ss.EmpiricalNoise(SURFACE)
    dynamics = subclass(kind[0], name)(SURFACE, noise, lr=0.1, batch_size=2, **kind[1])
    plain = kind[0](SURFACE, noise, lr=0.1, batch_size=2, **kind[1])
    drift, noise = INCREMENTS["euler"](dynamics, 0.0, W, Z, 0.01)
    t = times(0.0, W)
    of_drift, of_noise = (3.0 if name in both else 1.0 for both in (("f", "descent"), ("g_prod", "descent_noise")))
    torch.testing.assert_close(drift, of_drift * 0.01 * plain.f(t, W), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(noise, of_noise * 0.1 * plain.g_prod(t, W, Z), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["gradient", "weighted_gradient"])
def test_a_surface_with_a_gradient_of_its_own_is_asked_for_it(name):
    surface = type("Mine", (ss.FiniteSum,), {name: lambda self, w, *weights: torch.full_like(w, 7.0)})(
        SURFACE.sample_loss, SURFACE.samples.data, 2
    )
    drift, _ = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.1).f_and_g_prod(times(0.0, W), W, Z)
    assert (drift == -7.0).all()


def test_noise_of_other_data_leaves_the_gradient_that_of_the_surface():
    noise = ss.EmpiricalNoise(toy_network(n=6, seed=4))
    sgd = ss.SGD(SURFACE, noise, lr=0.1)
    drift, diffused = sgd.f_and_g_prod(times(0.0, W), W, Z)
    torch.testing.assert_close(drift, -SURFACE.gradient(W), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(diffused, sgd.noise_scale * noise.product(W, Z), rtol=1e-12, atol=1e-14)


def test_a_method_covers_those_that_are_written_above_it_alone():
    sgd = ss.SGD(SURFACE, ss.EmpiricalNoise(SURFACE), lr=0.1)
    assert covers(sgd, "descent_and_noise", "descent", "descent_noise")
    assert covers(sgd, "f_and_g_prod", "f", "g_prod")
    below = subclass(ss.SGD, "descent")(SURFACE, ss.EmpiricalNoise(SURFACE), lr=0.1)
    assert not covers(below, "descent_and_noise", "descent", "descent_noise")
    assert covers(below, "f_and_g_prod", "f", "g_prod")
