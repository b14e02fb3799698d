"""An engine as the rest of the package sees it: what it takes, and what suits it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from sam_sde.engines.integration import Advance, Integration

SMALLEST_BLOCK = 64

# In the states of a block in all steps of a chunk, from which a look for exits takes no longer than the steps.
CHUNK_NUMBERS = 2**19

# In all states of a chunk, half a GB: of many weights fewer steps go together, but SHORTEST_CHUNK at least.
MOST_NUMBERS, SHORTEST_CHUNK = 2**26, 8

# A GPU has room and use for many more paths at a time than a processor's cache: 33 states of 2^24 numbers are 2 GB.
LARGER_ON_GPU = 2**7


def _check_sde(integration: Integration) -> None:
    integration.dynamics.check_sde()


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A way to advance paths.

    prepare: from an integration and its start (paths, state_dim) to a function that advances it.
    methods: those it integrates each type of noise with.
    of_sde: whether it integrates the SDE; else it runs the algorithm.
    check: raises ArgumentError for an integration that it was not made for.
    default_crossing: that of an escape of which none is said.
    suits: whether it may be chosen for an integration unasked.
    worth_from: coordinates of all paths in all steps, the calls counted in, from which its preparation pays.
    chunk: steps between two looks for exits, a multiple of chunk_unit; longest_chunk: of few paths, where a look takes
        longer than the steps between.
    in_threads: whether blocks may go side by side in threads, since it hardly ever holds the interpreter's lock.
    block_coordinates, largest_block: how many paths go together. A step should be long beside the time that torch takes
        to be called; a few larger arrays cost less than many calls, although they do not stay in the fastest cache.
    """

    prepare: Callable[[Integration, torch.Tensor], Advance]
    methods: Mapping[str, tuple[str, ...]]
    of_sde: bool = True
    check: Callable[[Integration], None] = _check_sde
    default_crossing: str = "bridge"
    suits: Callable[[Integration], bool] = lambda integration: True
    worth_from: float = 0.0
    chunk: int = 32
    longest_chunk: int = 32
    chunk_unit: int = 1
    in_threads: bool = False
    block_coordinates: int = 2**17
    largest_block: int = 2**16

    def block_size(self, numbers: int, paths_per_worker: int, on_gpu: bool) -> int:
        """Few large blocks, as many for each worker, of paths with so many `numbers` each."""
        larger = LARGER_ON_GPU if on_gpu else 1
        fitting = min(self.largest_block * larger, self.block_coordinates * larger // numbers)
        blocks = math.ceil(paths_per_worker / max(SMALLEST_BLOCK, fitting))
        return max(SMALLEST_BLOCK, math.ceil(paths_per_worker / blocks))

    def chunk_of(self, block_size: int, numbers: int, on_gpu: bool) -> int:
        """Steps between two looks for exits from a block of paths with so many numbers in the state of each."""
        larger, state = LARGER_ON_GPU if on_gpu else 1, block_size * numbers
        longer = self.chunk * (CHUNK_NUMBERS // (self.chunk * state))
        fitting = MOST_NUMBERS * larger // state // self.chunk_unit * self.chunk_unit
        return max(SHORTEST_CHUNK, min(fitting, max(self.chunk, min(self.longest_chunk, longer))))
