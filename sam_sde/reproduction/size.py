"""How much is run: the same experiments with fewer or more paths, seeds and conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

SIZES = ("thin", "quick", "full")


@dataclass(frozen=True)
class Size:
    """One of SIZES, and the seed of all random numbers.

    thin: a minute or so, for tests; the statements that are far from their limits show. quick: minutes; full: hours.
    """

    name: str
    seed: int = 0

    def of(self, thin: Value, quick: Value, full: Value) -> Value:
        """The one of the three values that belongs to this size."""
        return dict(zip(SIZES, (thin, quick, full), strict=True))[self.name]

    @property
    def engine(self) -> str:
        """Of SDEs: thin runs are not worth compiling."""
        return self.of("torchsde", "auto", "auto")

    def seeds(self, count: int) -> Sequence[int]:
        """Different seeds, for runs that are to be independent."""
        return [self.seed + 1000 * number for number in range(1, count + 1)]
