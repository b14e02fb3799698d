"""What the configurations of a sweep have in common, and where they differ."""

import json
from collections.abc import Sequence
from typing import Any

VARIES = "varies"


def in_common(configs: Sequence[Any]) -> Any:
    """One configuration for all: {"varies": [...]} with each value once where they differ."""
    first, *others = configs
    if all(other == first for other in others):
        return first
    if all(isinstance(config, dict) for config in configs):
        keys = dict.fromkeys(key for config in configs for key in config)
        return {key: in_common([config.get(key) for config in configs]) for key in keys}
    return {VARIES: list({json.dumps(config): config for config in configs}.values())}
