"""The minibatches of the discrete engine, number by number, drawn by a compiled function where no order of them is."""

from collections.abc import Callable

import torch

from sam_sde.engines.compiled.quads import scalars
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.random import STEPS_PER_COUNTER, Purpose, philox

WORDS_OF_COUNTER = 4


def samples_of_counters(key0, key1, path: torch.Tensor, place: torch.Tensor, step, purpose, n_samples) -> torch.Tensor:
    """Numbers (4, counters) from 0 below n_samples: of a step, a path (counters,), and four places from `place` on.

    All but the two are whole numbers () in tensors.
    """
    counter = (place + step % STEPS_PER_COUNTER, path, step // STEPS_PER_COUNTER, purpose)
    return torch.stack([(word * n_samples) >> 32 for word in philox(counter, (key0, key1))])


def inputs_of_draw(device: torch.device, n_counters: int) -> tuple[torch.Tensor, ...]:
    """Arguments for `samples_of_counters`."""
    key0, key1, *others = scalars([0, 0, 0, 0, 1], device)
    numbers = torch.arange(n_counters, device=device)
    return key0, key1, numbers, numbers.clone(), *others


class CompiledMinibatches(Minibatches):
    """Those of `Minibatches`, with the samples of each place drawn by `draw`, which is `samples_of_counters`."""

    def __init__(self, draw: Callable, stream, paths: torch.Tensor, n_samples: int, batch_size: int, sampling: str):
        super().__init__(stream, paths, n_samples, batch_size, sampling)
        self._drawn_by = draw
        counters = -(-batch_size // WORDS_OF_COUNTER)
        self._path = paths.repeat_interleave(counters)
        self._place = (STEPS_PER_COUNTER * torch.arange(counters, device=paths.device)).repeat(len(paths))
        self._key = scalars(stream.key, paths.device)

    def _with_replacement(self, step: int, purpose: Purpose) -> torch.Tensor:
        others = scalars([step, purpose, self._n_samples], self._paths.device)
        numbers = self._drawn_by(*self._key, self._path, self._place, *others)
        return numbers.T.reshape(len(self._paths), -1)[:, : self._batch_size]
