"""A run over several arms: each on its own, so that what ended stays where another one fails or is interrupted."""

import textwrap
from collections.abc import Callable, Iterable


class ArmByArm:
    """What became of the arms.

    Attributes
        unfinished: the arms that have not ended, in order, and why.
        errors: the exceptions of those that failed.
        interrupted: whether Ctrl-C, or a signal that is the same, ended the run.
    """

    def __init__(self, arms: Iterable[str]):
        self.unfinished = dict.fromkeys(arms, "not ended yet")
        self.errors: dict[str, Exception] = {}
        self.interrupted = False

    def run(self, one: Callable[[str], None], ended: Callable[[], None] = lambda: None) -> None:
        """Calls `one` with each arm, and `ended` whenever another one has ended.

        An arm that raises is left behind, and the next one begins; an interrupt ends the run.
        """
        waiting = list(self.unfinished)
        arm = None
        try:
            while waiting:
                arm = waiting.pop(0)
                try:
                    one(arm)
                except Exception as error:
                    self.errors[arm] = error
                    self.unfinished[arm] = said(error)
                else:
                    del self.unfinished[arm]
                    ended()
        except KeyboardInterrupt:
            self.interrupted = True
            if arm in self.unfinished:
                self.unfinished[arm] = "interrupted on the way"
            self.unfinished |= dict.fromkeys(waiting, "interrupted before it began")

    def raise_the_first(self) -> None:
        """Raises what the first of the arms ended with that did not end in order."""
        for error in self.errors.values():
            raise error
        if self.interrupted:
            raise KeyboardInterrupt


def said(error: Exception) -> str:
    """What a failure is called in a sentence."""
    return f"failed with {type(error).__name__}: {textwrap.shorten(str(error), 160, placeholder=' …')}"
