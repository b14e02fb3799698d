"""Which random numbers each walker has: numbers of paths that none else has in the stream of the run."""

from dataclasses import dataclass

import torch

from sam_sde.random import Purpose, Stream

MAX_STAGES = 256
MOST_PATHS = 2**31  # which the counter of the random numbers tells apart


@dataclass(frozen=True)
class Numbers:
    """Those of one repeat; the pilot is number 0. walkers: the most that a stage has."""

    stream: Stream
    repeat: int
    walkers: int
    device: torch.device

    def paths(self, stage: int, n: int) -> torch.Tensor:
        """The numbers (n,) of the walkers of a stage."""
        first = (self.repeat * MAX_STAGES + stage) * self.walkers
        return torch.arange(first, first + n, device=self.device)

    def uniforms(self, stage: int, n: int) -> torch.Tensor:
        """Float64 uniforms (n,), one for each walker of a stage."""
        zero = torch.zeros(n, dtype=torch.int64, device=self.device)
        return self.stream.uniforms(Purpose.RESAMPLING, self.paths(stage, n), zero, zero)
