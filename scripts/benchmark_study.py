"""The cost of a study: many conditions of few paths beside one condition of as many paths in all.

Each from a process of its own, everything counted from the start of the interpreter: it is this script, with CONDITIONS
PATHS STEPS. A condition costs Python some time whatever it simulates, so that matters less the longer its paths: the
steps are few, those of configs/sweep_rho_batch.yaml, and those of configs/rare_sam.yaml.
"""

import os
import resource
import subprocess
import sys
import time
from itertools import product

CORES = os.cpu_count() or 1
LR, STEPS = 0.001, (1_000, 5_000, 40_000)


def config(n_conditions: int, n_paths: int, n_steps: int) -> dict:
    """SAM around a minimum, at so many values of rho; nothing leaves."""
    last = 0.02
    rhos = [last * (i + 1) / n_conditions for i in range(n_conditions)]
    return {
        "surface": {"name": "quadratic", "eigenvalues": [1.0, 1.0]},
        "noise": {"kind": "isotropic", "sigma": 1.0},
        "optimizer": {"lr": LR, "batch_size": 32},
        "arms": {"SAM": {"kind": "sam", "rho": last}},
        "escape": {
            "start": [0, 0],
            "region": {"kind": "ball", "centre": [0, 0], "radius": 0.1},
            "t_max": LR * n_steps,
        },
        "sweep": {"arms.SAM.rho": rhos},
        "run": {"n_paths": n_paths, "engine": "compiled", "check_dt": False},
    }


def compare_study(n_conditions: int, n_paths: int, repeats: int) -> list[dict]:
    """Seconds of the study and of one condition, alternating, and the memory of the process that shares the work."""
    rows = []
    for _, n_steps in product(range(repeats), STEPS):
        for conditions, paths in ((n_conditions, n_paths), (1, n_conditions * n_paths)):
            begin = time.perf_counter()
            line = [sys.executable, __file__, str(conditions), str(paths), str(n_steps)]
            out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
            seconds, memory = time.perf_counter() - begin, float(out.split()[-1])
            rows.append(
                {"conditions": conditions, "paths": paths, "steps": n_steps, "seconds": seconds, "memory": memory}
            )
            print(
                f"{conditions} conditions x {paths} paths x {n_steps} steps: {seconds:.1f} s, {memory:.0f} MB",
                flush=True,
            )
    return rows


if __name__ == "__main__":
    import sam_sde as ss

    ss.sweep(config(*map(int, sys.argv[1:])), workers=CORES)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
