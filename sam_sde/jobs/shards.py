"""Parts of a study that are computed beside each other, by processes that know nothing of one another."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError, InputError
from sam_sde.files import write_text
from sam_sde.jobs.store import FOLDER

NOTE = "study.json"


class Shard(NamedTuple):
    """The `index`-th of `of` parts, from 1 on."""

    index: int
    of: int

    def has(self, number: int) -> bool:
        """Whether the block with this number, from 0 on, is in this part."""
        return number % self.of == self.index - 1


def shard_of(text: str) -> Shard:
    """Reads I/N.

    Raises
        ArgumentError: it is none.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise ArgumentError("--shard", f"expected I/N with I from 1 to N, as 2/8, got {shown(text)}")
    return Shard(int(match[1]), int(match[2]))


def write_note(out: Path, document: dict[str, Any], folder: Path) -> None:
    """Says in the store what is computed there: a configuration, and the folder where its files lie."""
    text = json.dumps({"config": document, "config_folder": str(folder.resolve())}, ensure_ascii=False)
    write_text(text, out / FOLDER / NOTE)


def read_note(out: Path) -> tuple[dict[str, Any], Path]:
    """What `write_note` has said.

    Raises
        InputError: no shard has computed anything there.
    """
    path = out / FOLDER / NOTE
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return dict(note["config"]), Path(note["config_folder"])
    except FileNotFoundError:
        run = f"run `sam-sde sweep CONFIG --out {out} --shard 1/N` and the others first"
        raise InputError(f"{out} holds no shards of a sweep; {run}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}); run a shard again") from None
