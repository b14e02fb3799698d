"""A recorded function gives what the function gives, to the bit, and says why where it cannot be recorded."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines.compiled.errors import CannotRecordError
from sam_sde.engines.compiled.recording import recorded
from sam_sde.engines.compiled.script import Script
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
    "filled with what is not a number": lambda t, w: w.masked_fill(w > 0, torch.nan) * t,
    "uniform": lambda t, w: (
        (torch.zeros_like(w).T.reshape(-1, 1) + 2.0).view(3, -1).T * w + torch.ones_like(w).cumsum(0)
    ),
    "chosen": lambda t, w: w[:, torch.tensor([True, False, True])] * w[:, torch.tensor([2, 0])],
    "ones": lambda t, w: (w * 1.0 + t, (w > 0).long() * 1.0, w.pow(1.0) - w.detach().sin()),
    "mapped gradient": lambda t, w: torch.func.vmap(torch.func.grad(lambda x: (x**3).sum() * x[0]))(w),
}

CALLS = {"n": 0}


def counts_its_calls(t, w):
    CALLS["n"] += 1
    return w * CALLS["n"]


OTHERS = {
    "reads a number": (lambda t, w: w * t.item(), "reads a number from a tensor"),
    "branches": (lambda t, w: w if t > 0.6 else -w, "reads a number from a tensor"),
    "leaves torch": (lambda t, w: torch.from_numpy(np.sin(w.numpy())), "another one each time"),
    "changes": (counts_its_calls, "another one each time|not the same|something else|number of paths"),
    "splits the paths": (lambda t, w: torch.cat([2 * part for part in w.split(50)]), "not the same for any number"),
    "counts the paths": (lambda t, w: w * (len(w) / 50), r"number of paths: 0\.1 for 5 of them, 0\.14 for 7"),
}


@pytest.mark.parametrize("name", REPEATABLE)
def test_what_repeats_is_repeated_for_any_values_and_number_of_paths(name):
    function = REPEATABLE[name]
    played = recorded(function, examples, LARGE)
    for n_paths in (1, 2, 5, 33, LARGE):
        torch.testing.assert_close(
            played(*examples(n_paths)), function(*examples(n_paths)), rtol=0, atol=0, equal_nan=True
        )


def operations_of(function) -> list:
    graph = recorded(function, examples, LARGE).operations.__self__.graph
    return [node.target for node in graph.nodes if node.op == "call_function"]


def test_an_operation_is_repeated_once():
    operations = operations_of(lambda t, w: (w + torch.eye(3)[0]).sin() + (w + torch.eye(3)[0]).sin() * t)
    aten = torch.ops.aten
    assert operations == [aten.add.Tensor, aten.sin.default, aten.mul.Tensor, aten.add.Tensor]


def test_the_value_of_a_loss_is_left_out_where_its_gradient_is_wanted():
    def gradient(t, w):
        with torch.enable_grad():
            leaf = w.detach().requires_grad_()
            return torch.autograd.grad((leaf.sin() * t).sum(), leaf)[0]

    operations = operations_of(gradient)
    assert torch.ops.aten.cos.default in operations
    assert torch.ops.aten.sum.default not in operations


def of_numbers(a: float, b: float, c: float, vector: torch.Tensor):
    """A function of every place where a number may stand; t is a scalar in double precision."""

    def function(t, w):
        rate = (t.double() * a < b) + c ** t.double() - a / (b + t.double())
        tilted = (c - w) * vector + w.new_full((len(w), 3), b) - torch.full_like(w, c) / a
        return rate * tilted + torch.full((len(w), 1), a) + (w > c) * torch.tensor(b), w.sum(-1) * (a * t.double())

    return function


NUMBERS = (0.3, 0.7, 0.2, torch.tensor([1.0, 2.0, 3.0])), (0.1, 0.1, 0.1, torch.tensor([0.3, -1.0, 0.1]))


def test_functions_that_differ_in_numbers_have_one_structure():
    one, other = (recorded(of_numbers(*numbers), examples, LARGE) for numbers in NUMBERS)
    assert one.structure == other.structure
    inputs = examples(33)
    expected = of_numbers(*NUMBERS[1])(*inputs)
    torch.testing.assert_close(one.operations(*inputs, *other.arguments), expected, rtol=0, atol=0)
    for place in range(len(other.arguments[0])):  # each number has a place, and matters there
        changed = [each.clone() for each in other.arguments]
        changed[0][place] += 0.5
        results = one.operations(*inputs, *changed)
        assert not all(torch.equal(*pair) for pair in zip(results, expected, strict=True)), place


@pytest.mark.parametrize(
    "other",
    [lambda t, w: w**3 * 0.5, lambda t, w: w**2.0 + 0.5, lambda t, w: (w**2 * 0.5).double(), lambda t, w: w.T**2 * 0.5],
)
def test_functions_that_differ_in_more_than_numbers_have_others(other):
    structure = recorded(lambda t, w: w**2 * 0.5, examples, LARGE).structure
    assert recorded(other, examples, LARGE).structure != structure


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_repeat_says_so(name):
    function, reason = OTHERS[name]
    with pytest.raises(CannotRecordError, match=reason):
        recorded(function, examples, LARGE)


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
            for n_paths in (20, 3, 1):
                arguments = examples(n_paths)[:count]
                torch.testing.assert_close(played(*arguments), method(*arguments), rtol=0, atol=0)


def test_a_structure_that_is_known_needs_no_graph(monkeypatch):
    def graph(script):
        raise AssertionError("a graph is made")

    def of_number(a: float):
        return lambda t, w: (w * a).sin() + t

    known = recorded(of_number(0.3), examples, LARGE)
    monkeypatch.setattr(Script, "graph", graph)
    for a in (0.3, 0.7):
        assert recorded(of_number(a), examples, LARGE).operations is known.operations
    with pytest.raises(AssertionError, match="a graph is made"):
        recorded(lambda t, w: (w * 0.3).sin() + t + t.tan(), examples, LARGE)
