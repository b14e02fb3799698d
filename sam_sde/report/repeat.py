"""What is needed to run something again, from its record."""

import re
from typing import Any

import yaml

from sam_sde.report.page import Repeat
from sam_sde.report.words import listed, number
from sam_sde.wording import TextTable


class _Dumper(yaml.SafeDumper):
    """YAML in which a word that looks like a number stands in quotes: for this package 1e-3 is one too."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)


def repeat(record: dict[str, Any]) -> Repeat:
    command, steps, seconds = record["command"], record["path_steps"], record["wall_time"]
    sentences = [
        f"It took {duration(seconds)} for {steps:.3g} steps of paths on {_each(record['device'])}, with "
        f"{_each(record['engine'])} and {_each(record['workers'])} at work. The seed is {record['seed']}, the block "
        f"size {_each(record['block_size'])}: paths are the same for the same seed, and bit for bit for the same block "
        "size on the same kind of machine.",
        f"Steps: {listed(f'{arm} dt = {number(dt)}' for arm, dt in record['dt'].items())}.",
        f"Files that the configuration names were looked for in {record['config_folder']}.",
    ]
    return Repeat(
        sentences,
        [f"sam-sde {command} config.yaml"],
        config_text(record["config"]),
        TextTable("Versions", ("package", "version"), list(record["versions"].items())),
    )


def config_text(config: dict[str, Any]) -> str:
    """The configuration as YAML, without the keys that have no value."""
    return yaml.dump(_given(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _given(each) for key, each in value.items() if each is not None}
    return value


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{seconds / 3600:.3g} hours"


def _each(value: Any) -> str:
    """What all arms share, or all that they have."""
    return listed(map(str, value)) if isinstance(value, list) else str(value)
