"""The compiled engine takes the same paths as torchsde, and says so where it cannot."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, Integration
from sam_sde.random import Purpose, Stream
from sam_sde.surfaces import beale, quadratic, styblinski_tang

WHITE = ss.IsotropicNoise(1.0)
HEAVY_BALL = {
    "lr": 0.02,
    "batch_size": 4,
    "momentum": 0.8,
    "weight_decay": 0.1,
    "initial_velocity": "equilibrium",
}
CASES = {
    "SAM, ball": (
        ss.SAM(quadratic([1.0, -1.0]), WHITE, lr=0.02, rho=0.02, batch_size=4),
        [0, 0],
        ss.Ball([0, 0], 0.25),
        "bridge",
    ),
    "SGD, oblique noise, box, shift": (
        ss.SGD(beale(), ss.ConstantNoise([[2.0, 0.5], [0.5, 1.0]]), lr=0.002),
        [0, 1],
        ss.Box([-0.2, 0.8], [0.2, 1.2]),
        "shift",
    ),
    "heavy balls, schedules and a switch": (
        ss.Switch(
            ss.SGD(quadratic([1.0, -1.0]), WHITE, lr_schedule=ss.CosineSchedule(1.0, low=0.1), **HEAVY_BALL),
            ss.USAM(quadratic([1.0, -1.0]), WHITE, rho=0.1, rho_schedule=ss.WarmUpSchedule(1.0), **HEAVY_BALL),
            at=0.3,
        ),
        [0, 0],
        ss.Ball([0, 0], 0.4),
        "bridge",
    ),
    "SAM, twenty coordinates": (
        ss.SAM(styblinski_tang(20), WHITE, lr=0.001, rho=0.05, batch_size=4),
        [0] * 20,
        ss.Ball([0] * 20, 0.3),
        "bridge",
    ),
}


def escape(case: str, **options) -> ss.EscapeResult:
    dynamics, start, region, crossing = CASES[case]
    options = {"t_max": 100 * dynamics.lr, "n_paths": 300, "arm": case, "crossing": crossing, **options}
    return ss.escape_times(dynamics, start=start, region=region, **options)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["SAM, ball", "SAM, twenty coordinates"])
def test_paths_agree_with_torchsde_to_rounding(case):
    exact, fast = (escape(case, dtype="float64", engine=engine) for engine in ("torchsde", "compiled"))
    assert (exact.engine, fast.engine) == ("torchsde", "compiled")
    assert (exact.outcome == ss.Outcome.ESCAPED).sum() > 30
    np.testing.assert_array_equal(exact.outcome, fast.outcome)
    np.testing.assert_allclose(fast.times, exact.times, rtol=1e-9)
    np.testing.assert_allclose(fast.exit_points, exact.exit_points, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("case", ["SGD, oblique noise, box, shift", "heavy balls, schedules and a switch"])
def test_so_do_those_of_what_would_be_compiled(case):
    test_paths_agree_with_torchsde_to_rounding(case)


@pytest.mark.slow
def test_after_a_thousand_steps_paths_still_agree_to_rounding():
    dynamics = ss.SAM(quadratic([1.0, -0.1]), WHITE, lr=0.01, batch_size=4, rho=0.02)
    options = {"start": [1, 0], "region": ss.Ball([0, 0], 50), "t_max": 10.0, "n_paths": 100, "dtype": "float64"}
    exact, fast = (ss.escape_times(dynamics, engine=engine, **options) for engine in ("torchsde", "compiled"))
    assert (exact.outcome == ss.Outcome.CENSORED).all()
    assert exact.exit_points.std(axis=0).min() > 0.01
    np.testing.assert_allclose(fast.exit_points, exact.exit_points, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_in_single_precision_the_step_of_escape_is_the_same():
    exact, fast = (escape("SAM, ball", n_paths=5000, engine=engine) for engine in ("torchsde", "compiled"))
    step = [np.floor(result.times / result.dt * (1 - 1e-7)) for result in (exact, fast)]
    assert np.mean((step[0] == step[1]) & (exact.outcome == fast.outcome)) >= 0.999


@pytest.mark.slow
def test_blocks_chunks_and_few_companions_change_nothing():
    reference = escape("SAM, ball", engine="compiled", n_paths=64)
    for options in ({"block_size": 64, "chunk": 4}, {"block_size": 16}, {"chunk": 10, "compact_below": 0.0}):
        other = escape("SAM, ball", engine="compiled", n_paths=64, **options)
        np.testing.assert_allclose(other.times, reference.times, rtol=1e-6)
    assert reference.replay(7).times[-1] == pytest.approx(reference.times[7], rel=1e-6)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("n_paths", [1, 2, 9])
def test_few_paths_are_those_of_many(n_paths):
    few, many = (escape("SAM, ball", engine="compiled", n_paths=n) for n in (n_paths, 20))
    assert few.engine == "compiled"
    np.testing.assert_allclose(few.times, many.times[:n_paths], rtol=1e-6)


@pytest.mark.slow
def test_threads_take_the_same_paths_to_the_bit():
    options = {"engine": "compiled", "block_size": 64, "n_paths": 300}
    alone, shared = (escape("SAM, ball", workers=workers, **options) for workers in (1, 3))
    assert shared.run.in_threads
    for name in ("times", "outcome", "exit_points"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))


@pytest.mark.usefixtures("uncompiled")
def test_heun_is_of_second_order():
    """Of dw = w dt + σ dW a step is w (1 + h + h²/2) + σ √h (1 + h/2) z, both to the order that weak order 2 needs."""
    h, paths, stream = 0.1, torch.arange(9), Stream()
    dynamics = ss.SGD(quadratic([-1.0]), WHITE, lr=h, batch_size=4)
    integration = Integration(dynamics=dynamics, stream=stream, dt=h, method="heun")
    start = torch.full((9, 1), 0.5, dtype=torch.float64)
    chunk = ENGINES["compiled"].prepare(integration, start)(integration, start, paths, 0, 8)
    assert chunk.suspects is None
    z = stream.normals_of_quads(Purpose.DIFFUSION, paths, range(2), 1, torch.float64).flatten(0, 1)
    sigma = (h / 4) ** 0.5
    expected = [start]
    for k in range(8):
        expected.append(expected[-1] * (1 + h + h**2 / 2) + sigma * h**0.5 * (1 + h / 2) * z[k])
    torch.testing.assert_close(chunk.states, torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_what_cannot_be_compiled_runs_on_torchsde_with_one_warning():
    class ByNumber(ss.SGD):
        def descent(self, t, w):
            return super().descent(t, w) * (len(w) / 50)

    dynamics = ByNumber(quadratic([1.0, -1.0]), WHITE, lr=0.01)
    options = {"start": [0, 0], "region": ss.Ball([0, 0], 0.3), "t_max": 0.5, "n_paths": 50}
    expected = r"engine: 'compiled' cannot run this problem, 'torchsde' did \(what it does depends on the number"
    with pytest.warns(UserWarning, match=expected) as caught:
        result = ss.escape_times(dynamics, engine="compiled", **options)
    assert len(caught) == 1
    assert result.engine == "torchsde"
    np.testing.assert_array_equal(result.times, ss.escape_times(dynamics, engine="torchsde", **options).times)
