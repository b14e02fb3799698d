"""Minibatches drawn by a compiled function are those of the discrete engine, number by number."""

import pytest
import torch

from sam_sde.engines.compiled import loops
from sam_sde.engines.compiled.draws import CompiledMinibatches
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.random import Purpose, Stream

PATHS = torch.tensor([0, 3, 500, 17, 2**31 - 1, 5, 6, 7, 8])
STEPS = (0, 1, 2, 3, 4, 14, 2**33 - 1)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("purpose", [Purpose.MINIBATCH, Purpose.ASCENT_MINIBATCH])
@pytest.mark.parametrize("batch_size", [1, 4, 6, 12])
@pytest.mark.parametrize("sampling", ["with_replacement", "without_replacement", "epochs"])
def test_they_are_the_same(sampling, batch_size, purpose):
    of = (Stream(2**64 - 1, "arm"), PATHS, 12, batch_size, sampling)
    fast, exact = CompiledMinibatches(loops.draw_on(PATHS.device), *of), Minibatches(*of)
    for step in STEPS:
        assert torch.equal(fast.numbers(step, purpose), exact.numbers(step, purpose))
