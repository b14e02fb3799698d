"""Loops that let other threads run: torch's binding of a compiled loop holds the interpreter's lock while it runs."""

import contextlib
from collections.abc import Iterator
from unittest import mock

from torch._inductor.codecache import CppPythonBindingsCodeCache as Binding

# The body of the binding in C++, whose arguments are Python objects, and can be read with the lock only. The pointer
# takes the lock back also where the loop throws.
BODY = (
    "auto arguments = std::make_tuple({}); "
    "std::unique_ptr<PyThreadState, void (*)(PyThreadState*)> thread(PyEval_SaveThread(), PyEval_RestoreThread); "
    "std::apply(kernel, arguments); thread.reset(); Py_RETURN_NONE;"
)


@contextlib.contextmanager
def unlocked() -> Iterator[None]:
    """What is compiled or loaded within runs without the lock; where torch binds loops in another way, with it."""
    torch_s = getattr(Binding, "call_entry_function", "")
    for place in ("{}", "%s"):  # of the arguments, by version
        if torch_s.replace(" ", "") == f"kernel({place});Py_RETURN_NONE;":
            with mock.patch.object(Binding, "call_entry_function", BODY.replace("{}", place)):
                yield
            return
    yield
