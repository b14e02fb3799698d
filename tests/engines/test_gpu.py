"""On a GPU the engines take the paths that they take on the processor, up to rounding."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.engines import ENGINES, EscapeProblem
from sam_sde.random import Stream
from sam_sde.surfaces import quadratic

SAM = ss.SAM(quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), lr=0.02, rho=0.02, batch_size=4)
REGION = ss.Ball([0, 0], 0.25)


def escape(engine: str, device: str) -> ss.EscapeResult:
    return ss.escape_times(SAM, start=[0, 0], region=REGION, t_max=4.0, n_paths=5000, engine=engine, device=device)


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ENGINES)
def test_the_step_of_escape_is_the_same_on_both(engine):
    results = escape(engine, "cpu"), escape(engine, "cuda")
    step = [np.floor(result.times / result.dt * (1 - 1e-7)) for result in results]
    assert np.mean((step[0] == step[1]) & (results[0].outcome == results[1].outcome)) >= 0.999


@pytest.mark.gpu
def test_a_compiled_chunk_does_not_wait_for_the_gpu():
    problem = EscapeProblem(dynamics=SAM, region=REGION, stream=Stream(), t_max=20.0, dt=0.02)
    start, paths = torch.zeros(1000, 2, device="cuda"), torch.arange(1000, device="cuda")
    advance = ENGINES["compiled"].prepare(problem, start)
    advance(problem, start, paths, 0, 32)
    torch.cuda.set_sync_debug_mode("error")
    try:
        advance(problem, start, paths, 32, 32)
    finally:
        torch.cuda.set_sync_debug_mode("default")
