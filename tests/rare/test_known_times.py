"""Mean times that are known exactly, up to 10¹³: the error of the step is within what is allowed for it."""

import math

import pytest
import torch
from scipy import integrate

import sam_sde as ss
from sam_sde.surfaces import double_well, quadratic
from tests.rare.problems import Below, ornstein_uhlenbeck, saddle_sam

# θ E τ from 0 to z standard deviations of an Ornstein-Uhlenbeck process, √(2π) ∫₀ᶻ exp(u²/2) Φ(u) du.
LADDER = {2: 10.42841, 3: 86.93162, 4: 2018.392, 5: 140741.0, 6: 2.826750e7, 7: 1.597997e10, 8: 2.514765e13}

ALLOWED = 0.03  # for a step of 0.05/θ


def assert_known(time, expected: float, allowed: float = ALLOWED) -> None:
    assert time.relative_error < 0.3
    assert abs(math.log(time.value / expected)) < 4.5 * time.relative_error + allowed


@pytest.mark.parametrize("z", [3, 6, *(pytest.param(z, marks=pytest.mark.slow) for z in (8,))])
def test_the_ladder_of_an_ornstein_uhlenbeck_process(z):
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(lr=0.05), start=[0.0], region=Below(z), walkers=500, repeats=6, engine="compiled"
    )
    assert_known(result.mean_time, LADDER[z])
    if z == 8:
        assert result.gain > 1e8


@pytest.mark.slow
def test_one_of_them_by_the_reference_engine():
    result = ss.rare_escape_times(
        ornstein_uhlenbeck(lr=0.05), start=[0.0], region=Below(2.0), walkers=200, repeats=4, engine="torchsde"
    )
    assert_known(result.mean_time, LADDER[2])


@pytest.mark.slow
def test_the_same_in_a_hundred_coordinates():
    """Ninety-nine of which have nothing to do with it."""
    noise = ss.IsotropicNoise(math.sqrt(2 * 4 / 0.1))
    dynamics = ss.SGD(quadratic([1.0] * 100), noise, lr=0.1, batch_size=4)
    result = ss.rare_escape_times(
        dynamics, start=[0.0] * 100, region=Below(3.0), walkers=120, repeats=4, engine="torchsde"
    )
    assert_known(result.mean_time, LADDER[3], allowed=0.05)


@pytest.mark.slow
def test_out_of_a_double_well_in_ten_thousand_million():
    """dw = -V' dt + √(2D) dW with V = (w² - 1)²/4, from -1 to 1: E τ = ∫₋₁¹ ∫₋∞ʸ exp((V(y) - V(x))/D) dx dy / D."""
    diffusion = 0.0113
    barrier = lambda w: (w * w - 1) ** 2 / 4  # noqa: E731
    inner = lambda y: integrate.quad(  # noqa: E731
        lambda x: math.exp((barrier(y) - barrier(x)) / diffusion), -2.5, y, points=[-1.0], limit=200
    )[0]
    expected = integrate.quad(inner, -1.0, 1.0, points=[0.0], limit=200)[0] / diffusion
    assert 1e9 < expected < 1e11
    surface = double_well(1, barrier=0.25)
    dynamics = ss.SGD(surface, ss.IsotropicNoise(math.sqrt(2 * diffusion * 4 / 0.1)), lr=0.1, batch_size=4)
    result = ss.rare_escape_times(
        dynamics, start=[-1.0], region=Below(1.0), score=lambda w: w[0], walkers=200, repeats=4, engine="torchsde"
    )
    assert_known(result.mean_time, expected, allowed=0.05)


def three_holes(w):
    x, y = w[0], w[1]
    deep = 5 * torch.exp(-((x - 1) ** 2) - y**2) + 5 * torch.exp(-((x + 1) ** 2) - y**2)
    top = 3 * torch.exp(-(x**2) - (y - 5 / 3) ** 2) - 3 * torch.exp(-(x**2) - (y - 1 / 3) ** 2)
    return x**4 / 5 + (y - 1 / 3) ** 4 / 5 - deep - top


def slope_of_three_holes(w):
    x, y = w.unbind(1)
    wells = [(-5.0, 1.0, 0.0), (-5.0, -1.0, 0.0), (-3.0, 0.0, 5 / 3), (3.0, 0.0, 1 / 3)]
    terms = [(2 * a * torch.exp(-((x - b) ** 2) - (y - c) ** 2), b, c) for a, b, c in wells]
    along_x = 4 * x**3 / 5 - sum(term * (x - b) for term, b, _ in terms)
    along_y = 4 * (y - 1 / 3) ** 3 / 5 - sum(term * (y - c) for term, _, c in terms)
    return torch.stack([along_x, along_y], dim=1)


class AroundTheRight(ss.Region):
    """Farther than 0.3 from the right hole."""

    slope, dim = 1.0, 2

    def levels(self, w):
        return 0.3 - (w - torch.tensor([1.048, -0.042]).to(w)).norm(dim=-1, keepdim=True)


@pytest.mark.slow
def test_a_score_that_leads_past_the_way_out_is_not_trusted():
    """x, where most paths leave the left hole by way of the top one."""
    surface = ss.LossSurface(three_holes, dim=2, gradient=slope_of_three_holes)
    dynamics = ss.SGD(surface, ss.IsotropicNoise(math.sqrt(2 / 6.67 / 0.05)), lr=0.05, batch_size=1)
    with pytest.warns(UserWarning, match="not to be trusted"):
        ss.rare_escape_times(
            dynamics,
            start=[-1.048, -0.042],
            region=AroundTheRight(),
            score=lambda w: w[0],
            walkers=100,
            repeats=4,
            engine="torchsde",
        )


@pytest.mark.slow
def test_the_trap_of_sam_in_two_dimensions_against_its_equation():
    """At the exponent 20; a step of lr makes an error of a few percent there."""
    dynamics, region = saddle_sam(0.08), ss.Ball([0, 0], 0.5)
    exact = ss.exact_escape_times(dynamics, start=[0, 0], region=region)
    rare = ss.rare_escape_times(dynamics, start=[0, 0], region=region, walkers=500, repeats=6, engine="compiled")
    assert_known(rare.mean_time, exact.mean_time, allowed=0.04)
