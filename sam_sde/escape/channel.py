"""What blocks and the process that waits for them tell each other, wherever the blocks are computed.

It is files in a folder: a path can be sent to any executor, and what cannot reach the folder goes on without progress.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sam_sde.escape.progress import BlockReport

STOP = "stop"


@dataclass(frozen=True)
class Channel:
    """A folder with a file for each block that is under way, and one that asks all of them to stop."""

    folder: str

    def tell(self, report: BlockReport) -> None:
        """The last report of a block; where the folder cannot be reached nothing is told."""
        with contextlib.suppress(OSError):
            Path(self.folder, str(report.first)).write_text(f"{report.steps} {report.escaped}")

    def reports(self) -> Iterator[BlockReport]:
        """What the blocks have told since the last look."""
        for file in Path(self.folder).iterdir():
            if file.name == STOP:
                continue
            numbers = file.read_text().split()
            file.unlink()
            if len(numbers) == 2:  # else it is being written
                yield BlockReport(int(file.name), *map(int, numbers))

    def stop(self) -> None:
        Path(self.folder, STOP).touch()

    @property
    def stopped(self) -> bool:
        return Path(self.folder, STOP).exists()
