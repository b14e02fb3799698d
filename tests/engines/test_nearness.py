"""Both engines for SDEs see the same exits where the level is no distance."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic

SADDLE = quadratic([1.0, -1.0])


class Scaled(ss.Region):
    faces = 1

    def levels(self, w):
        return 100.0 * (w[:, 1:].abs() - 0.2) ** 3


REGIONS = {
    "a level set": ss.LevelSet(lambda w: w[0] ** 2 + w[1] ** 2 - torch.tensor(0.04, dtype=torch.float64)),
    "a region of one's own": Scaled(),
    "a loss": ss.LossAbove(SADDLE, -0.02),
}
KINDS = {
    "constant noise": ss.SGD(SADDLE, ss.IsotropicNoise(1.0), lr=0.02, batch_size=4),
    "momentum": ss.SGD(SADDLE, ss.IsotropicNoise(1.0), lr=0.02, batch_size=4, momentum=0.9),
}


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("name", "kind", "crossing"),
    [
        ("a level set", "momentum", "bridge"),
        ("a region of one's own", "constant noise", "shift"),
        ("a loss", "constant noise", "bridge"),
    ],
)
def test_the_compiled_engine_overlooks_no_crossing(name, kind, crossing):
    options = {"start": [0, 0], "t_max": 4.0, "n_paths": 300, "crossing": crossing, "dtype": "float64"}
    exact, fast = (
        ss.escape_times(KINDS[kind], region=REGIONS[name], engine=engine, device="cpu", **options)
        for engine in ("torchsde", "compiled")
    )
    assert (exact.engine, fast.engine) == ("torchsde", "compiled")
    assert (exact.outcome == ss.Outcome.ESCAPED).sum() > 30
    np.testing.assert_array_equal(exact.outcome, fast.outcome)
    np.testing.assert_allclose(fast.times, exact.times, rtol=1e-7)
    np.testing.assert_allclose(fast.exit_points, exact.exit_points, rtol=1e-6, atol=1e-6)


FEW = {"start": [0, 0], "t_max": 4.0, "n_paths": 100, "device": "cpu"}


@pytest.mark.slow
def test_the_compiled_engine_sees_levels_that_are_no_number():
    dynamics = KINDS["constant noise"]
    root = ss.LevelSet(lambda w: -(0.04 - w[0] ** 2 - w[1] ** 2).sqrt())
    exact, fast = (ss.escape_times(dynamics, region=root, engine=e, **FEW) for e in ("torchsde", "compiled"))
    assert (exact.outcome == ss.Outcome.FAILED).any()
    np.testing.assert_array_equal(exact.outcome, fast.outcome)
    np.testing.assert_allclose(fast.times, exact.times, rtol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_the_compiled_engine_refuses_levels_that_are_flat():
    plateau = ss.LevelSet(lambda w: torch.tanh(1e4 * (w[0] ** 2 + w[1] ** 2 - 0.04)))
    with pytest.raises(ss.ArgumentError, match="no gradient near its boundary"):
        ss.escape_times(KINDS["constant noise"], region=plateau, engine="compiled", **FEW)
