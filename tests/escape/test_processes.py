"""Worker processes are those of the call before, unless these would compute with something else."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sam_sde.escape import processes
from sam_sde.escape.processes import _modules_written, own_device

SCRIPT = """
import os, sys, time
import sam_sde as ss
from sam_sde.escape import processes

print("begins")
offset = float(sys.argv[1])  # read by the main module's loss, which no worker imports
loss = ss.LossSurface(lambda w: (w[0] ** 2 - w[1] ** 2) / 2 + offset, 2)
sgd = ss.SGD(loss, ss.IsotropicNoise(1.0), lr=0.01)
options = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 1.0, "n_paths": 256, "block_size": 64}
shared, alone = (ss.escape_times(sgd, engine="torchsde", workers=workers, **options) for workers in (2, 1))
assert (shared.times == alone.times).all()
print(*{processes(2).submit(os.getpid).result() for _ in range(20)}, flush=True)
time.sleep(float(sys.argv[2]))
"""


def pids(count: int = 2) -> set[int]:
    return {processes(count).submit(os.getpid).result() for _ in range(20)}


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process ends within so many seconds; one that only waits to be reaped has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_processes_are_kept_until_one_is_lost_or_another_number_is_asked_for():
    first = pids()
    kept = processes(2)
    assert len(first | pids()) <= 2
    assert processes(2) is kept
    os.kill(next(iter(first)), signal.SIGKILL)
    assert gone(next(iter(first)))
    assert not pids() & first
    assert processes(2) is not kept
    assert len(pids(1)) == 1


@pytest.mark.slow
def test_code_of_the_user_s_that_is_written_anew_is_imported_anew(tmp_path, monkeypatch):
    file = tmp_path / "losses_of_the_user.py"
    file.write_text("def value():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import losses_of_the_user

    assert processes(1).submit(losses_of_the_user.value).result() == 1
    kept = processes(1)
    file.write_text("def value():\n    return 2  # longer, so that no cache of bytes is taken for it\n")
    assert processes(1) is not kept
    assert processes(1).submit(losses_of_the_user.value).result() == 2
    monkeypatch.chdir(tmp_path)
    assert processes(1).submit(os.getcwd).result() == str(tmp_path)


@pytest.mark.slow
def test_a_process_has_the_environment_of_the_time_when_it_begins(monkeypatch):
    """And not that of the server from which it is forked."""
    pids(2)
    for count, value in ((1, "one"), (2, "two")):
        monkeypatch.setenv("OF_THE_USER", value)
        assert processes(count).submit(os.getenv, "OF_THE_USER").result() == value
    monkeypatch.delenv("HOME")
    assert processes(1).submit(os.getenv, "HOME").result() is None


def test_what_is_installed_is_not_looked_at():
    written = _modules_written()
    assert "sam_sde" in written
    assert not {"torch", "numpy", "os"} & set(written)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", ["of itself", "killed"])
def test_a_script_needs_no_guard_and_leaves_no_process(tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), "3.0", "0" if end == "of itself" else "1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begins\n"
    workers = [int(pid) for pid in process.stdout.readline().split()]  # and not begun again in these
    assert workers
    if end == "killed":
        process.kill()
    assert process.wait() == (0 if end == "of itself" else -signal.SIGKILL)
    assert all(map(gone, workers))


def test_each_worker_has_a_gpu_of_its_own_unless_one_was_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for place, device, own in (
        ((1,), "cuda", "cuda:0"),
        ((2,), "cuda", "cuda:1"),
        ((3,), "cuda", "cuda:0"),
        ((2,), "cuda:0", "cuda:0"),
        ((2,), "cpu", "cpu"),
        ((), "cuda", "cuda"),
    ):
        monkeypatch.setattr(multiprocessing.current_process(), "_identity", place)
        assert own_device(torch.device(device)) == torch.device(own)
