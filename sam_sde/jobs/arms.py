"""A run over several arms: each on its own, so that what ended stays where another one fails or is interrupted."""

import textwrap
import time
from collections.abc import Callable, Iterable
from typing import Any

from sam_sde.config.building import Setting
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import Destination


class ArmByArm:
    """What became of the arms.

    Attributes
        unfinished: the arms that have not ended, in order, and why.
        errors: the exceptions of those that failed.
        interrupted: whether Ctrl-C, or a signal that is the same, ended the run.
        wall_time: seconds, of `run_kept`.
    """

    def __init__(self, arms: Iterable[str]):
        self.unfinished = dict.fromkeys(arms, "not ended yet")
        self.errors: dict[str, Exception] = {}
        self.interrupted = False
        self.wall_time = 0.0

    def run_kept(
        self, one: Callable[[str], None], result: Callable[[], tuple], destination: Destination | None = None
    ) -> None:
        """As `run`; `result`, tables and their record, is kept at a destination as long as other arms have not ended.

        Raises
            Exception: what the first arm raised, or KeyboardInterrupt, where no arm has ended.
        """
        begin, n_arms = time.perf_counter(), len(self.unfinished)

        def ended() -> None:
            self.wall_time = time.perf_counter() - begin
            if destination is not None and self.unfinished:
                destination.keep(*result())

        self.run(one, ended)
        if len(self.unfinished) == n_arms:
            self.raise_the_first()

    def record(self, command: str, setting: Setting) -> dict[str, Any]:
        """What every record says of a run of a configuration's arms."""
        return make_record(
            command,
            setting.config.model_dump(),
            setting.folder,
            wall_time=self.wall_time,
            interrupted=self.interrupted,
            unfinished=self.unfinished,
        )

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
