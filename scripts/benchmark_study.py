"""The cost of a study: many conditions of few paths beside one condition of as many paths in all.

Each from a process of its own, everything counted from the start of the interpreter: it is this script, with CONDITIONS
PATHS.
"""

import os
import resource
import subprocess
import sys
import time

CORES = os.cpu_count() or 1


def config(n_conditions: int, n_paths: int) -> dict:
    """SAM near a saddle for 1,000 steps, at so many values of rho; nothing leaves."""
    last = 0.02
    rhos = [last * (i + 1) / n_conditions for i in range(n_conditions)]
    return {
        "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
        "noise": {"kind": "isotropic", "sigma": 1.0},
        "optimizer": {"lr": 0.001, "batch_size": 32},
        "arms": {"SAM": {"kind": "sam", "rho": last}},
        "escape": {
            "start": [0, 0],
            "region": {"kind": "ball", "centre": [0, 0], "radius": 0.1},
            "t_max": 1.0,
        },
        "sweep": {"arms.SAM.rho": rhos},
        "run": {"n_paths": n_paths, "engine": "compiled", "check_dt": False},
    }


def compare_study(n_conditions: int, n_paths: int, repeats: int) -> list[dict]:
    """Seconds of the study and of one condition, alternating, and the memory of the process that shares the work."""
    rows = []
    for _ in range(repeats):
        for conditions, paths in ((n_conditions, n_paths), (1, n_conditions * n_paths)):
            begin = time.perf_counter()
            line = [sys.executable, __file__, str(conditions), str(paths)]
            out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
            seconds = time.perf_counter() - begin
            rows.append(
                {"conditions": conditions, "paths": paths, "seconds": seconds, "memory": float(out.split()[-1])}
            )
            print(f"{conditions} conditions x {paths} paths: {seconds:.1f} s, {rows[-1]['memory']:.0f} MB", flush=True)
    return rows


if __name__ == "__main__":
    import sam_sde as ss

    n_conditions, n_paths = map(int, sys.argv[1:])
    ss.sweep(config(n_conditions, n_paths), workers=CORES)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
