"""Random numbers that are a function of their key: Philox 4x32-10, uniforms and normals.

Philox (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps a
128-bit counter and a 64-bit key to four 32-bit words. Here the key is made of (seed, arm) and the counter is
(coordinate, path, step // 4, purpose): the four words serve the steps 4j, 4j+1, 4j+2, 4j+3. A number therefore
depends on nothing but what it is for, so a path is the same path whatever the block, the chunk or the other paths.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

import torch

from sam_sde import checks

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
STEPS_PER_COUNTER = 4


class Purpose(IntEnum):
    """What a number is for; numbers for different purposes are independent."""

    DIFFUSION = 0
    SECOND_NORMAL = 1
    CROSSING = 2
    CROSSING_TIME = 3
    EXIT_POINT = 4
    START = 5
    MINIBATCH = 6
    ASCENT_MINIBATCH = 7
    VELOCITY = 8
    REFINEMENT = 9
    RESAMPLING = 10


Counter = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]


def philox(counter: Counter, key: tuple) -> Counter:
    """Philox 4x32-10: four int64 tensors that hold 32-bit words, broadcast together, to four such tensors.

    The key is two whole numbers, or scalar tensors that hold them.

    The products wrap modulo 2^64, and the bits above the 32nd are cleared only where the next product reads them.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0 = ((product1 >> 32) ^ c1 ^ k0) & MASK
        c2 = ((product0 >> 32) ^ c3 ^ k1) & MASK
        c1, c3 = product1, product0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1 & MASK, c2, c3 & MASK


def _unit_interval(word: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Words to (0, 1], never 0, so that a logarithm is finite."""
    return (word.to(dtype) + 0.5) * 2.0**-32


def _box_muller(word0: torch.Tensor, word1: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    radius = torch.sqrt(-2.0 * torch.log(_unit_interval(word0, dtype)))
    angle = (2.0 * math.pi) * _unit_interval(word1, dtype)
    return radius * torch.cos(angle), radius * torch.sin(angle)


def normals_of_quad(
    key: tuple,
    purpose: Purpose,
    path: torch.Tensor,
    quad: torch.Tensor,
    coordinate: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Standard normals (4, …) of the four steps 4·quad … 4·quad + 3; path, quad and coordinate broadcast to (…)."""
    words = philox((coordinate, path, quad, torch.full_like(quad, purpose)), key)
    return torch.stack([*_box_muller(*words[:2], dtype), *_box_muller(*words[2:], dtype)])


def diffusion_of_quad(key: tuple, path, quad, coordinate, dtype: torch.dtype) -> torch.Tensor:
    """`normals_of_quad` of the diffusion."""
    return normals_of_quad(key, Purpose.DIFFUSION, path, quad, coordinate, dtype)


def refined_diffusion_of_quad(key: tuple, path, quad, coordinate, dtype: torch.dtype) -> torch.Tensor:
    """Standard normals (4, …) of four half steps of the Brownian motion whose whole steps have `diffusion_of_quad`.

    A whole step with the normal z has the halves (z + ζ)/√2 and (z - ζ)/√2, ζ another normal: a Brownian bridge.
    """
    second_pair = quad % 2 == 1

    def two_steps(purpose: Purpose) -> torch.Tensor:
        words = philox((coordinate, path, quad // 2, torch.full_like(quad, purpose)), key)
        chosen = (torch.where(second_pair, second, first) for first, second in zip(words[:2], words[2:], strict=True))
        return torch.stack(_box_muller(*chosen, dtype))

    z, zeta = two_steps(Purpose.DIFFUSION), two_steps(Purpose.REFINEMENT)
    return 0.5**0.5 * torch.stack([z + zeta, z - zeta], dim=1).flatten(0, 1)


@dataclass(frozen=True)
class Stream:
    """All random numbers of one arm, keyed by (purpose, path, step, coordinate).

    Streams with different seeds, arm names or levels are independent; equal ones are equal, number by number.
    """

    seed: int = 0
    arm: str = ""
    level: int = 0
    key: tuple[int, int] = field(init=False, repr=False)

    # (key, path, quad, coordinate, dtype) to the normals (4, …) that drive four steps.
    diffusion = staticmethod(diffusion_of_quad)

    def __post_init__(self):
        checks.whole("seed", self.seed, low=0, high=2**64 - 1)
        name = f"{self.seed}/{self.arm}" if self.level == 0 else f"{self.level}:{self.seed}/{self.arm}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        object.__setattr__(self, "key", (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")))

    def _words(self, purpose: Purpose, path: torch.Tensor, quad: torch.Tensor, coordinate: torch.Tensor):
        return philox((coordinate, path, quad, torch.full_like(quad, purpose)), self.key)

    def normals_of_quads(
        self, purpose: Purpose, path: torch.Tensor, quads: range, coordinates: int, dtype: torch.dtype
    ) -> torch.Tensor:
        """Standard normals (quads, 4, paths, coordinates) of the four steps 4·quad … 4·quad + 3 of each quad."""
        of_quad = self.diffusion if purpose is Purpose.DIFFUSION else partial(normals_of_quad, purpose=purpose)
        quad = torch.arange(quads.start, quads.stop, device=path.device)[:, None, None]
        coordinate = torch.arange(coordinates, device=path.device)[:, None]
        return of_quad(self.key, path=path, quad=quad, coordinate=coordinate, dtype=dtype).movedim(0, 1).mT

    def uniforms(
        self, purpose: Purpose, path: torch.Tensor, step: torch.Tensor, coordinate: torch.Tensor
    ) -> torch.Tensor:
        """Float64 uniforms on (0, 1) for single (path, step, coordinate), broadcast together."""
        words = self._words(purpose, path, step // STEPS_PER_COUNTER, coordinate)
        words = torch.stack(torch.broadcast_tensors(*words))
        chosen = (step % STEPS_PER_COUNTER).expand(words.shape[1:])
        return _unit_interval(words.gather(0, chosen[None])[0], torch.float64)

    def normals(
        self, purpose: Purpose, path: torch.Tensor, step: torch.Tensor, coordinate: torch.Tensor
    ) -> torch.Tensor:
        """Float64 standard normals for single (path, step, coordinate), broadcast together."""
        word0, word1, word2, word3 = self._words(purpose, path, step // STEPS_PER_COUNTER, coordinate)
        position = step % STEPS_PER_COUNTER
        first_pair = position < 2
        cosine, sine = _box_muller(
            torch.where(first_pair, word0, word2), torch.where(first_pair, word1, word3), torch.float64
        )
        return torch.where(position % 2 == 0, cosine, sine)


class RefinedStream(Stream):
    """The numbers of a stream for steps of half the length, driven by the same Brownian motion."""

    diffusion = staticmethod(refined_diffusion_of_quad)
