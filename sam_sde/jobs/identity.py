"""All that the paths of an arm follow from, as plain data: two runs with the same have the same paths."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sam_sde
from sam_sde.config.building import Setting
from sam_sde.escape import EscapeRun

# What changes no path: it comes after them.
LATER = ("cli", "config", "figures", "jobs", "report", "reproduction", "statistics", "terminal", "wording")


def identity_of(setting: Setting, arm: str, run: EscapeRun) -> dict[str, Any]:
    """What the configuration says of an arm and its run, the files that it names, and the versions of the code.

    How many paths there are, and what computes them, does not belong to it.
    """
    config = setting.config
    said = {
        **setting.followed_by(arm),
        "stream": repr(run.problem.stream),
        "dt": run.problem.dt,
        "method": run.problem.method,
        "crossing": run.problem.crossing,
        "engine": run.engine,
        "device": run.device.type,
        "dtype": str(run.dtype),
        "block_size": config.run.block_size,
    }
    return said | {
        "files": files_named(said, setting.folder),
        "versions": {"sam_sde": _source(), "torch": _version("torch")},
    }


def files_named(said: Any, folder: Path) -> dict[str, str]:
    """A digest of each file that plain data name."""
    return {name: _digest(path) for name, path in sorted(set(_files(said, folder)))}


def _files(said: Any, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that are named anywhere, alone or before a colon as that of a function is."""
    if isinstance(said, dict):
        said = list(said.values())
    if isinstance(said, list | tuple):
        for each in said:
            yield from _files(each, folder)
    elif isinstance(said, str):
        for name in {said, said.rpartition(":")[0]}:
            if name and len(name) < 256 and (folder / name).is_file():
                yield name, folder / name


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _version(package: str) -> str:
    return version(package)  # which reads files of the installation


@cache
def _source() -> str:
    """Of the code that paths come from, for an installation that is worked on keeps its version."""
    root = Path(sam_sde.__file__).parent
    files = [file for file in root.rglob("*.py") if file.relative_to(root).parts[0].removesuffix(".py") not in LATER]
    digest = hashlib.sha256(version("sam_sde").encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:20]
