"""From arguments to the mean time of an escape that is too rare to wait for."""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.escape import Progress, Start, compute
from sam_sde.parameters import Point
from sam_sde.rare.measuring import measure
from sam_sde.rare.preparation import REPEATS, WALKERS, prepare_halved, prepare_rare
from sam_sde.rare.result import RareResult
from sam_sde.regions import Region


def rare_escape_times(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    region: Region,
    score: str | Region | Callable = "auto",
    core: float | None = None,
    levels: Sequence[float] | None = None,
    walkers: int = WALKERS,
    repeats: int = REPEATS,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "auto",
    engine: str = "auto",
    crossing: str = "auto",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    workers: int | None = None,
    task_timeout: float | None = None,
    executor: Executor | None = None,
    check_dt: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> RareResult:
    """The mean time after which `dynamics` leaves a region that hardly any path leaves, by multilevel splitting.

    Paths stay in a core and set out from there in vain, again and again. With L the mean time of such a loop and p the
    probability that it ends outside, E τ = L/p but for the way to the first loop. p is a product over levels of a
    score: walkers that come to a level are cloned there. p̂ is unbiased for the chain of the engine's steps, whatever
    score and levels are; a poor score makes it vary more, and the result warns of that.

    start, region, seed, arm, dt, method, engine, crossing, device, dtype, task_timeout, executor: as for
        `escape_times`. The error that dt makes grows exponentially as escapes get rarer.
    score: how far a state is on its way out, see `sam_sde.rare.score.score_of`.
    core: the score below which a path counts as back; default the median where paths stay. levels: increasing scores
        above it, before the exit; default those of a pilot, a third of whose walkers come from each to the next.
    walkers: at each level. repeats: independent ones, from which the interval is; workers share them.
    check_dt: does it all again with steps of dt/2, for `result.halved` and a warning where they differ.
    progress: called with a `Progress` of the stages of all repeats.

    Raises
        ArgumentError: an argument out of its range, dynamics that change with time, a score that is constant or does
            not grow towards the exit; or paths that leave before they settle, which need no splitting.
        HeldError: another trap than the core holds walkers.
        EscapeInterrupted: Ctrl-C, with the result of the repeats that had ended, or None where there were not two.

    >>> rare_escape_times(sam, start=[0, 0], region=Ball([0, 0], 1.0), repeats=16)
    """
    options = {
        "score": score,
        "core": core,
        "levels": levels,
        "walkers": walkers,
        "repeats": repeats,
        "seed": seed,
        "arm": arm,
        "dt": dt,
        "method": method,
        "engine": engine,
        "crossing": crossing,
        "device": device,
        "dtype": dtype,
        "workers": workers,
        "task_timeout": task_timeout,
    }
    rare = prepare_rare(dynamics, start=start, region=region, **options)
    half = prepare_halved(rare) if checks.boolean("check_dt", check_dt) else None
    for sentence in rare.run.precision_warnings:
        warnings.warn(sentence, stacklevel=2)
    share = partial(compute, executor=executor)
    result = measure(rare, progress, share)
    if half is not None:
        result = replace(result, halved=measure(half, progress, share))
    for sentence in result.warnings:
        warnings.warn(sentence, stacklevel=2)
    return result
