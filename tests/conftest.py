"""One thread a process: the suite runs in several processes, and threads that wait for each other only slow it.

The vector instructions that the processor names are taken for granted: torch would compile five programs to try them.
"""

import functools
import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")

import pytest
import torch

torch.set_num_threads(1)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture
def uncompiled(monkeypatch):
    """The compiled engine runs the graphs that it would compile, operation by operation: that takes no seconds."""
    from sam_sde.engines.compiled import compilation, loops

    monkeypatch.setattr(compilation, "standalone_compile", lambda graph, *_, **options: graph)
    monkeypatch.setattr(loops, "_loops", {})
    for name in ("_normals", "draw_on"):
        monkeypatch.setattr(loops, name, functools.cache(getattr(loops, name).__wrapped__))


@pytest.fixture
def only_recorded(monkeypatch, uncompiled):
    """What would be compiled runs as it was recorded, for any number of paths: that takes a tenth of a second."""
    from sam_sde.engines.compiled import compilation, loops

    monkeypatch.setattr(loops, "compiled", lambda function, *_, **options: compilation.Loops(function, None))
