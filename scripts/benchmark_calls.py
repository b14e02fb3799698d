"""Wall time of many calls from one plain script, everything counted: the interpreter's start, imports, compiling.

Run by benchmark.py, in a new process for each side: python scripts/benchmark_calls.py SIDE PATHS LIMIT CALLS...
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from benchmark_sides import SADDLE, SIDES

CORES = os.cpu_count() or 1
BY_HAND = ("torch by hand", "JAX by hand", "numba by hand")  # threads share their paths; the others see to that
COLD = "compiled engine"  # is measured twice: with torch's compiler's cache empty, and filled by that


def calls(side: str, n_paths: int, limit: float, counts: list[int]) -> dict[int, float]:
    """The clock after so many calls of SAM at a saddle, each with a seed of its own; none after `limit` seconds."""
    begin, ends = time.perf_counter(), {}
    shares = CORES if side in BY_HAND else 1
    for call in range(max(counts)):
        seeds = range(call * shares, (call + 1) * shares)
        with ThreadPoolExecutor(shares) as threads:
            list(threads.map(lambda seed: SIDES[side](SADDLE, seed, n_paths // shares)(), seeds))
        if call + 1 in counts:
            ends[call + 1] = time.perf_counter()
        if time.perf_counter() - begin > limit:
            break
    return ends


def seconds_of_calls(side: str, n_paths: int, limit: float, counts: list[int]) -> dict[int, float]:
    """Of so many calls, in a process of their own; left out where they take longer than `limit` seconds."""
    command = [sys.executable, __file__, side, str(n_paths), str(limit), *map(str, counts)]
    begin = time.perf_counter()
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {int(count): end - begin for count, end in json.loads(process.stdout.splitlines()[-1]).items()}


def compare_calls(sides: list[str], sizes: list[int], limit: float, counts: list[int]) -> list[dict]:
    """A row for each number of path-steps and side: the seconds of so many calls."""
    rows = []
    for size in sizes:
        for side in sides:
            with tempfile.TemporaryDirectory() as os.environ["TORCHINDUCTOR_CACHE_DIR"]:
                for again in range(2 if side == COLD else 1):
                    name = f"{side}, cold" if side == COLD and not again else side
                    seconds = seconds_of_calls(side, size // SADDLE.n_steps, limit, counts)
                    rows.append({"path_steps": size, "side": name, "seconds": seconds})
                    print_calls(rows[-1], counts, first=len(rows) == 1)
    return rows


def print_calls(row: dict, counts: list[int], first: bool) -> None:
    if first:
        print(f"{'path-steps':>10}  {'side':<24}" + "".join(f"{f'{count} calls, s':>14}" for count in counts))
    times = "".join(f"{row['seconds'].get(count, float('nan')):>14.2f}" for count in counts)
    print(f"{row['path_steps']:>10.0e}  {row['side']:<24}{times}", flush=True)


if __name__ == "__main__":
    side, n_paths, limit, *counts = sys.argv[1:]
    print(json.dumps(calls(side, int(n_paths), float(limit), [int(count) for count in counts])))
