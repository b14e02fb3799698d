"""All states of a few paths, kept."""

from dataclasses import dataclass

import numpy as np
import torch

from sam_sde.engines import ENGINES, EscapeProblem, run_block
from sam_sde.escape.start import NormalStart
from sam_sde.statistics import Outcome


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One path from its start to its end.

    times (n,), t = lr·steps, and states (n, dim); the last row is the escape (time and exit point inside a step), or
    the end at t_max, or the last finite state of a path that failed.
    """

    path: int
    outcome: Outcome
    times: np.ndarray
    states: np.ndarray


def trajectories(
    problem: EscapeProblem,
    start: NormalStart,
    paths: list[int],
    *,
    engine: str,
    device: torch.device,
    dtype: torch.dtype,
    every: int = 1,
) -> list[Trajectory]:
    """Integrates the paths with these numbers, keeping every `every`-th state: memory grows with the steps."""
    numbers = torch.tensor(paths, device=device)
    kept: list[list[tuple[int, np.ndarray]]] = [[] for _ in paths]
    place = {number: i for i, number in enumerate(paths)}

    def record(first_step: int, alive: torch.Tensor, states: torch.Tensor) -> None:
        offset = -first_step % every
        chunk = states[:-1][offset::every].cpu().numpy()
        for row, number in enumerate(alive.tolist()):
            kept[place[number]].append((first_step + offset, chunk[:, row]))

    result = run_block(
        problem,
        ENGINES[engine],
        start.points(numbers, problem.stream).to(dtype),
        numbers,
        compact_below=1.0,
        record=record,
    )
    ends = zip(paths, kept, result.outcome.tolist(), result.time.tolist(), result.point.cpu().numpy(), strict=True)
    return [_cut(problem.dt, every, *end) for end in ends]


def _cut(dt: float, every: int, path: int, kept, outcome: int, time: float, point: np.ndarray) -> Trajectory:
    """Joins the kept chunks of a path and ends them with the path's own end."""
    times = np.concatenate([(first + every * np.arange(len(chunk))) * dt for first, chunk in kept])
    states = np.concatenate([chunk for _, chunk in kept])
    before = times < time
    if outcome == Outcome.FAILED:
        return Trajectory(path, Outcome(outcome), times[before], states[before])
    return Trajectory(
        path,
        Outcome(outcome),
        np.append(times[before], time),
        np.concatenate([states[before], point[None]]),
    )
