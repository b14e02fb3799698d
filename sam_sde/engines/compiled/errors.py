"""Why a problem cannot be compiled: each message is a reason in one line."""


class CannotCompileError(Exception):
    """The problem cannot be compiled."""


class CannotRecordError(CannotCompileError):
    """A function does not run the same operations each time."""


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
