"""Functions of tensors as compiled loops over the paths, for any number of them.

torch.compile would look at every object that a function reads before each call, which for thousands of paths takes as
long as the work. Nothing of that kind changes here: the function is traced once, its graph is compiled, and a call does
nothing but run the loops. What was compiled is kept in torch's cache on disk.
"""

from collections.abc import Callable, Sequence

import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._guards import TracingContext, tracing
from torch._inductor import standalone_compile
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext, free_symbols

from sam_sde.engines.compiled.by_coordinates import ByCoordinates

LARGEST_LOOP = 1000  # operations; torch's own limit of 64 would split a few steps into several loops


def compiled(function: Callable, examples: Sequence[torch.Tensor], axes: Sequence[int | None]) -> Callable:
    """The function, compiled for arguments like the examples, with any number of paths from theirs on.

    examples: arguments of the sizes to come, but for the paths, and laid out in memory as those to come.
    axes: that of the paths, in each of them.

    Raises
        ValueError: torch has to know the number of paths.
        Exception: whatever torch cannot trace or compile.
    """
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    stand_ins = [_for_any_number(mode, *each) for each in zip(examples, axes, strict=True)]
    with mode, enable_python_dispatcher():  # without it the number of paths becomes a number
        graph = make_fx(lambda *arguments: function(*arguments))(*stand_ins)  # torch miscounts those of a method
    _require_any_number(stand_ins)
    options = {"config_patches": {"post_grad_custom_pre_pass": ByCoordinates(), "max_fusion_size": LARGEST_LOOP}}
    with tracing(TracingContext(mode)):
        loops = standalone_compile(graph, stand_ins, dynamic_shapes="from_tracing_context", options=options)
    _require_any_number(stand_ins)
    return loops


def _for_any_number(mode: FakeTensorMode, example: torch.Tensor, axis: int | None) -> torch.Tensor:
    sizes = [DimDynamic.STATIC] * example.ndim
    if axis is not None:
        sizes[axis] = DimDynamic.DUCK
    return mode.from_tensor(example, symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes))


def _require_any_number(stand_ins: Sequence[torch.Tensor]) -> None:
    if not free_symbols(stand_ins):
        raise ValueError("it holds for one number of paths only")
