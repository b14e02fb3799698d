"""Signals that end a process: raised as Ctrl-C is, put off while files are written."""

import os
import signal

import pytest

from sam_sde.interrupts import ENDING, end_as_on_ctrl_c, interrupts_wait


@pytest.fixture(autouse=True)
def handlers():
    """The handlers of a process of its own, and afterwards those of the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_each_raises_a_keyboard_interrupt(number):
    end_as_on_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        send(number)


def test_a_signal_that_is_ignored_or_has_a_handler_stays_so():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_as_on_ctrl_c()
    send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def body(*numbers, error=None):
    """How far a body came that is protected, in which signals are sent."""
    came = []
    try:
        with interrupts_wait():
            for number in numbers:
                send(number)
                came.append(number)
            if error is not None:
                raise error
    except KeyboardInterrupt:
        came.append("interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return came


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_the_first_waits_for_the_end_of_the_body_and_the_second_does_not(number):
    end_as_on_ctrl_c()
    assert body() == []
    assert body(number) == [number, "interrupted"]
    assert body(number, number) == [number, "interrupted"]
    assert body(signal.SIGINT, number) == [signal.SIGINT, "interrupted"]


def test_an_error_of_the_body_is_raised_first():
    with pytest.raises(ValueError, match="mine"):
        body(signal.SIGINT, error=ValueError("mine"))
