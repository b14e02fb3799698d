"""A compiled value of the loss says where a state is surely inside; exits are those of the region's own looks."""

import numpy as np
import pytest
import torch
from torch import nn

import sam_sde as ss
from sam_sde.engines import EscapeProblem
from sam_sde.engines.compiled import looks, minibatch_steps, on_data, slices
from sam_sde.engines.compiled.loops import sum_of_level_of
from sam_sde.random import Stream
from tests.engines.compiled.test_on_data import LABELS, NETWORKS, PERCEPTRON, ROWS, noise

START = PERCEPTRON.initial_weights
LOSS = PERCEPTRON.value(START[None]).item()
# With steps so long that the loss rises as well.
SGD = ss.SGD(PERCEPTRON, noise(), momentum=0.9, lr_schedule=ss.CosineSchedule(30.0, low=0.1), lr=0.5, batch_size=4)
SAM = ss.SAM(PERCEPTRON, noise(), rho=0.1, lr=1.0, batch_size=2)
SIDES = {"above": (ss.LossAbove, 0.9), "below": (ss.LossBelow, 1.1)}
FIRST_STEP, STEPS = 7, 6
UNITS = 1000  # in the last place, by which the two values may differ


def escapes(region, dynamics=SGD, *, n_paths=24, **options):
    options = {"start": START, "t_max": 10.0, "engine": "compiled_discrete", "workers": 1, "chunk": 8, **options}
    return ss.escape_times(dynamics, region=region, n_paths=n_paths, **options)


@pytest.fixture
def without_looks(monkeypatch):
    """A function that calls another one while nothing but the region itself looks at losses."""

    def call(function):
        with monkeypatch.context() as patch:
            patch.setattr(on_data, "looks_for", lambda *_: (None, ""))
            return function()

    return call


def assert_same(found, expected):
    assert (found.engine, found.way) == (expected.engine, expected.way) == ("compiled_discrete", "in rows")
    for name in ("outcome", "times", "exit_points"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("samples", [None, 9])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("dynamics", "dtype"), [(SGD, "float32"), (SAM, "float64")], ids=["SGD", "SAM"])
def test_exits_are_those_of_the_looks_of_the_region_to_the_bit(dynamics, dtype, side, every, samples, without_looks):
    kind, factor = SIDES[side]
    looked_at = kind(PERCEPTRON, 0.0, samples=samples).looked_at
    region = kind(PERCEPTRON, factor * looked_at.value(START[None]).item(), every, samples)
    found = escapes(region, dynamics, dtype=dtype)
    assert_same(found, without_looks(lambda: escapes(region, dynamics, dtype=dtype)))
    escaped = found.outcome == ss.Outcome.ESCAPED
    assert escaped.sum() > 3
    assert not (found.times[escaped] % (every * dynamics.lr)).any()


@pytest.mark.usefixtures("only_recorded")
def test_the_region_looks_at_hardly_more_states_than_paths_that_leave(without_looks, monkeypatch):
    looked_at, value = [], PERCEPTRON.value
    monkeypatch.setattr(PERCEPTRON, "value", lambda w: looked_at.append(len(w)) or value(w))
    region = ss.LossAbove(PERCEPTRON, 0.9 * LOSS)
    found = escapes(region)
    escaped = int((found.outcome == ss.Outcome.ESCAPED).sum())
    assert 10 < escaped < sum(looked_at) < escaped + 20
    looked_at.clear()
    without_looks(lambda: escapes(region))
    assert sum(looked_at) > 200


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("n_paths", [1, 3])
def test_so_it_is_for_fewer_paths_than_are_compiled_for(n_paths, without_looks):
    region = ss.LossAbove(PERCEPTRON, 0.95 * LOSS)
    found = escapes(region, n_paths=n_paths)
    assert_same(found, without_looks(lambda: escapes(region, n_paths=n_paths)))
    assert (found.outcome == ss.Outcome.ESCAPED).all()


@pytest.mark.usefixtures("only_recorded")
def test_paths_whose_loss_is_no_number_have_failed(without_looks):
    """The logarithm's gradient is a number where it has none itself."""
    surface = ss.FiniteSum(lambda w, c: c * w.log().sum(), torch.linspace(0.5, 1.5, 5), 1)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.1, batch_size=2)
    options = {"start": [1.0], "t_max": 2.0, "dtype": "float64"}
    region = ss.LossAbove(surface, -2.0)
    found = escapes(region, sgd, **options)
    assert {ss.Outcome.FAILED, ss.Outcome.ESCAPED} == set(found.outcome)
    assert_same(found, without_looks(lambda: escapes(region, sgd, **options)))
    plain = escapes(region, sgd, **{**options, "engine": "discrete"})
    np.testing.assert_array_equal(found.outcome, plain.outcome)
    np.testing.assert_array_equal(found.times, plain.times)


def problem_of(region, dynamics=SGD) -> EscapeProblem:
    return EscapeProblem(
        dynamics=dynamics, region=region, stream=Stream(), t_max=9.0, dt=dynamics.lr, method="euler", crossing="none"
    )


@torch.no_grad()
def looks_of(region, dynamics=SGD, start=START, dtype=torch.float64):
    state = dynamics.initial_state(start[None].to(dtype), start[None, :0].to(dtype))
    found, reason = looks.looks_for(problem_of(region, dynamics), state, lambda level: sum_of_level_of(level, state, 9))
    assert (found is None) == bool(reason)
    return found


def some_states(dtype, n_paths=9):
    """Anchors (paths, state_dim), and what is moved (steps + 1, paths, state_dim), with large velocities."""
    generator = torch.Generator().manual_seed(2)
    shape = (STEPS + 1, n_paths, 2 * PERCEPTRON.dim)
    moved = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.cat([START, 7 * START.cos()]).expand(n_paths, -1).to(dtype), moved.to(dtype)


def plain_losses(weights: torch.Tensor) -> torch.Tensor:
    """Of the perceptron, a weight vector after the other, by the module itself in double precision."""
    module = NETWORKS["perceptron"][0]().double()
    found = []
    for w in weights.double().reshape(-1, weights.shape[-1]):
        nn.utils.vector_to_parameters(w, module.parameters())
        with torch.no_grad():
            found.append(nn.functional.cross_entropy(module(ROWS.double()), LABELS))
    return torch.stack(found).view(weights.shape[:-1])


def assert_near(side, every, dtype):
    """The level is the loss of one of the states: that one is near, and no state that is surely inside.

    Nor is one after a look that found the path surely out.
    """
    anchor, moved = some_states(dtype)
    due = (FIRST_STEP + torch.arange(STEPS + 1)) % every == 0
    due[0] = False
    losses = plain_losses((anchor + moved)[..., : PERCEPTRON.dim])[due]
    (kind, _), share = SIDES[side], 0.8 if side == "below" else 0.2
    region = kind(PERCEPTRON, losses.flatten().quantile(share, interpolation="nearest").item(), every)
    near = looks_of(region, dtype=dtype)(anchor, moved, FIRST_STEP)
    height, surely = region.sign * (losses - region.level), 2 * UNITS * torch.finfo(dtype).eps * (1 + 2 * losses)
    out = height > surely
    over = out.cumsum(0) > out.int()
    assert not near[~due].any()
    assert not near[due][over | (height < -surely)].any()
    assert near[due][~over & (height > -0.01 * surely)].all()
    assert near.any()
    assert (height < -surely).any()
    assert over.any() or every == 5


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("samples_at_once", [1, 5, 12, 256])
def test_states_are_near_from_the_level_on(samples_at_once, side, every, dtype, monkeypatch):
    """With 23 samples in blocks of 1, 5, 12 or 23, of which the last one is filled up."""
    monkeypatch.setattr(minibatch_steps, "SAMPLES_AT_ONCE", samples_at_once)
    assert_near(side, every, dtype)


@pytest.mark.usefixtures("only_recorded")
def test_so_it_is_in_slices_of_three_paths(monkeypatch):
    monkeypatch.setattr(slices, "NUMBERS_OF_SLICE", 1)
    monkeypatch.setattr(slices, "FEWEST_PATHS", 2)
    assert_near("below", 1, torch.float64)


LINEAR = ss.FiniteSum(lambda w, c: (c * w).sum(), torch.ones(3, 1), 1)
ON_LINE = ss.SGD(LINEAR, ss.EmpiricalNoise(LINEAR), lr=0.5, batch_size=2)


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_so_it_is_within_rounding_of_the_level(level, dtype):
    """Of 1, the level and the loss together."""
    margin = UNITS * torch.finfo(dtype).eps * (1 + 2 * level)
    moved = torch.tensor([[-1.1 * margin, -0.9 * margin, 0.0, 0.9 * margin]] * 3, dtype=torch.float64)[..., None]
    moved[2] += 3 * margin
    near = looks_of(ss.LossBelow(LINEAR, level), ON_LINE, torch.tensor([level - 1.0]), dtype)
    found = near(torch.full((4, 1), level, dtype=dtype), moved.to(dtype), 0)
    assert found.tolist() == [[False] * 4, [False, True, True, True], [True] * 4]


@pytest.mark.usefixtures("only_recorded")
def test_losses_may_be_in_double_precision_where_weights_are_in_single(without_looks):
    surface = ss.FiniteSum(lambda w, x: ((x * w).sum() - 1).double().square(), ROWS, 5)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.5, batch_size=4)
    options = {"start": torch.zeros(5), "t_max": 10.0}
    region = ss.LossBelow(surface, 3.0)
    found = escapes(region, sgd, **options)
    assert looks_of(region, sgd, torch.zeros(5), torch.float32)._level(*torch.zeros(2, 9, 5))[0].dtype == torch.float32
    assert_same(found, without_looks(lambda: escapes(region, sgd, **options)))
    assert (found.outcome == ss.Outcome.ESCAPED).sum() > 3


@pytest.mark.slow
def test_and_compiled():
    assert_near("above", 1, torch.float32)


@pytest.mark.usefixtures("only_recorded")
def test_a_level_that_is_infinite_or_no_number_is_near():
    moved = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, torch.inf, -torch.inf, torch.nan], [2.0, 0.0, 0.0, 0.0]])[
        ..., None
    ]
    for region in (ss.LossBelow(LINEAR, 1.0), ss.LossAbove(LINEAR, -1.0)):
        near = looks_of(region, ON_LINE, torch.zeros(1), torch.float32)(torch.zeros(4, 1), moved, 0)
        assert near.tolist() == [[False] * 4, [False, True, True, True], [region.sign > 0, False, False, False]]


class Own(ss.FiniteSum):
    """A surface with a value of its own."""

    def value(self, w):
        return super().value(w)


class OwnRegion(ss.LossAbove):
    """A region with levels of its own."""

    def levels(self, w):
        return super().levels(w)


OWN = Own(PERCEPTRON.sample_loss, (ROWS, LABELS), PERCEPTRON.dim)


@pytest.mark.usefixtures("only_recorded")
def test_a_loss_with_a_value_of_its_own_is_looked_at_by_that_and_it_is_said(without_looks):
    region = ss.LossAbove(OWN, 0.9 * LOSS)
    with pytest.warns(UserWarning, match="slower than it might, in rows: .* not compiled, .* has a value of its own"):
        found = escapes(region)
    expected = without_looks(lambda: escapes(region))
    np.testing.assert_array_equal(found.times, expected.times)
    assert (found.outcome == ss.Outcome.ESCAPED).sum() > 10


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("region", [ss.Ball(START, 0.5), OwnRegion(PERCEPTRON, 0.9 * LOSS)], ids=["ball", "own levels"])
def test_other_regions_are_left_to_themselves(region):
    assert looks.looks_for(problem_of(region), None, None) == (None, "")
    assert escapes(region).way == "in rows"


@pytest.mark.usefixtures("only_recorded")
@pytest.mark.parametrize("error", [1e-3, -1e-3, np.nan])
def test_a_compiled_loss_that_is_another_one_is_not_used(error):
    state = SGD.initial_state(START[None], START[None, :0])
    problem = problem_of(ss.LossAbove(PERCEPTRON, 0.9 * LOSS))
    found, reason = looks.looks_for(problem, state, lambda level: lambda *inputs: level(*inputs) + error)
    assert found is None
    assert "last digits" in reason
