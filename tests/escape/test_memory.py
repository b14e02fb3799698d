"""Memory does not grow with the number of steps."""

import subprocess
import sys

import pytest

N_PATHS, LONG, SHORT = 65_536, 2048, 64

SCRIPT = """
import resource, sys
import sam_sde as ss
from sam_sde.surfaces import quadratic

sgd = ss.SGD(quadratic([1.0, 1.0]), ss.IsotropicNoise(1.0), lr=0.01, batch_size=32)
n_paths, n_steps = int(sys.argv[1]), int(sys.argv[2])
result = ss.escape_times(
    sgd, start=[0, 0], region=ss.Ball([0, 0], 10.0), t_max=n_steps * 0.01, n_paths=n_paths, device="cpu"
)
assert result.path_steps == n_paths * n_steps
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak_memory(n_steps: int) -> int:
    command = [sys.executable, "-c", SCRIPT, str(N_PATHS), str(n_steps)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_a_long_run_takes_the_memory_of_a_short_one():
    assert N_PATHS * LONG * 2 * 4 > 1e9  # what keeping all states would take
    assert peak_memory(LONG) < peak_memory(SHORT) + 100e6
