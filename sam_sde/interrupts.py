"""Ctrl-C, and the signals that end a process in the same way: in order, with what was finished on disk."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What a scheduler, `kill` and `timeout` send, and what is sent where a terminal is closed.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def end_as_on_ctrl_c() -> None:
    """Lets these signals raise KeyboardInterrupt; one that is ignored, as under nohup, stays so."""
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Puts an interrupt off until the body is done; a second one is raised at once."""
    came = []

    def remember(number, frame):
        if came:
            raise KeyboardInterrupt
        came.append(number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other can set them, and none other is interrupted
        raising = [n for n in (signal.SIGINT, *ENDING) if signal.getsignal(n) is signal.default_int_handler]
        handlers = {number: signal.signal(number, remember) for number in raising}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
