"""Four steps by torch.compile, for a torch whose internals are not those that the other modules were written for."""

from collections.abc import Callable, Sequence
from types import FunctionType

import torch

from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.quads import (
    FEWEST_PATHS,
    Functions,
    inputs_of_normals,
    inputs_of_quad,
    normals_for,
    quad_of,
)
from sam_sde.engines.integration import Integration


def functions_of(problem: Integration, take: Callable, start: torch.Tensor, layout: Layout, reason: str) -> Functions:
    """Compiled for blocks like `start` (paths, dim), with steps by `take`. Raises whatever torch cannot compile."""
    quad = _compiled(quad_of(take, layout), lambda n: inputs_of_quad(start, layout, n))
    normals = _compiled(
        normals_for(problem.stream.diffusion, start.dtype), lambda n: inputs_of_normals(start.device, n)
    )
    return Functions(quad, normals, f"by torch.compile: {reason}")


def _compiled(function: Callable, inputs: Callable[[int], Sequence[torch.Tensor]]) -> Callable:
    """Of any number of paths; tried with two."""
    # torch counts how often the same code was compiled, and gives up after a few problems: so each has its own.
    code = function.__code__.replace()
    own = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    compiled = torch.compile(own, dynamic=True, fullgraph=True)
    for n_paths in (FEWEST_PATHS, FEWEST_PATHS + 1):
        compiled(*inputs(n_paths))
    return compiled
