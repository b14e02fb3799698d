"""Constants of the model (centres, matrices) that follow the state to its device and dtype."""

from __future__ import annotations

import torch


class DeviceCopies:
    """A float64 tensor and its copies in the dtypes and on the devices that asked for it.

    The copy is made once, so that a step on a GPU waits for no transfer.
    """

    def __init__(self, value: torch.Tensor):
        self.value = value.detach().to("cpu", torch.float64)
        self._copies: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}

    def like(self, w: torch.Tensor) -> torch.Tensor:
        key = (w.dtype, w.device)
        if key not in self._copies:
            self._copies[key] = self.value.to(device=w.device, dtype=w.dtype)
        return self._copies[key]

    def __getstate__(self):
        return self.value

    def __setstate__(self, value: torch.Tensor):
        self.__init__(value)
