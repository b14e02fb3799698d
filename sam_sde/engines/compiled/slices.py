"""How many states go together: few enough for what is made of them to stay in the processor's cache."""

from collections.abc import Iterator
from itertools import pairwise, starmap

from sam_sde.engines.compiled.quads import FEWEST_PATHS
from sam_sde.engines.engine import LARGER_ON_GPU
from sam_sde.surfaces import FiniteSum
from sam_sde.surfaces.finite_sum import LAYERS_OVER_INPUT

# In all that the states of a slice have: 8 MB in float32, of which less than half is needed at a time.
NUMBERS_OF_SLICE = 2**21


def numbers_of_samples(surface: FiniteSum, samples: int) -> int:
    """In a tensor that is made of so many samples for a state."""
    return samples * LAYERS_OVER_INPUT * surface.samples.numbers


def states_at_once(numbers: int, on_gpu: bool) -> int:
    """As many as stay in the cache, where each has so many numbers, or as are enough work for a GPU."""
    return max(FEWEST_PATHS, (LARGER_ON_GPU if on_gpu else 1) * NUMBERS_OF_SLICE // numbers)


def slices(n_states: int, at_once: int) -> Iterator[slice]:
    """All of them in parts of about one size, at least `at_once` where there are as many."""
    count = max(1, n_states // at_once)
    return starmap(slice, pairwise(n_states * i // count for i in range(count + 1)))
