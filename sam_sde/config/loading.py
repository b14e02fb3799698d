"""From a file and `KEY=VALUE` changes to a checked configuration, or one message that says what is wrong."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sam_sde.checks import nearest, shown
from sam_sde.config.errors import ConfigError
from sam_sde.config.schema import Config


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number and a key given twice is an error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"this is not a valid {kind}; text is written in quotes", node.start_mark
            ) from None

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
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
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
        raise ConfigError(f"{path}: expected the keys {', '.join(Config.model_fields)}, got {_got(document)}")
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
    except RecursionError:
        raise ConfigError(f"{source}: not valid YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source}: not valid YAML: {_cut(_yaml_problem(error), 300)}") from None


def _yaml_problem(error: Exception) -> str:
    """What the parser says, with the place as an editor shows it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error).splitlines()[0]
    said = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    if error.context is not None and error.context_mark is not None:
        said += f" ({error.context} that begins in line {error.context_mark.line + 1})"
    return said + ("; indent with spaces, not with tabs" if r"'\t'" in said else "")


def _apply(document: dict, change: str) -> None:
    """Sets one value, in place; missing sections are made, and the schema says whether they may be there."""
    key, separator, value = change.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise ConfigError(f"--set: expected KEY=VALUE such as run.n_paths=1000, got {shown(change)}")
    source = f"--set {_cut(change, 80)}"
    arms = document.get("arms")
    if len(names) > 2 and names[0] == "arms" and isinstance(arms, dict) and names[1] not in arms and names[2] != "kind":
        raise ConfigError(f"{source}: unknown arm {names[1]!r}; {nearest(names[1], list(map(str, arms)))}")
    target = document
    for i, name in enumerate(names[:-1], start=1):
        if target.get(name) is None:
            target[name] = {}
        target = target[name]
        if not isinstance(target, dict):
            raise ConfigError(
                f"{source}: {'.'.join(names[:i])} has no keys of its own but the value {shown(target)}; set all of it"
            )
    target[names[-1]] = _parse(value, source)


def explain(error: ValidationError, document: Any, prefix: str = "") -> str:
    """One line for the first error: the key as the user wrote it, what was expected, and what was got."""
    details = error.errors(include_url=False)[0]
    key = ".".join(filter(None, [prefix, *_written(details, document)]))
    message = _message(details)
    return f"{key}: {message}" if key else message


def _written(details: ErrorDetails, document: Any) -> list[str]:
    """The key as it stands in the document; pydantic adds the tags of unions, and leaves out keys that are missing."""
    parts = []
    *sections, last = details["loc"] or ("",)
    for part in sections[:-1] if last == "[key]" else sections:
        with suppress(KeyError, IndexError, TypeError):
            document = document[part]
            parts.append(str(part))
    if details["type"] == "missing" or _holds(document, last):
        parts.append(str(last))
    if "key" in details.get("ctx", {}):
        parts.append(details["ctx"]["key"])
    return [_cut(part, 80) for part in parts]


def _holds(document: Any, part: int | str) -> bool:
    try:
        document[part]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _message(details: ErrorDetails) -> str:
    got = f", got {_got(details['input'])}"
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "missing; this key is required"
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            return f"unknown value {_got(details['input'])}; {nearest(details['input'], known)}"
        case "unknown_key" | "surface_kind" | "missing_dim" | "missing_kind" | "unknown_kind" | "reference":
            return details["msg"]
        case "model_type" | "no_section" | "dict_type":
            return f"expected a section with keys of its own{got}{_section_hint(details)}"
        case "too_short" if details["loc"] == ("arms",):
            return "expected at least one arm, such as SGD: {kind: sgd}"
        case "string_type" | "string_too_short" if details["loc"][-1] == "[key]":
            return f"expected a name for each arm, in quotes where it is a number{got}"
    expected = {
        "float_type": "a number",
        "finite_number": "a finite number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "string_type": "text",
        "bool_type": "true or false",
        "list_type": "a list",
        "too_short": "a list that is not empty",
        "greater_than": "a number above {gt:.10g}",
        "greater_than_equal": "a number of at least {ge:.10g}",
        "less_than_equal": "a number of at most {le}",
    }
    if details["type"] not in expected:
        return f"{details['msg']}{got}"
    return f"expected {expected[details['type']].format(**context)}{got}"


def _section_hint(details: ErrorDetails) -> str:
    """How to write a section where its kind stands alone."""
    word = details["input"]
    key = "kind" if details["type"] == "no_section" else "name" if details["loc"] == ("surface",) else None
    return f"; try {{{key}: {_cut(word, 40)}}}" if key and isinstance(word, str) else ""


def _got(value: Any) -> str:
    """A value in the words of YAML."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
