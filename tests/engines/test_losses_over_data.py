"""Losses over data can be compiled."""

import numpy as np
import pytest
import torch

import sam_sde as ss


@pytest.mark.usefixtures("uncompiled")
def test_compiled_paths_agree_with_torchsde():
    """Slices of the weights are among what can be compiled only from a recording."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4, 2, generator=generator)
    surface = ss.FiniteSum(lambda w, x: (w[:2] @ x - w[2]).tanh().square(), points, dim=3)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.01, batch_size=2)
    options = {"start": [1.0, 0.5, 0.2], "region": ss.Ball([1.0, 0.5, 0.2], 0.1), "t_max": 1.0, "n_paths": 40}
    exact, fast = (
        ss.escape_times(sgd, engine=engine, dtype="float64", **options) for engine in ("torchsde", "compiled")
    )
    assert fast.engine == "compiled"
    assert (exact.outcome == ss.Outcome.ESCAPED).sum() > 10
    np.testing.assert_array_equal(fast.outcome, exact.outcome)
    np.testing.assert_allclose(fast.times, exact.times, rtol=1e-9)
