"""What blocks and the process that waits for them tell each other, wherever the blocks are computed.

It is files in a folder: a path can be sent to any executor, and what cannot reach the folder goes on without progress.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STOP = "stop"
BEGUN = "begun-"


@dataclass(frozen=True)
class Channel:
    """A folder with files for each task that is under way, and one that asks all of them to stop."""

    folder: str

    def begin(self, task: int) -> None:
        with contextlib.suppress(OSError):
            Path(self.folder, f"{BEGUN}{task}").touch()

    def end(self, task: int) -> None:
        with contextlib.suppress(OSError):
            Path(self.folder, f"{BEGUN}{task}").unlink()

    def seconds_under_way(self, task: int) -> float | None:
        """Since the task began; None where it did not, or has ended."""
        try:
            return time.time() - Path(self.folder, f"{BEGUN}{task}").stat().st_mtime
        except OSError:
            return None

    def tell(self, task: int, steps: int, escaped: int) -> None:
        """How far a task is; where the folder cannot be reached nothing is told."""
        with contextlib.suppress(OSError):
            Path(self.folder, str(task)).write_text(f"{steps} {escaped}")

    def reports(self) -> Iterator[tuple[int, int, int]]:
        """Task, steps and escaped paths of what was told since the last look."""
        for file in Path(self.folder).iterdir():
            if not file.name.isdecimal():
                continue
            numbers = file.read_text().split()
            file.unlink()
            if len(numbers) == 2:  # else it is being written
                yield (int(file.name), *map(int, numbers))

    def stop(self) -> None:
        Path(self.folder, STOP).touch()

    @property
    def stopped(self) -> bool:
        return Path(self.folder, STOP).exists()
