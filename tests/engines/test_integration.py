"""Steps without a region: from any first step, in pieces as in one go, and as many as the random numbers count."""

import itertools

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration, integrate
from sam_sde.engines.integration import MAX_STEPS
from sam_sde.random import Stream
from sam_sde.surfaces import double_well, quadratic, styblinski_tang, toy_network

WHITE, NETWORK = ss.IsotropicNoise(1.0), toy_network(n=15)
K = {"lr": 0.01, "batch_size": 4}
CASES = {
    "SGD": ss.SGD(quadratic([1.0, -1.0]), WHITE, **K),
    "momentum, schedule": ss.SGD(double_well(), WHITE, momentum=0.9, lr_schedule=ss.CosineSchedule(0.5), **K),
    "many coordinates": ss.SAM(styblinski_tang(6), WHITE, rho=0.05, **K),
    "switch": ss.Switch(
        ss.SGD(quadratic([1.0, -1.0]), WHITE, **K), ss.USAM(quadratic([1.0, -1.0]), WHITE, rho=0.1, **K), at=0.205
    ),
    "data": ss.SAM(NETWORK, ss.EmpiricalNoise(NETWORK, "epochs"), rho=0.1, **K),
}
# Of those with a compiler: one way to take steps each, and a time that matters.
COMPILED = ("many coordinates", "switch")


def integration(dynamics) -> Integration:
    return Integration(dynamics=dynamics, stream=Stream(0, "arm"), dt=0.01)


def ends(engine, dynamics, *pieces):
    """The states of nine paths after pieces of so many steps, each from the end of the one before."""
    work, paths = integration(dynamics), torch.arange(9)
    w = torch.full((9, dynamics.dim), 0.2, dtype=torch.float64)
    state = dynamics.initial_state(w, w.new_zeros(9, dynamics.channels))
    advance = ENGINES[engine].prepare(work, state)
    first_step, found = 0, []
    for n_steps in pieces:
        state = integrate(advance, work, state, paths, first_step, n_steps)
        first_step += n_steps
        found.append(state)
    return found


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("engine", "name"),
    [
        *itertools.product(["torchsde", "discrete"], CASES),
        *(("compiled", name) for name in COMPILED),
    ],
)
def test_two_pieces_are_one_go(engine, name):
    (whole,) = ends(engine, CASES[name], 70)
    for pieces in ((33, 37), (1, 69), (8, 62)):
        *_, end = ends(engine, CASES[name], *pieces)
        if engine == "compiled":
            torch.testing.assert_close(end, whole, rtol=1e-10, atol=1e-12)
        else:
            assert torch.equal(end, whole)


@pytest.mark.usefixtures("uncompiled")
def test_the_compiled_engine_takes_the_reference_s_steps_from_any_first_step():
    found, expected = (ends(engine, CASES["switch"], 3, 30, 5) for engine in ("compiled", "torchsde"))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ["torchsde", "discrete"])
def test_what_was_found_stays_when_the_integration_goes_on(engine):
    first, _ = ends(engine, CASES["SGD"], 8, 8)
    assert torch.equal(first, ends(engine, CASES["SGD"], 8)[0])


def test_no_steps_leave_the_state():
    assert torch.equal(*ends("torchsde", CASES["SGD"], 5, 0))


def test_bad_integrations_are_refused():
    with pytest.raises(ValueError, match="dt: expected a number above 0, got 0"):
        Integration(dynamics=CASES["SGD"], stream=Stream(), dt=0.0)
    other = ss.SGD(quadratic([1.0]), WHITE, lr=0.01)
    other.noise_type = "diagnal"
    with pytest.raises(ValueError, match=r"noise_type: .* did you mean 'diagonal'"):
        Integration(dynamics=other, stream=Stream(), dt=0.01)


@pytest.mark.parametrize(
    ("first_step", "n_steps", "message"),
    [
        (0, MAX_STEPS + 1, "n_steps: expected at most 8589934592 steps with those before, got 8589934593"),
        (MAX_STEPS, 1, "n_steps: expected at most 8589934592 steps"),
        (-1, 1, "first_step: expected a whole number of at least 0"),
        (0, -1, "n_steps: expected a whole number of at least 0"),
    ],
)
def test_more_steps_than_the_counter_has_are_refused(first_step, n_steps, message):
    work, state = integration(CASES["SGD"]), torch.zeros(1, 2)
    with pytest.raises(ValueError, match=message):
        integrate(ENGINES["torchsde"].prepare(work, state), work, state, torch.arange(1), first_step, n_steps)


def test_the_last_steps_that_the_counter_has_are_taken():
    work, state = integration(CASES["SGD"]), torch.zeros(1, 2)
    advance = ENGINES["torchsde"].prepare(work, state)
    end = integrate(advance, work, state, torch.arange(1), MAX_STEPS - 5, 5)
    assert torch.isfinite(end).all()
    assert end.any()
