"""Path-steps per second and memory of the engines beside torchsde used naively, in one run.

    python scripts/benchmark.py [--paths 10000 100000] [--steps 1000] [--repeats 5] [--json FILE]

The task: SAM leaves a two-dimensional quadratic saddle, the loss given as a generic torch function. Every side gets the
same equation, number of threads and dtype. Naive use is `torchsde.sdeint` with its own Brownian motion, all steps
saved, and crossings searched afterwards. The sides alternate; the figures are medians, each in a process of its own, so
that the peak memory is that side's alone (beyond what importing takes).
"""

import argparse
import json
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
SIDES = ("naive torchsde", "torchsde engine")


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


def run_naive(n_paths: int, n_steps: int) -> int:
    clock = torch.linspace(0.0, n_steps * LR, n_steps + 1)
    with torch.no_grad():
        states = torchsde.sdeint(NaiveSAM(), torch.zeros(n_paths, 2), clock, method="euler", dt=LR)
        outside = states.norm(dim=-1) >= RADIUS
        first = torch.where(outside.any(0), outside.int().argmax(0), n_steps)
    assert int(first.min()) == n_steps
    return n_paths * n_steps


def run_engine(n_paths: int, n_steps: int) -> int:
    surface, noise = ss.LossSurface(loss, dim=2), ss.IsotropicNoise(SIGMA)
    dynamics = ss.SAM(surface, noise, lr=LR, batch_size=BATCH_SIZE, rho=RHO)
    region = ss.Ball(centre=[0.0, 0.0], radius=RADIUS)
    result = ss.escape_times(
        dynamics, start=[0.0, 0.0], region=region, t_max=n_steps * LR, n_paths=n_paths, engine="torchsde", device="cpu"
    )
    return result.path_steps


def measure(side: str, n_paths: int, n_steps: int) -> dict[str, float]:
    """Runs in a process of its own; the short run before warms caches and is not timed."""
    run = {"naive torchsde": run_naive, "torchsde engine": run_engine}[side]
    run(256, 32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    path_steps = run(n_paths, n_steps)
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"rate": path_steps / seconds, "memory_mb": memory / 1024}


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
            }
        )
    return rows


def print_table(report: dict) -> None:
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"{'side':<18}{'paths':>9}{'steps':>7}{'path-steps/s':>14}{'to naive':>10}{'memory MB':>11}")
    for row in report["rows"]:
        print(
            f"{row['side']:<18}{row['paths']:>9}{row['steps']:>7}{row['path_steps_per_second']:>14.3g}"
            f"{row['ratio_to_naive']:>9.2f}x{row['memory_mb']:>11.0f}"
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
        "threads": torch.get_num_threads(),
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
