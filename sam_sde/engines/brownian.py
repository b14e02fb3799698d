"""A Brownian motion for torchsde whose increments are keyed by path, step and coordinate."""

from collections.abc import Callable

import torch
import torchsde

from sam_sde.random import STEPS_PER_COUNTER, Purpose, Stream

# The numbers of several steps are drawn together where they are so few that most of the time goes in telling torch.
FEW_NUMBERS = 2**15
MAX_QUADS = 8


class KeyedBrownian(torchsde.BaseBrownian):
    """Increments over the steps [k, k+1] of a clock that counts steps: standard normals (paths, channels).

    It must be asked once a step, in order, beginning with `first_step`. With `return_U` it also gives the space-time
    integral U = W/2 + N/√12 of a unit step, N a second keyed normal, which torchsde's srk needs. `on_step` is called
    once a step.
    """

    def __init__(
        self,
        stream: Stream,
        paths: torch.Tensor,
        channels: int,
        dtype: torch.dtype,
        first_step: int,
        on_step: Callable[[], None] = lambda: None,
    ):
        self._stream = stream
        self._paths = paths
        self._channels = channels
        self._dtype = dtype
        self._next_step = first_step
        self._on_step = on_step
        fitting = max(1, min(MAX_QUADS, FEW_NUMBERS // (len(paths) * channels)))
        self._quads_at_once = 1 << (fitting.bit_length() - 1)  # a power of two divides a chunk
        self._drawn: dict[Purpose, tuple[range, torch.Tensor]] = {}

    def __call__(self, ta, tb=None, return_U=False, return_A=False):
        step = self._next_step
        if float(ta) != step or float(tb) != step + 1:
            raise RuntimeError(f"the Brownian motion was asked for [{float(ta)}, {float(tb)}], not step {step}")
        self._next_step += 1
        self._on_step()
        increment = self._normal(Purpose.DIFFUSION, step)
        if not return_U:
            return increment
        return increment, 0.5 * increment + 12**-0.5 * self._normal(Purpose.SECOND_NORMAL, step)

    def _normal(self, purpose: Purpose, step: int) -> torch.Tensor:
        quad, position = divmod(step, STEPS_PER_COUNTER)
        quads, normals = self._drawn.get(purpose, (range(0), None))
        if quad not in quads:
            quads = range(quad, quad + self._quads_at_once)
            normals = self._stream.normals_of_quads(purpose, self._paths, quads, self._channels, self._dtype)
            self._drawn[purpose] = (quads, normals)
        return normals[quad - quads.start, position]

    def __repr__(self):
        return f"KeyedBrownian(seed={self._stream.seed}, arm={self._stream.arm!r}, shape={self.shape})"

    @property
    def dtype(self):
        return self._dtype

    @property
    def device(self):
        return self._paths.device

    @property
    def shape(self):
        return (len(self._paths), self._channels)

    @property
    def levy_area_approximation(self):
        return "space-time"
