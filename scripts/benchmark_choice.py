"""What the engine and the workers that are chosen unasked cost beside every other choice.

Twelve problems, from one path of a formula to 500 networks on data, each as one call in a process of its own, after
imports and with torch's compiler's cache filled: `engine: auto`, or `discrete` where the algorithm is asked for, with
`workers` left out; and every engine that fits with one worker and with one a core. What takes longer than three times
that is given up.

Run by benchmark.py: python scripts/benchmark_choice.py PROBLEM ENGINE WORKERS, 0 of these for the call's own choice.
"""

import os
import subprocess
import sys
import time
from functools import partial

import torch

import sam_sde as ss
from sam_sde.escape import execute, prepare
from sam_sde.surfaces import quadratic, styblinski_tang

CORES = os.cpu_count() or 1
# What is asked for, and what may be chosen.
SDES, ALGORITHMS = ("auto", "torchsde", "compiled"), ("discrete", "discrete", "compiled_discrete")
PATIENCE = 3.0  # times what was chosen
UNFINISHED = float("inf")


def saddle(n_paths: int, n_steps: int, rho: float = 0.05, sigma: float = 1.0, **options) -> dict:
    """At the saddle of (x² - y²)/2, from which few leave."""
    surface = quadratic([1.0, -1.0])
    optimizer = ss.SAM(surface, ss.IsotropicNoise(sigma), lr=0.01, batch_size=32, rho=rho, **options)
    return {
        "dynamics": optimizer,
        "start": [0.05, 0.05],
        "region": ss.Ball([0.0, 0.0], 0.5),
        "t_max": 0.01 * n_steps,
        "n_paths": n_paths,
    }


def many_coordinates() -> dict:
    surface = styblinski_tang(dim=100)
    optimizer = ss.SGD(surface, ss.IsotropicNoise(1.0), lr=0.001, batch_size=32)
    region = ss.Ball([0.0] * 100, 100.0)
    return {"dynamics": optimizer, "start": [0.1] * 100, "region": region, "t_max": 1.0, "n_paths": 5000}


def network(n_paths: int, n_steps: int, units: int = 16, **options) -> dict:
    """A perceptron on handwritten digits, watched in the space of its weights."""
    data = ss.load_dataset("digits")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, units), torch.nn.Tanh(), torch.nn.Linear(units, 10))
    loss = torch.nn.functional.cross_entropy
    surface = ss.network_surface(module, loss, (data.features.float(), data.classes()[0]))
    common = {"lr": 0.05, "batch_size": 32, "momentum": 0.9}
    noise, make = ss.EmpiricalNoise(surface), partial(ss.SAM, rho=0.05) if options else ss.SGD
    return {
        "dynamics": make(surface, noise, **common, **options),
        "start": surface.initial_weights,
        "region": ss.Ball(surface.initial_weights, 1e3),
        "t_max": 0.05 * n_steps,
        "n_paths": n_paths,
    }


PROBLEMS = {
    "1 path of a formula": (SDES, lambda: saddle(1, 20_000)),
    "1 path of a formula, the algorithm without noise": (ALGORITHMS, lambda: saddle(1, 200_000, sigma=0.0)),
    "100 paths": (SDES, lambda: saddle(100, 5000)),
    "10⁴ paths": (SDES, lambda: saddle(10_000, 5000)),
    "10⁴ paths, momentum": (SDES, lambda: saddle(10_000, 1000, momentum=0.9)),
    "10⁴ paths, the algorithm": (ALGORITHMS, lambda: saddle(10_000, 5000)),
    "10⁶ paths": (SDES, lambda: saddle(1_000_000, 1000)),
    "5,000 paths of 100 coordinates": (SDES, many_coordinates),
    "10 networks, the SDE": (SDES, lambda: network(10, 20, units=4)),
    "2 networks": (ALGORITHMS, lambda: network(2, 1000)),
    "64 networks, SAM": (ALGORITHMS, lambda: network(64, 500, ascent="same")),
    "500 networks": (ALGORITHMS, lambda: network(500, 1000)),
}


def compare_choices(repeats: int) -> list[dict]:
    """A row for each problem and choice: the least of so many seconds."""
    rows = []
    for problem, (engines, _) in PROBLEMS.items():
        chosen, *others = engines
        seconds = {f"{chosen}, its own choice": least_seconds(problem, chosen, 0, repeats, limit=None)}
        limit = PATIENCE * next(iter(seconds.values()))
        for engine in others:
            for workers in sorted({1, CORES}):
                seconds[f"{engine}, {workers} workers"] = least_seconds(problem, engine, workers, repeats, limit)
        times, *alternatives = seconds.values()
        rows.append({"problem": problem, "seconds": seconds, "to_best": times / min(times, *alternatives)})
        told = ", ".join(f"{choice} {each:.2f}" for choice, each in seconds.items())
        print(f"{problem}: {rows[-1]['to_best']:.2f} times the best; seconds: {told}", flush=True)
    return rows


def least_seconds(problem: str, engine: str, workers: int, repeats: int, limit: float | None) -> float:
    """Infinite where it takes longer than the limit, and half a minute to import and compile."""
    command = [sys.executable, __file__, problem, engine, str(workers)]
    times = []
    for _ in range(repeats):
        patience = None if limit is None else limit + 30.0
        try:
            process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=patience)
        except subprocess.TimeoutExpired:
            return UNFINISHED
        times.append(float(process.stdout.split()[-1]))
    return min(times)


def seconds_of(problem: str, engine: str, workers: int) -> float:
    options = PROBLEMS[problem][1]()
    begin = time.perf_counter()
    run = prepare(options.pop("dynamics"), engine=engine, workers=workers or None, **options)
    execute(run.with_engine(engine) if workers else run)
    return time.perf_counter() - begin


if __name__ == "__main__":
    name, engine, workers = sys.argv[1:]
    print(seconds_of(name, engine, int(workers)))
