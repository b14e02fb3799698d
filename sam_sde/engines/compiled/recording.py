"""Functions of tensors as the list of torch operations that they run, each once, without what leads to these.

vmap, autograd and Python stand between a loss and its operations, which are the same in every step. What these read
besides the inputs, the model's tensors and the numbers of its formulas, become arguments: functions that differ in
nothing else have the same structure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sam_sde.engines.compiled.convolutions import OPAQUE
from sam_sde.engines.compiled.errors import CannotRecordError
from sam_sde.engines.compiled.script import values_in
from sam_sde.engines.compiled.transcript import SAME, Call, Transcript, results_of, same

FEW, MORE = 5, 7  # numbers of paths to record with

OTHERS = "what it does is not the same for any number of paths and any values"


@dataclass(frozen=True)
class Recording:
    """operations: of inputs and then the arguments; structure: they are the same where this text is."""

    operations: Callable
    arguments: tuple[torch.Tensor, ...]
    structure: str

    def __call__(self, *inputs: torch.Tensor):
        return self.operations(*inputs, *self.arguments)


class _Recorder(TorchDispatchMode):
    """Notes each operation, with its arguments and its result if these are to be kept, below vmap and autograd."""

    def __init__(self, keep: bool):
        super().__init__()
        self.calls: list[Call] = []
        self._keep = keep

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        if not all(each is None or isinstance(each, torch.Tensor) for each in results_of(result)):
            raise CannotRecordError(f"{operation} reads a number from a tensor")
        operation = OPAQUE.get(operation, operation)
        kept = (tuple(arguments), options or {}, result) if self._keep else ((), {}, ())
        self.calls.append(Call(operation, *kept))
        return result


class _Run(NamedTuple):
    inputs: tuple[torch.Tensor, ...]
    calls: list[Call]
    result: torch.Tensor | tuple[torch.Tensor, ...]

    @property
    def operations(self) -> list[Callable]:
        """Without those that give their argument: how many there are depends on what is kept."""
        return [call.operation for call in self.calls if call.operation not in SAME]


def recorded(
    function: Callable, examples: Callable[[int], tuple[torch.Tensor, ...]], n_paths: int, tolerance: float = 0.0
) -> Recording:
    """The operations of `function`, for any number of paths.

    It is recorded with two numbers of paths: whatever number differs between the recordings as these do is a number of
    paths. For n_paths, another number, of which there will be most, it must run the same operations, and these must
    give what it gives.

    examples: arguments for a number of paths, all tensors, with different values for different numbers; in memory they
        must lie as those to come. Anything else that the function reads must not change.
    tolerance: by how much, relative and absolute, the results may differ from the function's; 0 is to the bit.

    Raises
        CannotRecordError: it does not run the same operations each time.
    """
    few, more = _record(function, examples(FEW)), _record(function, examples(MORE))
    if few.operations != more.operations:  # constants of the model made their copies
        few = _record(function, examples(FEW))
    most = _record(function, examples(n_paths), keep=False)
    if not few.operations == more.operations == most.operations or len(few.calls) != len(more.calls):
        raise CannotRecordError(OTHERS)
    recording = _in_common(few, more)
    pairs = zip(results_of(recording(*most.inputs)), results_of(most.result), strict=True)
    if not all(same(*pair, tolerance) for pair in pairs):
        raise CannotRecordError("it gives something else each time")
    return recording


def _record(function: Callable, inputs: tuple[torch.Tensor, ...], keep: bool = True) -> _Run:
    with _Recorder(keep) as recorder:
        result = function(*inputs)
    return _Run(inputs, recorder.calls, result)


# By their structure: what was recorded before needs no graph.
_operations_of: dict[str, Callable] = {}


def _in_common(few: _Run, more: _Run) -> Recording:
    calls = list(_that_vary(few, more))
    in_place = any(call.operation._schema.is_mutable for call, _ in calls)
    transcript = Transcript(few.inputs, more.inputs, in_place)
    for pair in calls:
        transcript.add(*pair)
    script, arguments, structure = transcript.end(few.result, more.result)
    if structure not in _operations_of:
        _operations_of[structure] = script.graph().forward
    return Recording(_operations_of[structure], arguments, structure)


def _that_vary(few: _Run, more: _Run) -> Iterator[tuple[Call, Call]]:
    """Pairs of calls without those that follow from no input; the results of these are constants, wherever used."""
    varying = {id(each) for each in few.inputs}
    for call, other in zip(few.calls, more.calls, strict=True):
        results = results_of(call.result)
        constant = all(same(*pair) for pair in zip(results, results_of(other.result), strict=True))
        if not constant or not varying.isdisjoint(map(id, values_in((call.arguments, call.options), torch.Tensor))):
            varying.update(map(id, results))
            yield call, other
