"""The states of a few paths, kept."""

from collections.abc import Mapping
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

    def arrays(self) -> dict[str, np.ndarray]:
        """What was recorded, as arrays that `restore` takes."""
        arrays = {"recorded_every": np.array(self.every)}
        for path, chunks in self._chunks.items():
            firsts, states = _names(path)
            arrays[firsts] = np.array([[first, len(chunk)] for first, chunk in chunks]).reshape(-1, 2)
            arrays[states] = np.concatenate([chunk for _, chunk in chunks]) if chunks else np.empty(0)
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Takes the paths of this recorder from what another one had; whether they were all there."""
        names = {path: _names(path) for path in self.paths}
        if any(name not in arrays for pair in names.values() for name in pair):
            return False
        if arrays["recorded_every"] != self.every:
            return False
        for path, (firsts, states) in names.items():
            lengths = arrays[firsts][:, 1]
            parts = np.split(arrays[states], np.cumsum(lengths)[:-1])
            self._chunks[path] = list(zip(arrays[firsts][:, 0].tolist(), parts, strict=False))
        return True

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


def _names(path: int) -> tuple[str, str]:
    """Of the arrays that hold first step and length of each chunk, and the states."""
    return f"recorded_chunks_{path}", f"recorded_states_{path}"
