"""While a compiled loop runs, other threads go on."""

import itertools
import threading
import time

import pytest
import torch

from sam_sde.engines.compiled.compilation import compiled
from sam_sde.engines.compiled.unlocked import Binding, unlocked


@pytest.mark.slow
def test_other_threads_run_while_a_loop_does():
    def long(x):
        for _ in range(200):
            x = x.sin()
        return x

    loop = compiled(long, [torch.ones(8)], [0], by_coordinates=False).function
    x = torch.linspace(0, 1, 10**6)
    results, spans = [], []

    def run():
        begin = time.perf_counter()
        results.append(loop(x))
        spans.append(time.perf_counter() - begin)

    thread = threading.Thread(target=run)
    turns = [time.perf_counter()]
    thread.start()
    while thread.is_alive():
        turns.append(time.perf_counter())
        time.sleep(0.001)
    waited = max(after - before for before, after in itertools.pairwise(turns))
    assert waited < 0.5 * spans[0]
    torch.testing.assert_close(results[0], long(x))


def test_a_binding_of_another_kind_is_left_as_it_is(monkeypatch):
    torch_s = Binding.call_entry_function
    with unlocked():
        assert "PyEval_SaveThread" in Binding.call_entry_function  # this torch's is known
    assert Binding.call_entry_function == torch_s
    monkeypatch.setattr(Binding, "call_entry_function", "kernel(%s);Py_RETURN_NONE;")
    with unlocked():
        assert "make_tuple(%s)" in Binding.call_entry_function
    monkeypatch.setattr(Binding, "call_entry_function", "start(kernel, {});")
    with unlocked():
        assert Binding.call_entry_function == "start(kernel, {});"
