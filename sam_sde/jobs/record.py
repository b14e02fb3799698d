"""The record of a result: what was run, and what of it did not end."""

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

# The file of each command that writes results.
RECORDS = {
    "escape": "run.json",
    "sweep": "sweep.json",
    "simulate": "trajectories.json",
    "weak": "weak.json",
    "exact": "exact.json",
    "stability": "stability.json",
    "displacement": "displacement.json",
    "action": "action.json",
}

PACKAGES = ("sam_sde", "torch", "torchsde", "numpy", "scipy", "pandas")


def make_record(
    command: str,
    config: dict[str, Any],
    config_folder: Path,
    *,
    wall_time: float,
    interrupted: bool = False,
    unfinished: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What every record says: the command line, the configuration as it was understood, its hash, seconds, versions.

    config_folder: where files that the configuration names are looked for. interrupted: whether an interrupt ended the
    run. unfinished: the arms, or what else the configuration asks for, that did not end, and why; a result is whole
    where there is nothing.
    """
    return {
        "command": command,
        "command_line": shlex.join(sys.argv),
        "config": config,
        "config_hash": config_hash(config),
        "config_folder": str(config_folder.resolve()),
        "interrupted": interrupted,
        "unfinished": dict(unfinished or {}),
        "wall_time": round(wall_time, 3),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def config_hash(config: dict[str, Any]) -> str:
    """SHA-256 of a configuration as canonical JSON, keys in alphabetical order; of the arms the order counts."""
    arms = list(config["arms"].items())  # the first one is the reference, and the tables follow it
    text = json.dumps({**config, "arms": arms}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
