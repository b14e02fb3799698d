"""What a function does beside giving a result is found, whatever the user hands over, and leaves no trace."""

import random

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.purity import called_twice
from sam_sde.surfaces import quadratic

SADDLE = quadratic([1.0, -1.0])
NOISE = ss.IsotropicNoise(0.1)
CONSTANT = torch.ones(())


def in_place(x):
    return x.div_(2.0)


def of_torch(x):
    return x * torch.rand(())


def of_numpy(x):
    return x * np.random.rand()  # noqa: NPY002


def of_python(x):
    return x * random.random()


def seeding(x):
    torch.manual_seed(1)
    return x * torch.rand(())


def drifting(x):
    return x * CONSTANT.mul_(2.0)


WRITES, DRAWS, CHANGES = (
    "writes into its argument in place",
    "draws or seeds random numbers|called random operation",
    "gives another result",
)
KINDS = {in_place: WRITES, of_torch: DRAWS, of_numpy: DRAWS, of_python: DRAWS, seeding: DRAWS, drifting: CHANGES}


class OwnNoise(ss.noise.Noise):
    def __init__(self, change):
        self.change = change

    def factor(self, w):
        return 0.1 * torch.diag_embed(self.change(w) + 1.0)


def escape(dynamics):
    return ss.escape_times(dynamics, start=[0.1, 0.2], region=ss.Ball([0, 0], 1.0), t_max=0.1, n_paths=4)


PLACES = {
    "perturbation": lambda change: ss.PerturbedSGD(SADDLE, NOISE, perturbation=change, lr=0.01),
    "lr_schedule": lambda change: ss.SGD(SADDLE, NOISE, lr=0.01, lr_schedule=change),
    "rho_schedule": lambda change: ss.SAM(SADDLE, NOISE, lr=0.01, rho=0.1, rho_schedule=change),
    "dynamics": lambda change: ss.SGD(SADDLE, OwnNoise(change), lr=0.01),
    "surface": lambda change: ss.SGD(ss.LossSurface(lambda w: change(w).square().sum(), 2), NOISE, lr=0.01),
}


def states():
    return torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", KINDS, ids=lambda change: change.__name__)
def test_every_function_of_the_users_is_looked_at_before_anything_runs(place, change):
    before = states()
    with pytest.raises(ss.ArgumentError, match=KINDS[change]) as caught:
        escape(PLACES[place](change))
    assert caught.value.name == place
    after = states()
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64])
def test_a_function_is_accepted_with_results_and_arguments_of_any_dtype(dtype):
    x = torch.tensor([0, 1]).to(dtype)
    result = called_twice("f", "it", lambda pair: (pair[0], {"x": pair[1]}), (x, x))
    assert torch.equal(result[1]["x"], x)


def test_what_is_no_number_is_equal_to_itself():
    x = torch.tensor([torch.nan, torch.inf, 1.0])
    assert called_twice("f", "it", lambda x: x * 2, x)[2] == 2
