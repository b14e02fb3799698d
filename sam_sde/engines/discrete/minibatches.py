"""Which samples each path's minibatches hold, as a function of (seed, arm, path, step).

"with_replacement": every place of a batch holds any sample. "without_replacement": a fresh random subset at every
step. "epochs": the samples are put in a new random order every n // B steps, and taken in that order; the n mod B left
over are dropped, others in every epoch, so that all batches have B samples. An order takes the time to sort n numbers
for each path: a step without replacement costs that much, one of an epoch its share of it.
"""

import torch

from sam_sde.errors import ArgumentError
from sam_sde.random import STEPS_PER_COUNTER, Purpose, Stream, philox

# Random words at a time where whole orders of the samples are drawn: 32 MiB.
WORDS_AT_ONCE = 2**22


class Minibatches:
    """Draws the minibatches of `paths` (paths,): batch_size of the n_samples samples, by `sampling`.

    Raises
        ValueError: batch_size above n_samples, for another sampling than "with_replacement".
    """

    def __init__(self, stream: Stream, paths: torch.Tensor, n_samples: int, batch_size: int, sampling: str):
        check_batch_size(n_samples, batch_size, sampling)
        self._stream = stream
        self._paths = paths
        self._n_samples = n_samples
        self._batch_size = batch_size
        self._draw = {
            "with_replacement": self._with_replacement,
            "without_replacement": self._without_replacement,
            "epochs": self._of_epoch,
        }[sampling]
        self._orders: dict[Purpose, tuple[int, torch.Tensor]] = {}

    def numbers(self, step: int, purpose: Purpose = Purpose.MINIBATCH) -> torch.Tensor:
        """The samples' numbers (paths, batch_size) in a step; those of different purposes are independent."""
        return self._draw(step, purpose)

    def _with_replacement(self, step: int, purpose: Purpose) -> torch.Tensor:
        words = _words(self._stream, purpose, self._paths, step, self._batch_size)
        return (words * self._n_samples) >> 32

    def _without_replacement(self, step: int, purpose: Purpose) -> torch.Tensor:
        return self._order(step, purpose, self._batch_size)

    def _of_epoch(self, step: int, purpose: Purpose) -> torch.Tensor:
        whole_batches = self._n_samples // self._batch_size
        epoch, batch = divmod(step, whole_batches)
        if self._orders.get(purpose, (None,))[0] != epoch:
            order = self._order(epoch, purpose, whole_batches * self._batch_size)
            self._orders[purpose] = (epoch, order)
        first = batch * self._batch_size
        return self._orders[purpose][1][:, first : first + self._batch_size]

    def _order(self, number: int, purpose: Purpose, length: int) -> torch.Tensor:
        """The first `length` samples (paths, length) of a random order of all of them."""
        paths_at_once = max(1, WORDS_AT_ONCE // self._n_samples)
        return torch.cat(
            [
                _smallest(_words(self._stream, purpose, paths, number, self._n_samples), length)
                for paths in self._paths.split(paths_at_once)
            ]
        )


def check_batch_size(n_samples: int, batch_size: int, sampling: str) -> None:
    """Raises ValueError where a batch would need more samples than there are."""
    if sampling != "with_replacement" and batch_size > n_samples:
        raise ArgumentError(
            "batch_size",
            f"expected at most {n_samples}, the number of samples, for sampling {sampling!r}, "
            f"got {batch_size}; try sampling 'with_replacement'",
        )


def _words(stream: Stream, purpose: Purpose, paths: torch.Tensor, number: int, length: int) -> torch.Tensor:
    """Random 32-bit words (paths, length) for the step or epoch `number`; a counter gives four of them."""
    quad, position = divmod(number, STEPS_PER_COUNTER)
    counters = -(-length // 4)
    coordinate = STEPS_PER_COUNTER * torch.arange(counters, device=paths.device) + position
    quad = torch.full((), quad, device=paths.device)
    words = philox((coordinate, paths[:, None], quad, torch.full_like(quad, purpose)), stream.key)
    return torch.stack(words, dim=-1).flatten(1)[:, :length]


def _smallest(words: torch.Tensor, length: int) -> torch.Tensor:
    """Where the `length` smallest words of each row stand, in the order of the words."""
    # The place decides between equal words, so that the result is the same whatever sorts them.
    place = torch.arange(words.shape[1], device=words.device)
    return torch.topk((words << 31) | place, length, largest=False, sorted=True).indices
