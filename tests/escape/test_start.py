"""Before a run its dynamics are tried in full at two starts, and of all the others a step."""

import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic, toy_network

NETWORK = toy_network(n=15)
RUN = {"t_max": 0.05, "n_paths": 50, "chunk": 4}


class Counting(ss.SAM):
    """Keeps how many paths the methods of the SDE were asked for."""

    def descent_and_noise(self, t, w, z):
        asked.append(len(w))
        return super().descent_and_noise(t, w, z)

    def descent(self, t, w):
        asked.append(len(w))
        return super().descent(t, w)


asked: list[int] = []


@pytest.mark.parametrize(("engine", "most"), [("discrete", 0), ("torchsde", 5 * 50)])
def test_the_equation_is_tried_at_two_of_many_random_starts(engine, most):
    """Beyond them an algorithm is asked for nothing of it, and an SDE for one drift; the step of the run takes four."""
    asked.clear()
    sam = Counting(NETWORK, ss.EmpiricalNoise(NETWORK), lr=0.05, batch_size=4, rho=0.1, ascent="same")
    start = ss.NormalStart([0.5] * NETWORK.dim, 0.1)
    ss.escape_times(sam, start=start, region=ss.Ball([0.5] * NETWORK.dim, 9.0), engine=engine, **RUN)
    assert 0 < sum(n for n in asked if n <= 2) <= 20
    assert sum(n for n in asked if n > 2) == most


@pytest.mark.parametrize("engine", ["discrete", "torchsde"])
def test_all_random_starts_have_a_finite_loss(engine):
    sgd = ss.SGD(ss.LossSurface(lambda w: w.pow(1.5).sum(), 1), ss.IsotropicNoise(0.1), lr=0.05)
    start = ss.NormalStart([0.2], 0.1)
    with pytest.raises(ss.ArgumentError, match=r"start: the loss is not finite for [123] of 50 paths"):
        ss.escape_times(sgd, start=start, region=ss.Ball([0.2], 9.0), engine=engine, **RUN)


@pytest.mark.parametrize("engine", ["discrete", "torchsde"])
def test_all_random_starts_have_a_finite_step(engine):
    """Of data the loss itself is not looked at."""
    surface = ss.FiniteSum(lambda w, x: (w + x).pow(1.5).sum(), torch.tensor([[0.0], [0.01]]), 1)
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.05)
    start = ss.NormalStart([0.2], 0.1)
    with pytest.raises(ss.ArgumentError, match=r"start: a step from there is not finite for [123] of 50 paths"):
        ss.escape_times(sgd, start=start, region=ss.Ball([0.2], 9.0), engine=engine, **RUN)


def test_all_random_starts_are_inside():
    with pytest.raises(ss.ArgumentError, match=r"start: .*outside"):
        ss.escape_times(
            ss.SGD(quadratic([1.0]), ss.IsotropicNoise(0.1), lr=0.05),
            start=ss.NormalStart([0.0], 0.1),
            region=ss.Ball([0.0], 0.2),
            **RUN,
        )


def test_nothing_is_compiled_for_a_check(monkeypatch):
    from sam_sde.escape import prepare

    monkeypatch.setattr("sam_sde.engines.compiled.engine._functions", None)
    run = prepare(
        ss.SGD(quadratic([1.0]), ss.IsotropicNoise(0.1), lr=0.05),
        start=ss.NormalStart([0.0], 0.01),
        region=ss.Ball([0.0], 0.2),
        engine="compiled_discrete",
        t_max=1.0,
        n_paths=50,
    )
    assert run.with_engine("discrete").with_engine("compiled_discrete").engine == "compiled_discrete"
