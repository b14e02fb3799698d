"""While a compiled loop runs, other threads go on."""

import threading

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
    x, ended = torch.linspace(0, 1, 10**6), []
    expected = long(x)
    loop(torch.ones(9))
    begin = threading.Barrier(2)

    def run():
        begin.wait()
        ended.append(loop(x))  # for a tenth of a second or more

    thread = threading.Thread(target=run)
    thread.start()
    begin.wait()
    turns = 0
    while not ended:
        begin.parties  # noqa: B018, any work in Python
        turns += 1
    thread.join()
    assert turns > 10**5
    torch.testing.assert_close(ended[0], expected)


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
