"""Path-steps per second and memory of the engines beside torchsde used naively and the best that was written by hand.

    python scripts/benchmark.py [--tasks saddle "dim 100" "SAM to 1 %"] [--sides ...] [--repeats 5] [--json FILE]
    python scripts/benchmark.py --calls 1 10 100 [--path-steps 1e6 1e7 1e8] [--limit 300] [--sides ...] [--json FILE]
    python scripts/benchmark.py --study 500 2000 [--repeats 5] [--json FILE]
    python scripts/benchmark.py --rare [--json FILE]
    python scripts/benchmark.py --networks 256 [--repeats 5] [--json FILE]
    python scripts/benchmark.py --choices [--repeats 5] [--json FILE]

Tasks: "saddle" and "dim 100" integrate SAM on a two-dimensional quadratic and on Styblinski-Tang in 100 dimensions,
nothing escapes; "time to 1 %" and "SAM to 1 %" estimate a mean escape time from a maximum that is known in closed
form, each side with the coarsest power of two as its step whose error is below 1 %.

Every side has all cores: one process a core, each with one thread and its share of the paths; torchsde used naively has
one process with all threads instead. The sides alternate; the figures are medians. Every measurement has new processes,
which do the job twice: the second time counts, and the first is reported apart, with torch's compiler's cache empty
("cold", the first of the repeats) and filled. Memory is beyond what importing takes, of the largest process. Peers that
are not installed (pip install .[bench]) are left out.

With --calls it is the wall time of so many calls from one plain script, SAM at the saddle, everything counted from the
start of the interpreter; see benchmark_calls.py. With --study 500 2000 it is that of a sweep over so many conditions
with so many paths each, beside one condition with all of them; see benchmark_study.py. With --rare it is that of
escapes by splitting; see benchmark_rare.py. With --networks 256 it is that of steps of so many networks on data; see
benchmark_networks.py. With --choices it is that of what is chosen unasked, beside all other engines and workers;
see benchmark_choice.py.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib import metadata, util

import torch
from benchmark_calls import compare_calls
from benchmark_choice import compare_choices
from benchmark_networks import measure_networks
from benchmark_rare import measure_rare
from benchmark_sides import FAR, SADDLE, SIDES, Task
from benchmark_study import compare_study

CORES = os.cpu_count() or 1
NAIVE = "naive torchsde"
PEERS = {"JAX by hand": "jax", "diffrax, events": "diffrax", "numba by hand": "numba"}

# (task, paths) by name. Exact means: 0.73944 of SGD's time to 1 %, 5.18096 of SAM's.
DIM_100 = Task("dim 100", dim=100, batch_size=32, rho=0.05, radius=FAR, dt=0.001, n_steps=200)
# Crossings between steps are missed: the error of 0.95 % is that of the chain of steps, by its transition matrix.
FINE = Task("time to 1 %", dim=1, batch_size=1, rho=0.0, radius=0.1, dt=2.0**-13, n_steps=2**16)
COARSE = Task("time to 1 %", dim=1, batch_size=1, rho=0.0, radius=0.1, dt=2.0**-3, n_steps=2**6, method="heun")
# Watched at the ends of steps SAM is 1.2 % late at 2⁻⁷ still, by the same matrix; with the bridge 0.6 % early at 2⁻³.
SAM_FINE = Task("SAM to 1 %", dim=1, batch_size=1, rho=0.1, radius=0.25, dt=2.0**-8, n_steps=25_600)
SAM_COARSE = Task("SAM to 1 %", dim=1, batch_size=1, rho=0.1, radius=0.25, dt=2.0**-3, n_steps=800)
PATHS = {"saddle": [10_000, 100_000], "dim 100": [5_000], "time to 1 %": [10_000], "SAM to 1 %": [10_000]}
SIDES_OF = {
    "saddle": list(SIDES),
    "dim 100": [NAIVE, "torchsde engine", "compiled engine", "torch by hand", "JAX by hand", "diffrax, events"],
    "time to 1 %": [NAIVE, "torchsde engine", "compiled engine"],
    "SAM to 1 %": [NAIVE, "torchsde engine", "compiled engine", "diffrax, events"],
}


def task_of(name: str, side: str) -> Task:
    if name == "time to 1 %" and side == "torchsde engine":
        return replace(COARSE, method="srk")
    of_engines = {"saddle": SADDLE, "dim 100": DIM_100, "time to 1 %": COARSE, "SAM to 1 %": SAM_COARSE}
    watched_at_steps = {**of_engines, "time to 1 %": FINE, "SAM to 1 %": SAM_FINE}
    return (of_engines if side.endswith("engine") else watched_at_steps)[name]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def start_worker(barrier, threads: int, cores: multiprocessing.Queue) -> None:
    global together
    together = barrier
    torch.set_num_threads(threads)
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores.get()})


def do_share(side: str, task: Task, seed: int, n_paths: int) -> tuple[list[tuple[float, float]], float, float]:
    """Beginning and end of each of the two runs, the memory in MB, and the mean time of escape."""
    before = peak_mb()
    spans = []
    job = SIDES[side](task, seed, n_paths)
    for _ in range(2):
        together.wait()
        begin = time.perf_counter()
        mean = job()
        spans.append((begin, time.perf_counter()))
    return spans, peak_mb() - before, mean


def measure(side: str, task: Task, n_paths: int) -> dict[str, float]:
    workers = 1 if side == NAIVE else CORES
    context = multiprocessing.get_context("spawn")
    cores = context.Queue()
    for core in range(CORES):
        cores.put(core)
    initial = (context.Barrier(workers), CORES // workers, cores)
    with ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=initial) as pool:
        futures = [pool.submit(do_share, side, task, seed, n_paths // workers) for seed in range(workers)]
        spans, memory, means = zip(*(future.result() for future in futures), strict=True)
    first, second = (
        max(ends) - min(begins) for begins, ends in (zip(*run, strict=True) for run in zip(*spans, strict=True))
    )
    return {"seconds": second, "first_seconds": first, "memory_mb": max(memory), "mean_time": statistics.mean(means)}


def compare(name: str, n_paths: int, sides: list[str], repeats: int) -> list[dict]:
    runs: dict[str, list[dict]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as os.environ["TORCHINDUCTOR_CACHE_DIR"]:
        for _ in range(repeats):
            for side in sides:
                runs[side].append(measure(side, task_of(name, side), n_paths))
    rows = []
    for side in sides:
        seconds = statistics.median(run["seconds"] for run in runs[side])
        row = {
            "task": name,
            "paths": n_paths,
            "side": side,
            "seconds": seconds,
            "path_steps_per_second": n_paths * task_of(name, side).n_steps / seconds,
            "memory_mb": statistics.median(run["memory_mb"] for run in runs[side]),
            "cold_seconds": runs[side][0]["first_seconds"],
            "first_seconds": statistics.median(run["first_seconds"] for run in runs[side]),
            "mean_time": statistics.mean(run["mean_time"] for run in runs[side]),
        }
        if NAIVE in sides:
            pairs = zip(runs[NAIVE], runs[side], strict=True)
            row["times_naive"] = statistics.median(naive["seconds"] / run["seconds"] for naive, run in pairs)
        rows.append(row)
    return rows


def print_rows(rows: list[dict]) -> None:
    print(f"\n{rows[0]['task']}, {rows[0]['paths']:,} paths")
    heads = f"{'to naive':>10}{'memory MB':>11}{'cold s':>8}{'first s':>9}{'mean':>11}"
    print(f"{'side':<18}{'seconds':>9}{'path-steps/s':>14}{heads}")
    for row in rows:
        print(
            f"{row['side']:<18}{row['seconds']:>9.3g}{row['path_steps_per_second']:>14.3g}"
            f"{row.get('times_naive', float('nan')):>9.2f}x{row['memory_mb']:>11.0f}"
            f"{row['cold_seconds']:>8.1f}{row['first_seconds']:>9.1f}{row['mean_time']:>11.5g}",
            flush=True,
        )


def machine() -> dict[str, object]:
    with open("/proc/cpuinfo", encoding="utf-8") if os.path.exists("/proc/cpuinfo") else open(os.devnull) as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    packages = ["torch", "torchsde", "numba", "jax", "diffrax"]
    versions = {name: metadata.version(name) for name in packages if util.find_spec(name)}
    return {"machine": model, "cores": CORES, "dtype": "float32", "python": platform.python_version(), **versions}


def installed(sides: list[str]) -> list[str]:
    return [side for side in sides if side not in PEERS or util.find_spec(PEERS[side])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--paths", type=int, nargs="+", help="numbers of paths, instead of each task's own")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    parser.add_argument("--calls", type=int, nargs="+", help="measure so many calls from one script instead")
    parser.add_argument("--path-steps", type=float, nargs="+", default=[1e6, 1e7, 1e8], help="of each of these calls")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which no further call is begun")
    parser.add_argument("--rare", action="store_true", help="measure rare escapes instead")
    parser.add_argument("--networks", type=int, metavar="RUNS", help="measure steps of networks on data instead")
    parser.add_argument("--study", type=int, nargs=2, metavar=("CONDITIONS", "PATHS"), help="measure a study instead")
    parser.add_argument("--choices", action="store_true", help="measure what is chosen unasked instead")
    arguments = parser.parse_args()
    report = {"machine": machine(), "rows": []}
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    if arguments.calls:
        sides = installed([side for side in SIDES_OF["saddle"] if side in arguments.sides])
        report["rows"] = compare_calls(sides, list(map(int, arguments.path_steps)), arguments.limit, arguments.calls)
    elif arguments.rare:
        report["rows"] = measure_rare()
    elif arguments.networks:
        report["rows"] = measure_networks(arguments.networks, arguments.repeats)
    elif arguments.choices:
        report["rows"] = compare_choices(arguments.repeats)
    elif arguments.study:
        report["rows"] = compare_study(*arguments.study, arguments.repeats)
    else:
        for name in arguments.tasks:
            sides = installed([side for side in SIDES_OF[name] if side in arguments.sides])
            for n_paths in arguments.paths or PATHS[name]:
                rows = compare(name, n_paths, sides, arguments.repeats)
                print_rows(rows)
                report["rows"] += rows
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
