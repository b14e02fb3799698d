"""Torch's wrappers are left out where they hand on arguments and results as they are, and nowhere else."""

import pytest
import torch

from sam_sde.engines.compiled import unwrapped as module
from sam_sde.engines.compiled.unwrapped import unwrapped

ARGUMENTS = (torch.arange(3.0), torch.ones(3))


class Graph:
    """As torch's: the innermost function takes the arguments as a list, and empties it."""

    def current_callable(self, inputs: list):
        one, other = inputs
        inputs.clear()
        return (one + other,)

    def __call__(self, inputs: list):
        return self.current_callable(inputs)


@pytest.fixture
def graph(monkeypatch):
    monkeypatch.setattr(module, "CompiledFxGraph", Graph)
    return Graph()


def test_the_innermost_function_is_called_alone(graph):
    calls = []

    def wrapper(*arguments):
        calls.append(arguments)
        return graph(list(arguments))[0]

    function = unwrapped(wrapper, ARGUMENTS)
    assert torch.equal(function(torch.ones(3), torch.ones(3)), torch.full((3,), 2.0))
    assert len(calls) == 1  # by which it was found


@pytest.mark.parametrize(
    "wrapper",
    [
        lambda graph, one, other: graph([one.clone(), other])[0],
        lambda graph, one, other: graph([other, one])[0],
        lambda graph, one, other: graph([one, other])[0] + 1,
        lambda graph, one, other: graph([graph([one, other])[0], other])[0],
        lambda graph, one, other: one + other,
    ],
    ids=["another argument", "another order", "another result", "two graphs", "none"],
)
def test_a_wrapper_that_does_more_stays(graph, wrapper):
    def loops(*arguments):
        return wrapper(graph, *arguments)

    assert unwrapped(loops, ARGUMENTS) is loops


def test_what_is_on_no_cpu_stays_as_it_is(graph):
    assert unwrapped(abs, [torch.empty(3, device="meta")]) is abs
