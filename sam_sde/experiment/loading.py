"""From a file and `KEY=VALUE` changes to a checked configuration, or one message that says what is wrong."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sam_sde.checks import nearest
from sam_sde.experiment.schema import Config


class ConfigError(ValueError):
    """What is wrong with a configuration: which key, what was expected, what was got, what to try."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot and a signed exponent in 1.0e+5; YAML 1.2, Python and people write 1e5.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_config(path: Path, changes: Sequence[str] = ()) -> Config:
    """Reads a YAML configuration, applies `KEY=VALUE` changes (`run.n_paths=100`, `arms.SAM.rho=0.02`), and checks it.

    Raises
        ConfigError: the file cannot be read, is no YAML, or does not fit the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"cannot read {path}: {reason}") from None
    document = _parse(text, str(path))
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys {', '.join(Config.model_fields)}")
    for change in changes:
        _apply(document, change)
    return check_config(document)


def check_config(document: dict[str, Any]) -> Config:
    """The configuration in a nested dictionary. Raises ConfigError with the first thing that is wrong."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(explain(error, document)) from None


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{source}: not valid YAML: {reason}") from None


def _apply(document: dict, change: str) -> None:
    """Sets one value, in place; missing sections are made, and the schema says whether they may be there."""
    key, separator, value = change.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise ConfigError(f"--set: expected KEY=VALUE such as run.n_paths=1000, got {change!r}")
    target = document
    for name in names[:-1]:
        if target.get(name) is None:
            target[name] = {}
        target = target[name]
        if not isinstance(target, dict):
            raise ConfigError(f"--set {change}: {name} is no section, it has the value {target!r}")
    target[names[-1]] = _parse(value, f"--set {change}")


def explain(error: ValidationError, document: Any, prefix: str = "") -> str:
    """One line for the first error: the key as the user wrote it, what was expected, and what was got."""
    details = error.errors(include_url=False)[0]
    key = ".".join(filter(None, [prefix, *_written(details["loc"], document)]))
    message = _message(details)
    return f"{key}: {message}" if key else message


def _written(loc: tuple[int | str, ...], document: Any) -> list[str]:
    """The parts of a location that stand in the document; pydantic adds the tags of unions."""
    parts = []
    for position, part in enumerate(loc):
        if part == "[key]":
            continue
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            if position < len(loc) - 1:
                continue
        parts.append(str(part))
    return parts


def _message(details: ErrorDetails) -> str:
    got = "" if details["type"] == "missing" else f", got {_short(details['input'])}"
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "missing; this key is required"
        case "union_tag_not_found":
            return "missing key 'kind'"
        case "union_tag_invalid":
            known = re.findall(r"'([^']*)'", context["expected_tags"])
            return f"unknown kind {context['tag']!r}; {nearest(context['tag'], known)}"
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            return f"unknown value {_short(details['input'])}; {nearest(details['input'], known)}"
        case "unknown_key" | "surface_kind" | "missing_dim" | "loss_level" | "reference":
            return details["msg"]
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a section with keys of its own{got}"
        case "finite_number":
            return f"expected a finite number{got}"
        case _:
            return details["msg"].replace("Input should be", "expected").replace(" valid ", " ") + got


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
