"""What the engine and the workers that are chosen unasked cost beside every other choice.

Twelve problems, from one path of a formula to 500 networks on data, each as one call in a process of its own, after
imports and with torch's compiler's cache filled: `engine: auto`, or `discrete` where the algorithm is asked for, with
`workers` left out; and every engine that fits with one worker and with one a core. What takes longer than a minute is
given up.

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
PATIENCE, UNFINISHED = 60.0, float("inf")


def bowl(n_paths: int, n_steps: int, sigma: float = 1.0, **options) -> dict:
    """At a minimum of two coordinates, which nothing leaves: paths that end early are no work."""
    surface = quadratic([1.0, 1.0])
    optimizer = ss.SAM(surface, ss.IsotropicNoise(sigma), lr=0.01, batch_size=32, rho=0.05, **options)
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
    "1 path of a formula": (SDES, lambda: bowl(1, 20_000)),
    "1 path of a formula, the algorithm without noise": (ALGORITHMS, lambda: bowl(1, 100_000, sigma=0.0)),
    "100 paths": (SDES, lambda: bowl(100, 5000)),
    "10⁴ paths": (SDES, lambda: bowl(10_000, 5000)),
    "10⁴ paths, momentum": (SDES, lambda: bowl(10_000, 1000, momentum=0.9)),
    "10⁴ paths, the algorithm": (ALGORITHMS, lambda: bowl(10_000, 5000)),
    "10⁶ paths": (SDES, lambda: bowl(1_000_000, 1000)),
    "5,000 paths of 100 coordinates": (SDES, many_coordinates),
    "10 networks, the SDE": (SDES, lambda: network(10, 20, units=4)),
    "2 networks": (ALGORITHMS, lambda: network(2, 1000)),
    "64 networks, SAM": (ALGORITHMS, lambda: network(64, 500, ascent="same")),
    "500 networks": (ALGORITHMS, lambda: network(500, 1000)),
}


def compare_choices(repeats: int) -> list[dict]:
    """A row for each problem and choice: the least of so many seconds. What is chosen comes last, with a full cache."""
    rows = []
    for problem, (engines, _) in PROBLEMS.items():
        asked, *others = engines
        choices = [(engine, workers) for engine in others for workers in sorted({1, CORES})]
        seconds = {
            f"{engine}, {workers or 'its own'} workers": least_seconds(problem, engine, workers, repeats)
            for engine, workers in [*choices, (asked, 0)]
        }
        *alternatives, own = seconds.values()
        rows.append({"problem": problem, "seconds": seconds, "to_best": own / min(own, *alternatives)})
        told = ", ".join(f"{choice} {each:.2f}" for choice, each in seconds.items())
        print(f"{problem}: {rows[-1]['to_best']:.2f} times the best; seconds: {told}", flush=True)
    return rows


def least_seconds(problem: str, engine: str, workers: int, repeats: int) -> float:
    """Infinite where it takes longer than PATIENCE."""
    command = [sys.executable, __file__, problem, engine, str(workers)]
    times = []
    for _ in range(repeats):
        try:
            process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
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
