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
    """Of an escape run."""
    steps = {f"dt of {arm}": number(dt) for arm, dt in record["dt"].items()}
    how = {
        "seed": record["seed"],
        **steps,
        "engine": _each(record["engine"]),
        "block size": _each(record["block_size"]),
        "workers": _each(record["workers"]),
        "device": _each(record["device"]),
        "steps of paths": f"{record['path_steps']:,}",
    }
    return _repeat(record, how, config_text(record["config"]))


def repeat_sweep(record: dict[str, Any], seed: str) -> Repeat:
    """Of a sweep; seed: in words."""
    how = {
        "seed": seed,
        "engine": _each(record["engines"]),
        "conditions": record["conditions"],
        "blocks computed": f"{record['blocks_computed']} by this run, beside those that were in the store",
    }
    return _repeat(record, how, yaml_text(record["config"]))


def _repeat(record: dict[str, Any], how: dict[str, Any], config: str) -> Repeat:
    """how: what counts for one command alone."""
    how = {
        "command line": record["command_line"],
        **how,
        "wall time": duration(record["wall_time"]),
        **record["versions"],
        "SHA-256 of the configuration": record["config_hash"],
    }
    return Repeat(
        config=config,
        command=f"sam-sde {record['command']} config.yaml",
        sentences=[
            "The same seed gives the same paths: bit for bit with the same block size, versions and kind of machine, "
            "otherwise to rounding. Files that the configuration names were looked for in "
            f"`{record['config_folder']}`.",
        ],
        how=TextTable("How it was run", ("what", "value"), [(what, str(value)) for what, value in how.items()]),
    )


def yaml_text(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None)


def config_text(config: dict[str, Any]) -> str:
    """A checked configuration as YAML, without the keys that have no value."""
    return yaml_text(_given(config))


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
