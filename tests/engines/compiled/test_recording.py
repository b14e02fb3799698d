"""A recorded function gives what the function gives, to the bit, and one that cannot be recorded stays itself."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines.compiled.recording import recorded
from sam_sde.layout import in_columns
from sam_sde.surfaces import beale, styblinski_tang

LARGE = 200


def examples(n_paths: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(0.1 * n_paths), torch.linspace(-1, 1, 3 * n_paths).reshape(n_paths, 3)


def in_place(t, w):
    total = torch.zeros_like(w)
    total[:, 0] = w[:, 1]
    return total.add_(w)


def on_what_was_a_constant(t, w):
    buffer = torch.zeros(3)
    before = buffer + w
    buffer[0] = w.sum()
    return before + buffer


CONSTANT = torch.tensor([1.0, 2.0, 3.0])

REPEATABLE = {
    "time": lambda t, w: t * w,
    "constant": lambda t, w: w @ CONSTANT.diag() + torch.tensor(2.0),
    "several results": lambda t, w: (w.sin(), w[:, :1] * 2),
    "operations with several results": lambda t, w: torch.linalg.eigh(w[:, :, None] * w[:, None, :])[0],
    "number of paths": lambda t, w: w.reshape(len(w) * 3).reshape(len(w), 3) + torch.ones(len(w), 3),
    "in place": in_place,
    "in place on a product with one": lambda t, w: (w * 1.0).add_(w),
    "in place on a number": lambda t, w: w + torch.zeros_like(w.sum()).add_(t),
    "in place on a constant": lambda t, w: w + torch.zeros(3).fill_(2.0) + torch.zeros(3).add_(1.0),
    "in place on what was a constant": on_what_was_a_constant,
    "constants alike": lambda t, w: (w + torch.ones(3)) * torch.ones(3, 1).sum(-1) + torch.ones(3, dtype=torch.int64),
    "not a number": lambda t, w: torch.where(w > 0, w, torch.nan) + t,
    "ones": lambda t, w: (w * 1.0 + t, (w > 0).long() * 1.0, w.pow(1.0) - w.detach().sin()),
    "mapped gradient": lambda t, w: torch.func.vmap(torch.func.grad(lambda x: (x**3).sum() * x[0]))(w),
}

CALLS = {"n": 0}


def counts_its_calls(t, w):
    CALLS["n"] += 1
    return w * CALLS["n"]


OTHERS = {
    "reads a number": lambda t, w: w * t.item(),
    "branches": lambda t, w: w if t > 0.6 else -w,
    "leaves torch": lambda t, w: torch.from_numpy(np.sin(w.numpy())),
    "changes": counts_its_calls,
    "splits the paths": lambda t, w: torch.cat([2 * part for part in w.split(50)]),
}


@pytest.mark.parametrize("name", REPEATABLE)
def test_what_repeats_is_repeated_for_any_values_and_number_of_paths(name):
    function = REPEATABLE[name]
    played = recorded(function, examples, LARGE)
    assert played is not function
    for n_paths in (1, 2, 5, 33, LARGE):
        torch.testing.assert_close(
            played(*examples(n_paths)), function(*examples(n_paths)), rtol=0, atol=0, equal_nan=True
        )


def test_an_operation_is_repeated_once():
    played = recorded(lambda t, w: (w + torch.eye(3)[0]).sin() + (w + torch.eye(3)[0]).sin() * t, examples, LARGE)
    operations = [node.target for node in played.__self__.graph.nodes if node.op == "call_function"]
    aten = torch.ops.aten
    assert operations == [aten.add.Tensor, aten.sin.default, aten.mul.Tensor, aten.add.Tensor]


def test_the_value_of_a_loss_is_left_out_where_its_gradient_is_wanted():
    def gradient(t, w):
        with torch.enable_grad():
            leaf = w.detach().requires_grad_()
            return torch.autograd.grad((leaf.sin() * t).sum(), leaf)[0]

    operations = [node.target for node in recorded(gradient, examples, LARGE).__self__.graph.nodes]
    assert torch.ops.aten.cos.default in operations
    assert torch.ops.aten.sum.default not in operations


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_repeat_stays_as_it_is(name):
    assert recorded(OTHERS[name], examples, LARGE) is OTHERS[name]


HEAVY_BALL = {
    "rho": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.1,
    "lr_schedule": ss.CosineSchedule(0.02),
    "rho_schedule": ss.StepSchedule(0.01),
}


@pytest.mark.parametrize("surface", [beale(), styblinski_tang(6)], ids=["beale", "styblinski_tang"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ss.SGD, {}),
        (ss.SAM, {"rho": 0.05}),
        (ss.SAM, {"rho": 0.05, "ascent": "same"}),
        (ss.USAM, {"rho": 0.05, "ascent": "independent"}),
        (ss.USAM, {"rho": 0.05, "drift": "total"}),
        (ss.SAM, HEAVY_BALL),
    ],
)
def test_recorded_methods_are_the_dynamics_methods(surface, kind, options):
    noise = ss.HessianNoise(surface) if options.get("ascent") == "same" else ss.IsotropicNoise(1.0)
    dynamics = kind(surface, noise, lr=1e-3, batch_size=8, **options)
    start = torch.full((20, dynamics.state_dim), 0.3)

    def examples(n_paths: int) -> tuple[torch.Tensor, ...]:
        spread = 0.01 * torch.linspace(-1, 1, n_paths)[:, None]
        z = torch.linspace(-1, 1, n_paths * dynamics.channels).reshape(n_paths, -1)
        return torch.tensor(n_paths * 1e-3, dtype=torch.float64), in_columns(start[:1] + spread), in_columns(z)

    for name, count in (("f", 2), ("g_prod", 3), ("f_and_g_prod", 3)):
        method = getattr(dynamics, name, None)
        if method is None:
            continue
        with torch.no_grad():
            played = recorded(method, lambda n, count=count: examples(n)[:count], len(start))
            assert played != method
            for n_paths in (20, 3, 1):
                arguments = examples(n_paths)[:count]
                torch.testing.assert_close(played(*arguments), method(*arguments), rtol=0, atol=0)
