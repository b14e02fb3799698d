"""Functions of tensors as compiled loops over the paths, for any number of them.

torch.compile would look at every object that a function reads before each call, which for thousands of paths takes as
long as the work. Nothing of that kind changes here: the function is traced once, its graph is compiled, and a call does
nothing but run the loops. What was compiled is kept in torch's cache on disk.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._functorch.compile_utils import fx_graph_cse
from torch._guards import TracingContext, tracing
from torch._inductor import standalone_compile
from torch._inductor.decomposition import select_decomp_table
from torch._subclasses import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext, free_symbols

from sam_sde.engines.compiled.by_coordinates import CannotSplitError, split
from sam_sde.engines.compiled.errors import first_line
from sam_sde.engines.compiled.products import turned, widened
from sam_sde.engines.compiled.unlocked import unlocked
from sam_sde.engines.compiled.unwrapped import unwrapped

# The number of operations in a loop: torch's own limit of 64 would split a few steps into several loops. And of threads
# in it: they would wait for each other after each of them, while blocks of paths can go side by side.
OPTIONS = {"config_patches": {"max_fusion_size": 1000, "cpp.threads": 1}}


class Loops(NamedTuple):
    """A compiled function, and why it is not by coordinates where it was meant to be."""

    function: Callable
    reason: str | None


def compiled(
    function: Callable, examples: Sequence[torch.Tensor], axes: Sequence[int | None], by_coordinates: bool = True
) -> Loops:
    """The function, compiled for arguments like the examples, with any number of paths from theirs on.

    examples: arguments of the sizes to come, but for the paths, and laid out in memory as those to come.
    axes: that of the paths, in each of them.
    by_coordinates: whether to try that.

    Raises
        ValueError: torch has to know the number of paths.
        Exception: whatever torch cannot trace or compile.
    """
    inputs = stand_ins(examples, axes)
    module = traced(function, inputs)
    reason = _split(module) if by_coordinates else _turned(module)
    with tracing(TracingContext(inputs[0].fake_mode)), unlocked():
        loops = standalone_compile(module, inputs, dynamic_shapes="from_tracing_context", options=OPTIONS)
    _require_any_number(inputs)
    return Loops(unwrapped(loops, examples), reason)


def stand_ins(examples: Sequence[torch.Tensor], axes: Sequence[int | None]) -> list[torch.Tensor]:
    """For arguments of any number of paths."""
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    return [_for_any_number(mode, *each) for each in zip(examples, axes, strict=True)]


def traced(function: Callable, inputs: Sequence[torch.Tensor]) -> GraphModule:
    """Its operations as torch's compiler will have them, each once."""

    def without_effects(*arguments):  # torch miscounts the arguments of a method
        return torch.func.functionalize(function)(*arguments)

    with inputs[0].fake_mode, enable_python_dispatcher():  # without it the number of paths becomes a number
        module = make_fx(without_effects, decomposition_table=select_decomp_table())(*inputs)
    _require_any_number(inputs)
    module.graph.eliminate_dead_code()
    return GraphModule(module, fx_graph_cse(module.graph))


def _split(module: GraphModule) -> str | None:
    """By coordinates where that can be, else the reason why not."""
    try:
        split(module.graph)
    except CannotSplitError as error:
        return str(error)
    except Exception as error:  # whatever goes wrong there, the graph as it was is still right
        return f"{type(error).__name__}: {first_line(error)}"
    module.recompile()
    return None


def _turned(module: GraphModule) -> None:
    turned(module.graph)
    widened(module.graph)
    module.recompile()


def _for_any_number(mode: FakeTensorMode, example: torch.Tensor, axis: int | None) -> torch.Tensor:
    sizes = [DimDynamic.STATIC] * example.ndim
    if axis is not None:
        sizes[axis] = DimDynamic.DUCK
    return mode.from_tensor(example, symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes))


def _require_any_number(inputs: Sequence[torch.Tensor]) -> None:
    if not free_symbols(inputs):
        raise ValueError("it holds for one number of paths only")
