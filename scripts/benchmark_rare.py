"""The cost of a rare escape: an Ornstein-Uhlenbeck process from 0 to 4, 6 and 8 standard deviations, by splitting.

Beside it stands what direct simulation would need for the same relative error, at the rate of path-steps that the same
engine reached: that is never waited for.
"""

import math
import time
import warnings

import torch

import sam_sde as ss

# θ E τ, from √(2π) ∫₀ᶻ exp(u²/2) Φ(u) du.
EXACT = {4: 2018.392, 6: 2.826750e7, 8: 2.514765e13}
LR, BATCH_SIZE = 0.01, 32


def measure_rare() -> list[dict]:
    """Seconds for each, with compiling in the first; the mean time over the exact one, its error, and the gain."""
    surface = ss.surfaces.quadratic([1.0])
    dynamics = ss.SGD(surface, ss.IsotropicNoise(math.sqrt(2 * BATCH_SIZE / LR)), lr=LR, batch_size=BATCH_SIZE)
    rows = []
    for z, exact in EXACT.items():
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            region = ss.Box([-1e6], [float(z)])
            result = ss.rare_escape_times(dynamics, start=[0.0], region=region, score="region", engine="compiled")
        seconds = time.perf_counter() - begin
        direct = seconds * result.gain
        row = {
            "z": z,
            "seconds": seconds,
            "ratio": result.mean_time.value / exact,
            "relative_error": result.mean_time.relative_error,
            "gain": result.gain,
            "direct_seconds": direct,
        }
        rows.append(row)
        print(
            f"z = {z}: {seconds:.1f} s, {row['ratio']:.3f} ± {row['relative_error']:.3f} of the exact mean time, gain "
            f"{row['gain']:.2g}, direct simulation {direct:.2g} s, {torch.get_num_threads()} threads",
            flush=True,
        )
    return rows
