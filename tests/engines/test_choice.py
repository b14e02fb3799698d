"""Which engine takes a problem, what is refused, and that one more engine is one more entry of the table."""

from dataclasses import replace

import pytest

import sam_sde as ss
from sam_sde.engines import ENGINES, METHODS, EscapeProblem, asked_engine, choice, choose_engine
from sam_sde.random import Stream
from sam_sde.surfaces import beale, load_dataset, mlp, quadratic, toy_network

SADDLE, WHITE = quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0)
SGD = ss.SGD(SADDLE, WHITE, lr=0.01)
SAM = ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.02, batch_size=4)

K = {"lr": 0.01, "batch_size": 32}
DATA = mlp(load_dataset("digits"))
SAMPLES = ss.EmpiricalNoise(DATA)
OF_DATA = {
    "SGD": ss.SGD(DATA, SAMPLES, **K),
    "SAM": ss.SAM(DATA, SAMPLES, rho=0.1, **K),
    "SAM, same batch": ss.SAM(DATA, SAMPLES, rho=0.1, ascent="same", **K),
}
OF_DATA["switch"] = ss.Switch(OF_DATA["SGD"], OF_DATA["SAM"], at=0.5)
GAUSSIAN_PARTS = ss.SAM(SADDLE, WHITE, lr=0.01, rho=0.02, batch_size=4, ascent="same", micro_batch=2)
GAUSSIAN_ON_DATA = ss.SGD(DATA, WHITE, **K)
MIXED = ss.Switch(OF_DATA["SGD"], GAUSSIAN_ON_DATA, at=0.5)


def problem(dynamics=SGD, t_max=1.0, **options) -> EscapeProblem:
    return EscapeProblem(
        dynamics=dynamics, region=ss.Ball([0, 0], 1.0), stream=Stream(), t_max=t_max, dt=0.01, **options
    )


@pytest.mark.parametrize(
    ("method", "n_paths", "t_max", "engine"),
    [
        ("euler", 100, 1.0, "torchsde"),
        ("euler", 10**6, 100.0, "compiled"),
        ("euler", 1, 200.0, "compiled"),  # each step takes its calls
        ("srk", 10**6, 100.0, "torchsde"),
        ("heun", 100, 1.0, "torchsde"),
    ],
)
def test_auto_compiles_for_long_work(method, n_paths, t_max, engine):
    assert choose_engine("auto", problem(SAM, t_max, method=method), n_paths) == engine


@pytest.mark.parametrize(
    ("engine", "n_paths", "chosen"),
    [
        ("discrete", 100, "discrete"),
        ("discrete", 10**7, "compiled_discrete"),
        ("compiled_discrete", 1, "compiled_discrete"),
    ],
)
def test_an_algorithm_is_compiled_for_long_work(engine, n_paths, chosen):
    options = {"method": "euler", "crossing": "none"}
    assert choose_engine(engine, problem(SAM, 100.0, **options), n_paths) == chosen


@pytest.mark.parametrize(
    ("name", "n_paths", "t_max", "chosen"),
    [
        ("SGD", 64, 40.0, "discrete"),
        ("SGD", 64, 60.0, "compiled_discrete"),
        ("SAM, same batch", 64, 25.0, "discrete"),
        ("SAM, same batch", 64, 40.0, "compiled_discrete"),
        ("SAM", 64, 1.0, "discrete"),
        ("SAM", 64, 2.0, "compiled_discrete"),  # of which each step goes over all data
        ("switch", 64, 2.0, "compiled_discrete"),
    ],
)
def test_on_data_it_is_compiled_for_steps_that_are_long_or_many(name, n_paths, t_max, chosen):
    """Compiling a step of a thousand weights is worth thousands of steps of 64 runs, or hundreds over all data."""
    options = {"method": "euler", "crossing": "none"}
    assert choose_engine("discrete", problem(OF_DATA[name], t_max, **options), n_paths) == chosen
    assert choose_engine("compiled_discrete", problem(OF_DATA[name], 1.0, **options), 1) == "compiled_discrete"


def test_so_it_is_where_looks_at_the_loss_of_all_samples_are_long():
    for region, chosen in ((ss.Ball([0] * DATA.dim, 1.0), "discrete"), (ss.LossAbove(DATA, 0.1), "compiled_discrete")):
        of_digits = replace(problem(OF_DATA["SGD"], 10.0, method="euler", crossing="none"), region=region)
        assert choose_engine("discrete", of_digits, 64) == chosen


def test_batches_too_large_for_several_runs_at_a_time_are_not_compiled():
    for batch_size, chosen in ((4000, "compiled_discrete"), (4100, "discrete")):
        sgd = ss.SGD(DATA, SAMPLES, lr=0.01, batch_size=batch_size)
        assert choose_engine("discrete", problem(sgd, 1e4, method="euler", crossing="none"), 64) == chosen


@pytest.mark.parametrize("dynamics", [GAUSSIAN_PARTS, GAUSSIAN_ON_DATA, MIXED], ids=["micro-batches", "data", "switch"])
def test_gaussian_noise_on_data_or_in_micro_batches_is_not_compiled(dynamics):
    of_algorithm = problem(dynamics, 1e5, method="euler", crossing="none")
    assert choose_engine("discrete", of_algorithm, 10**7) == "discrete"
    with pytest.raises(ss.ArgumentError, match="engine: 'compiled_discrete' has minibatches of data's samples, or one"):
        choose_engine("compiled_discrete", of_algorithm, 1)


@pytest.mark.parametrize(("engine", "chosen"), [("auto", "torchsde"), ("compiled", "compiled")])
def test_compiling_a_sum_over_data_is_left_to_the_user(engine, chosen):
    surface = toy_network()
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.01, batch_size=8)
    for dynamics in (sgd, ss.Switch(sgd, sgd, at=1.0)):
        assert choose_engine(engine, problem(dynamics, t_max=1e5), n_paths=10**6) == chosen


STATE_DEPENDENT = ss.SGD(beale(), ss.HessianNoise(beale()), lr=0.01)
SAME_BATCH = ss.USAM(quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.01, rho=0.1, ascent="same")


@pytest.mark.parametrize("dynamics", [STATE_DEPENDENT, SAME_BATCH], ids=["Hessian noise", "same batch"])
@pytest.mark.parametrize("method", ["milstein", "srk"])
def test_a_method_that_does_not_integrate_the_noise_is_refused(dynamics, method):
    with pytest.raises(
        ValueError,
        match=f"method: '{method}' does not integrate noise that depends on the state; try 'euler' or 'heun'",
    ):
        choose_engine("auto", problem(dynamics, method=method), 1)


def test_before_the_choice_auto_is_as_an_engine_for_sdes():
    assert asked_engine("auto").of_sde
    assert asked_engine("auto").default_crossing == "bridge"
    assert (asked_engine("discrete").of_sde, asked_engine("discrete").default_crossing) == (False, "none")
    with pytest.raises(ValueError, match="engine: unknown value 'discret'; did you mean 'discrete'"):
        asked_engine("discret")


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_an_engine_says_all_that_is_asked_of_it(engine):
    assert set(engine.methods) == {"additive", "diagonal", "general"}
    assert {method for methods in engine.methods.values() for method in methods} <= set(METHODS)
    assert engine.chunk % engine.chunk_unit == 0


def test_an_engine_more_is_an_entry_of_the_table(monkeypatch):
    """Between torchsde and the compiled one, for problems that suit it."""
    other = replace(ENGINES["torchsde"], worth_from=2e7, suits=lambda problem: problem.dynamics.momentum == 0)
    monkeypatch.setitem(choice.ENGINES, "other", other)
    monkeypatch.setitem(choice.ONE_OF, "auto", [*choice.ONE_OF["auto"], "other"])
    heavy = ss.SGD(SADDLE, WHITE, lr=0.01, momentum=0.9)
    assert [choose_engine("auto", problem(), n) for n in (1, 10**5, 10**7)] == ["torchsde", "other", "compiled"]
    assert choose_engine("auto", problem(heavy), 10**5) == "torchsde"
    assert choose_engine("other", problem(heavy), 1) == "other"
    result = ss.escape_times(
        SGD, start=[0, 0], region=ss.Ball([0, 0], 1.0), t_max=0.1, n_paths=3, engine="other", device="cpu"
    )
    assert result.engine == "other"


def test_chunks_are_longer_for_few_numbers_and_shorter_where_memory_would_grow():
    chunks = {n: ENGINES["discrete"].chunk_of(64, n, on_gpu=False) for n in (2, 1210, 10**5, 10**7)}
    assert chunks == {2: 32, 1210: 32, 10**5: 10, 10**7: 8}
    compiled = ENGINES["compiled"]
    assert [compiled.chunk_of(n, 2, on_gpu=False) for n in (100, 2**16, 2**22)] == [128, 32, 8]
    assert compiled.chunk_of(2**22, 2, on_gpu=True) == 32


def test_blocks_are_of_one_size_and_as_many_for_each_worker():
    engine = replace(ENGINES["torchsde"], block_coordinates=2**12, largest_block=2**10)
    sizes = {paths: engine.block_size(2, paths, on_gpu=False) for paths in (1, 64, 1024, 1025, 3000, 4096)}
    assert sizes == {1: 64, 64: 64, 1024: 1024, 1025: 513, 3000: 1000, 4096: 1024}
    assert engine.block_size(1000, 3000, on_gpu=False) == 64
