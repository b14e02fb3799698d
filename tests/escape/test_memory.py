"""Memory does not grow with the number of steps, nor with paths × samples × weights."""

import subprocess
import sys

import pytest

N_PATHS, LONG, SHORT = 65_536, 400, 32

SCRIPT = """
import resource, sys
import sam_sde as ss
from sam_sde.surfaces import quadratic

sgd = ss.SGD(quadratic([1.0, 1.0]), ss.IsotropicNoise(1.0), lr=0.01, batch_size=32)
options = {"start": [0, 0], "region": ss.Ball([0, 0], 10.0), "device": "cpu", "method": "euler"}
for n_steps in map(int, sys.argv[2:]):
    result = ss.escape_times(sgd, t_max=n_steps * 0.01, n_paths=int(sys.argv[1]), **options)
    assert result.path_steps == int(sys.argv[1]) * n_steps
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


NETWORK = """
import resource, sys
import torch
import sam_sde as ss
from sam_sde.surfaces import Dataset, mlp

torch.set_num_threads(1)
x = torch.randn(500, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
surface = mlp(Dataset("normal", x, (x[:, 0] > 0).numpy().astype(int)), hidden=[40, 18])
n_paths, n_steps = int(sys.argv[1]), int(sys.argv[2])
assert surface.dim > 2000
sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.01, batch_size=32)
region = ss.Ball(surface.initial_weights, 10.0)
result = ss.escape_times(
    sgd, start=surface.initial_weights, region=region, t_max=n_steps * 0.01, n_paths=n_paths, device="cpu"
)
assert result.path_steps == n_paths * n_steps
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peaks_of_memory(script: str, *numbers: int) -> list[int]:
    command = [sys.executable, "-c", script, *map(str, numbers)]
    return [int(peak) for peak in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


@pytest.mark.slow
def test_a_long_run_takes_the_memory_of_a_short_one():
    assert N_PATHS * LONG * 2 * 4 > 2e8  # what keeping all states would take
    short, long = peaks_of_memory(SCRIPT, N_PATHS, SHORT, LONG)  # one after the other
    assert long < short + 100e6


@pytest.mark.slow
def test_a_network_with_empirical_noise_takes_less_than_two_gigabytes():
    """2,000 weights, 500 samples, 256 paths; 4 steps show what 200 take."""
    assert 256 * 500 * 2000 * 8 > 2e9  # what the gradients of all samples would take
    assert peaks_of_memory(NETWORK, 256, 4)[0] < 2e9
