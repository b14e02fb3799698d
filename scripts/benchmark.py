"""Path-steps per second and memory of the engines beside torchsde used naively, in one run.

    python scripts/benchmark.py [--paths 10000 100000] [--steps 1000] [--repeats 5] [--json FILE]

The task: SAM leaves a two-dimensional quadratic saddle, the loss given as a generic torch function. Every side has all
cores: torchsde used naively through torch's threads, the engines through worker processes of one thread each. Naive use
is `torchsde.sdeint` with its own Brownian motion, all steps saved, and crossings searched afterwards. The sides
alternate; the figures are medians. Each measurement has a process of its own, which does the job twice: the second time
counts, and the first, with the start of the workers and compiling, is reported apart. Memory is beyond what importing
takes, summed over the processes.
"""

import argparse
import contextlib
import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
import torchsde

import sam_sde as ss

RADIUS = 1e3  # nothing escapes: every side integrates the same number of path-steps
SIDES = ("naive torchsde", "torchsde engine", "compiled engine")
CORES = os.cpu_count() or 1


LR, BATCH_SIZE, RHO, SIGMA = 0.01, 32, 0.05, 1.0


def loss(w: torch.Tensor) -> torch.Tensor:
    return 0.5 * (w[0] ** 2 - 0.1 * w[1] ** 2)


class NaiveSAM:
    """SAM as one writes it for torchsde in a few lines."""

    sde_type, noise_type = "ito", "diagonal"

    def f(self, t, w):
        gradient = torch.func.vmap(torch.func.grad(loss))
        g = gradient(w)
        return -gradient(w + RHO * g / (g.norm(dim=-1, keepdim=True) + 1e-16))

    def g(self, t, w):
        return torch.full_like(w, SIGMA * (LR / BATCH_SIZE) ** 0.5)


def run_naive(n_paths: int, n_steps: int) -> None:
    clock = torch.linspace(0.0, n_steps * LR, n_steps + 1)
    with torch.no_grad():
        states = torchsde.sdeint(NaiveSAM(), torch.zeros(n_paths, 2), clock, method="euler", dt=LR)
        outside = states.norm(dim=-1) >= RADIUS
        first = torch.where(outside.any(0), outside.int().argmax(0), n_steps)
    assert int(first.min()) == n_steps


def engine_run(engine: str, n_paths: int, n_steps: int) -> ss.escape.EscapeRun:
    surface, noise = ss.LossSurface(loss, dim=2), ss.IsotropicNoise(SIGMA)
    return ss.escape.prepare(
        ss.SAM(surface, noise, lr=LR, batch_size=BATCH_SIZE, rho=RHO),
        start=[0.0, 0.0],
        region=ss.Ball(centre=[0.0, 0.0], radius=RADIUS),
        t_max=n_steps * LR,
        n_paths=n_paths,
        engine=engine,
        workers=CORES,
        device="cpu",
    )


def peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def measure(side: str, n_paths: int, n_steps: int) -> dict[str, float]:
    """Does the job twice, in a process of its own."""
    before = peak(resource.RUSAGE_SELF)
    with contextlib.ExitStack() as stack:
        if side == "naive torchsde":
            job = functools.partial(run_naive, n_paths, n_steps)
        else:
            workers = stack.enter_context(ss.escape.Workers(CORES))
            job = functools.partial(engine_run(side.split()[0], n_paths, n_steps).execute, workers=workers)
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            job()
            seconds.append(time.perf_counter() - begin)
    memory = peak(resource.RUSAGE_SELF) - before
    if side != "naive torchsde":
        memory += CORES * max(0.0, peak(resource.RUSAGE_CHILDREN) - before)
    return {"rate": n_paths * n_steps / seconds[1], "memory_mb": memory, "first_seconds": seconds[0]}


def measure_apart(side: str, n_paths: int, n_steps: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--only", side, "--paths", str(n_paths), "--steps", str(n_steps)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(n_paths: int, n_steps: int, repeats: int) -> list[dict]:
    runs = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            runs[side].append(measure_apart(side, n_paths, n_steps))
    rows = []
    for side in SIDES:
        ratios = [run["rate"] / naive["rate"] for run, naive in zip(runs[side], runs[SIDES[0]], strict=True)]
        rows.append(
            {
                "side": side,
                "paths": n_paths,
                "steps": n_steps,
                "path_steps_per_second": statistics.median(run["rate"] for run in runs[side]),
                "ratio_to_naive": statistics.median(ratios),
                "memory_mb": statistics.median(run["memory_mb"] for run in runs[side]),
                "first_seconds": statistics.median(run["first_seconds"] for run in runs[side]),
            }
        )
    return rows


def print_table(report: dict) -> None:
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"{'side':<18}{'paths':>9}{'steps':>7}{'path-steps/s':>14}{'to naive':>10}{'memory MB':>11}{'first s':>9}")
    for row in report["rows"]:
        print(
            f"{row['side']:<18}{row['paths']:>9}{row['steps']:>7}{row['path_steps_per_second']:>14.3g}"
            f"{row['ratio_to_naive']:>9.2f}x{row['memory_mb']:>11.0f}{row['first_seconds']:>9.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.paths[0], arguments.steps)))
        return
    rows = [row for paths in arguments.paths for row in compare(paths, arguments.steps, arguments.repeats)]
    machine = {
        "machine": platform.machine(),
        "cores": CORES,
        "dtype": "float32",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    report = {"machine": machine, "rows": rows}
    print_table(report)
    print(json.dumps(report))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
