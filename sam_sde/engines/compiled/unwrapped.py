"""Compiled loops called as they are: what torch does around a call takes longer than the steps of a thousand paths."""

from collections.abc import Callable, Sequence
from operator import is_
from unittest import mock

import torch
from torch._inductor.output_code import CompiledFxGraph


def unwrapped(loops: Callable, arguments: Sequence[torch.Tensor]) -> Callable:
    """The same function of tensors on a CPU like these, without torch's wrappers where they only hand these on.

    Whether they do is seen in a call with `arguments`, some of which that may change.
    """
    if any(each.device.type != "cpu" for each in arguments):
        return loops
    innermost, results = [], []
    torch_s = CompiledFxGraph.__call__

    def call(graph: CompiledFxGraph, inputs: list):
        mine = len(inputs) == len(arguments) and all(map(is_, inputs, arguments))
        found = torch_s(graph, inputs)
        if mine:
            innermost.append(graph.current_callable)
            results.append(found)
        return found

    with mock.patch.object(CompiledFxGraph, "__call__", call):
        result = loops(*arguments)
    if len(innermost) != 1 or len(results[0]) != 1 or results[0][0] is not result:
        return loops
    (function,) = innermost
    return lambda *inputs: function(list(inputs))[0]
