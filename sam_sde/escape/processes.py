"""Worker processes that are started once and kept from call to call, until the interpreter ends."""

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType

import torch


def processes(count: int) -> Executor:
    """An executor of `count` processes of one thread each, those of the call before where they still will do.

    Others take their place where one was lost, where another number is asked for, and where a module of the user's was
    written to, or the folder or the path of imports changed: they would compute with what they imported before.
    """
    with _lock:
        global _kept
        if _kept is None or not _kept.serves(count):
            if _kept is not None:
                _kept.end()
            _kept = _Pool(count)
        return _kept.executor


# Processes are forked from a server that has imported what takes seconds and cannot change, where the system has that.
_HAS_SERVER = "forkserver" in multiprocessing.get_all_start_methods()
_METHOD = multiprocessing.get_context("forkserver" if _HAS_SERVER else "spawn")
PRELOADED = ["torch", "torchsde", "scipy.stats", "pandas"]


def begin_server() -> None:
    """Starts the server, where the system has such, for whoever has something to do until it has imported."""
    if _HAS_SERVER:
        from multiprocessing import forkserver

        _METHOD.set_forkserver_preload(PRELOADED)  # of no effect where one runs already
        forkserver.ensure_running()


class _Process(_METHOD.Process):
    """Does not run the main module again: what that defines comes by value, and a script needs no guard for it."""

    @staticmethod
    def _Popen(process):  # noqa: N802, the name is multiprocessing's
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return _METHOD.Process._Popen(process)
        finally:
            sys.modules["__main__"] = main


class _Context(type(_METHOD)):
    Process = _Process


@dataclass
class _Pool:
    """Processes, and what they took over when they started."""

    count: int
    executor: Executor = field(init=False)

    def __post_init__(self):
        self._surroundings, self._written = _surroundings(), _modules_written()
        begin_server()
        self.executor = ProcessPoolExecutor(self.count, _Context(), _begin, (dict(os.environ),))

    def serves(self, count: int) -> bool:
        return (
            count == self.count and self._surroundings == _surroundings() and self._is_of_this_code() and self._works()
        )

    def _is_of_this_code(self) -> bool:
        """And takes note of the modules that were imported since."""
        written = _modules_written()
        changed = any(written.get(name, time) != time for name, time in self._written.items())
        self._written |= written
        return not changed

    def _works(self) -> bool:
        try:
            return self.executor.submit(int).result() == 0
        except (BrokenExecutor, RuntimeError):  # a process was lost; it is shut down
            return False

    def end(self) -> None:
        if self._surroundings[0] == os.getpid():  # else it is the parent's of a fork
            self.executor.shutdown(wait=False)


_kept: _Pool | None = None
_lock = threading.Lock()


def _surroundings() -> tuple:
    return os.getpid(), os.getcwd(), *sys.path


def _modules_written() -> dict[str, int]:
    """When each imported module outside of the installation was written."""
    installed = (sys.prefix, sys.base_prefix)
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith(installed):
            with suppress(OSError):
                found[name] = os.stat(file).st_mtime_ns
    return found


# What follows runs in a worker process.


def own_device(device: torch.device) -> torch.device:
    """One GPU for each worker process, in turn, where there are several and none of them was named."""
    place = multiprocessing.current_process()._identity
    if device.type != "cuda" or device.index is not None or not place:
        return device
    return torch.device("cuda", (place[-1] - 1) % torch.cuda.device_count())


def _begin(environment: dict[str, str]) -> None:
    # The server has that of the time when it was started.
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal; the first one tells the others when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody else would end a process whose parent was killed while it waits for work."""
    multiprocessing.parent_process().join()
    os._exit(1)
