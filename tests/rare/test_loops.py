"""Loops between the core and the first level, as a plain loop over the steps of each walker counts them."""

import math

import numpy as np
import pytest
import torch

from sam_sde.escape import prepare
from sam_sde.rare.chain import Chain
from sam_sde.rare.loops import loops
from tests.rare.problems import Below, ornstein_uhlenbeck

CORE, LEVEL, BURN_IN, N_LOOPS, N_WALKERS = 0.0, 0.8, 5, 3, 200


def counted(scores: np.ndarray, left_at: float):
    """Times of one walker, from its scores after each step, and when it left, in steps (infinite: never)."""
    above, since, n = scores[0] >= LEVEL, -1, 0
    within, over, start, counts = [], [], None, False
    for step, score in enumerate(scores[1:], start=1):
        if left_at < step:
            if start is None:
                start = left_at
            if above and counts:
                over.append(left_at - since)
            elif not above and since >= BURN_IN and n < N_LOOPS:
                within.append(left_at - since)
                over.append(0.0)
            break
        if not above and score >= LEVEL:
            if start is None:
                start = step
            counts = since >= BURN_IN and n < N_LOOPS
            if since >= BURN_IN:
                n += 1
            if counts:
                within.append(step - since)
            above, since = True, step
        elif above and score <= CORE:
            if counts:
                over.append(step - since)
            above, since = False, step
            if n >= N_LOOPS:
                break
    return within, over, start


@pytest.mark.parametrize(("exit_at", "start", "steps_at_once"), [(1.3, 0.0, 8), (1.3, 1.2, 64), (50.0, 0.0, 64)])
def test_times_and_entrances_are_those_of_a_plain_loop(exit_at, start, steps_at_once, monkeypatch):
    for module in ("chain", "loops"):
        monkeypatch.setattr(f"sam_sde.rare.{module}.STEPS", steps_at_once)
    run = prepare(
        ornstein_uhlenbeck(),
        start=[start],
        region=Below(exit_at),
        t_max=1000.0,
        n_paths=N_WALKERS,
        engine="torchsde",
        crossing="none",
        dtype="float64",
    )
    chain, paths = Chain(run, Below(0.0)), torch.arange(N_WALKERS)
    found = loops(chain, paths, CORE, LEVEL, BURN_IN, N_LOOPS)

    state, step, scores = run.states_at_start(paths), 0, [chain.score_of(run.states_at_start(paths))[None]]
    while step < 2000:
        steps, of_steps = chain.look(state, paths, step)
        state, step = steps.end.clone(), step + steps_at_once
        scores.append(of_steps[1:].clone())
    scores = torch.cat(scores).numpy()
    within, over, starts = [], [], []
    for column in scores.T:
        outside = np.flatnonzero(column >= exit_at)
        left_at = outside[0] - 0.0 if len(outside) else math.inf
        # Without a bridge a walker leaves at the end of a step: before what that step ends in is looked at.
        found_within, found_over, begun = counted(column, left_at - 1e-12)
        within += found_within
        over += found_over
        starts.append(begun)
    assert len(found.entrances) == len(within)
    np.testing.assert_allclose(found.within, np.mean(within), rtol=1e-9)
    np.testing.assert_allclose(found.above, np.mean(over), rtol=1e-9)
    np.testing.assert_allclose(found.start, np.mean(starts), rtol=1e-9)
