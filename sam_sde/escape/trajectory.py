"""The states of a few paths, kept."""

from dataclasses import dataclass

import numpy as np
import torch

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


class Recorder:
    """Keeps every `every`-th state of the paths with the numbers `paths` while blocks are integrated."""

    def __init__(self, paths: list[int], every: int = 1):
        self.paths = paths
        self.every = every
        self._chunks: dict[int, list[tuple[int, np.ndarray]]] = {path: [] for path in paths}

    def record(self, first_step: int, alive: torch.Tensor, states: torch.Tensor) -> None:
        """Takes what it wants of a chunk: states (steps + 1, paths, dim) of the paths numbered `alive`."""
        rows = torch.isin(alive, torch.tensor(self.paths, device=alive.device)).nonzero()[:, 0]
        offset = -first_step % self.every
        chunk = states[:-1, rows][offset :: self.every].cpu().numpy()
        for i, path in enumerate(alive[rows].tolist()):
            self._chunks[path].append((first_step + offset, chunk[:, i]))

    def take(self, other: "Recorder") -> None:
        """The chunks of a recorder that came back from another process."""
        self._chunks.update({path: chunks for path, chunks in other._chunks.items() if chunks})

    def trajectory(self, path: int, dt: float, outcome: int, time: float, point: np.ndarray) -> Trajectory:
        """The kept states of a path before `time`, ended by how it ended."""
        chunks = self._chunks[path]
        times = np.concatenate([(first + self.every * np.arange(len(chunk))) * dt for first, chunk in chunks])
        states = np.concatenate([chunk for _, chunk in chunks])
        before = times < time
        times, states = times[before], states[before]
        if outcome == Outcome.FAILED:
            return Trajectory(path, Outcome(outcome), times, states)
        return Trajectory(path, Outcome(outcome), np.append(times, time), np.concatenate([states, point[None]]))
