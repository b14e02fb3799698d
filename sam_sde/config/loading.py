"""From a file and `KEY=VALUE` changes to a checked configuration, or one message that says what is wrong."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sam_sde.checks import nearest, shown
from sam_sde.config.errors import ConfigError
from sam_sde.config.schema import Config
from sam_sde.config.yaml_text import cut, parse


def load_config(path: Path, changes: Sequence[str] = ()) -> Config:
    """Reads a YAML configuration, applies `KEY=VALUE` changes (`run.n_paths=100`, `arms.SAM.rho=0.02`), and checks it.

    A name with a dot is written in quotes, as in TOML: `arms."SAM 0.1".rho=0.02`.

    Raises
        ConfigError: the file cannot be read, is no YAML, or does not fit the schema.
    """
    return check_config(read_document(path, changes))


def read_document(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The file as a nested dictionary, with the changes, and nothing checked."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"cannot read {path}: {reason}") from None
    document = parse(text, str(path))
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected the keys {', '.join(Config.model_fields)}, got {_got(document)}")
    for change in changes:
        source = f"--set {cut(change, 80)}"
        _refuse_without_quotes(change, document, source)
        names, value = _split(change)
        _set(document, names, parse(value, source), source)
    return document


def check_config(document: dict[str, Any]) -> Config:
    """The configuration in a nested dictionary. Raises ConfigError with the first thing that is wrong."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(explain(error, document)) from None


# A name of a key: in quotes, as in TOML, or without dots and equals signs.
_NAME = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.="'\s][^.=]*?))\s*(?=[.=])""")


def _split(change: str) -> tuple[list[str], str]:
    """The names that the key of KEY=VALUE consists of, and the value."""
    names, place = [], -1
    while place < 0 or change[place] == ".":
        match = _NAME.match(change, place + 1)
        if match is None or not any(match.groups()):
            raise ConfigError(f"--set: expected KEY=VALUE such as run.n_paths=1000, got {shown(change)}")
        names.append(next(filter(None, match.groups())))
        place = match.end()
    return names, change[place + 1 :]


def set_value(document: dict[str, Any], key: str, value: Any, source: str) -> None:
    """Sets the value of a key such as `arms.SAM.rho`, in place; source: where the key was written, for a message.

    Raises
        ConfigError: it is no key, or names an arm that is not there.
    """
    _refuse_without_quotes(f"{key}=", document, source)
    _set(document, names_of(key, source), value, source)


def names_of(key: str, source: str) -> list[str]:
    """The names that a key such as `arms.SAM.rho` consists of.

    Raises
        ConfigError: it is no key.
    """
    try:
        return _split(f"{key}=")[0]
    except ConfigError:
        raise ConfigError(f"{source}: expected a key such as arms.SAM.rho") from None


def _set(document: dict[str, Any], names: list[str], value: Any, source: str) -> None:
    """Sets one value, in place; missing sections are made, and the schema says whether they may be there."""
    arms = document.get("arms") if isinstance(document.get("arms"), dict) else {}
    if len(names) > 2 and names[0] == "arms" and arms and names[1] not in arms and names[2] != "kind":
        raise ConfigError(f"{source}: unknown arm {names[1]!r}; {nearest(names[1], list(map(str, arms)))}")
    target = document
    for i, name in enumerate(names[:-1], start=1):
        section = {} if target.get(name) is None else target[name]
        if not isinstance(section, dict):
            raise ConfigError(
                f"{source}: {'.'.join(names[:i])} has no keys of its own but the value {shown(section)}; set all of it"
            )
        target[name] = dict(section)  # which another key may have as well, by an alias
        target = target[name]
    target[names[-1]] = value


def _refuse_without_quotes(change: str, document: dict[str, Any], source: str) -> None:
    """Says how an arm is written whose name has a dot or an equals sign, where its name stands as it is."""
    arms = document.get("arms") if isinstance(document.get("arms"), dict) else {}
    rest = change.strip().removeprefix("arms.")
    for arm in filter(re.compile(r"[.=]").search, map(str, arms)):
        if rest != change.strip() and re.match(re.escape(arm) + r"\s*[.=]", rest):
            quote = "'" if '"' in arm else '"'
            raise ConfigError(f"{source}: write the name of this arm in quotes, as arms.{quote}{arm}{quote}.KEY=VALUE")


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
    return [cut(part, 80) for part in parts]


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
        case "unknown_key" | "surface_kind" | "missing_dim" | "missing_kind" | "unknown_kind" | "reference" | "rule":
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
    if details["type"] == "string_type" and isinstance(details["input"], bool | int | float):
        got += "; write it in quotes if it is text"
    if details["type"] not in expected:
        return f"{details['msg']}{got}"
    return f"expected {expected[details['type']].format(**context)}{got}"


def _section_hint(details: ErrorDetails) -> str:
    """How to write a section where its kind stands alone."""
    word = details["input"]
    key = "kind" if details["type"] == "no_section" else "name" if details["loc"] == ("surface",) else None
    return f"; try {{{key}: {cut(word, 40)}}}" if key and isinstance(word, str) else ""


def _got(value: Any) -> str:
    """A value in the words of YAML."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else shown(value)
