"""The memory that compiled steps write to: what is new to a process takes longer to get than to fill."""

import threading

import torch

from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.quads import places_in
from sam_sde.random import STEPS_PER_COUNTER


class Memory(threading.local):
    """Each thread has its own, and uses it for chunk after chunk as long as these are alike."""

    def __init__(self, layout: Layout, like: torch.Tensor):
        """like: of the dtype and on the device of the states."""
        self._layout, self._like = layout, like
        self._states = self._places = self._paths = self._cells = None

    def states(self, n_paths: int, n_quads: int) -> tuple[torch.Tensor, torch.Tensor, list]:
        """For an anchor (paths, dim), and states (4 · n_quads + 1, paths, dim).

        And for each four steps the state before them, and the places of those that they give.
        """
        shape = (STEPS_PER_COUNTER * n_quads + 2, n_paths)
        if self._states is None or self._states.shape[:2] != shape:
            self._states = self._layout.empty(*shape, like=self._like)
            states = self._states[1:]
            self._places = [
                (states[k], places_in(self._layout, states[k + 1 : k + 1 + STEPS_PER_COUNTER]))
                for k in range(0, len(states) - 1, STEPS_PER_COUNTER)
            ]
        return self._states[0], self._states[1:], self._places

    def cells(self, paths: torch.Tensor) -> torch.Tensor:
        """Those of the normals of the paths with these numbers, as `Layout.cells` has them."""
        if self._paths is not paths:
            self._paths, self._cells = paths, self._layout.cells(paths)
        return self._cells
