"""YAML as people mean it: what readers of its versions disagree about is decimal, text, or an error."""

import re
from typing import Any

import yaml

from sam_sde.config.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_UNCLEAR = "!unclear"


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and a key given twice is an error.

    YAML 1.1 reads 032 as 26 and 1:30 as 90, YAML 1.2 does not: both are errors. 1_000 is a thousand. A date is text.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError):
            kind = node.tag.rpartition(":")[2]
            raise _error(f"this is not a valid {kind}; text is written in quotes", node) from None

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Here keys are those that were written: later << has put in those of other mappings."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key_node, _ in node.value:
            key = "<<" if key_node.tag == f"{_TAG}merge" else self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise _error("a key must be a word", key_node)
            if key in seen:
                raise _error(f"the key {key!r} is given twice", key_node)
            seen.add(key)
        return node

    def refuse_unclear(self, node: yaml.Node) -> None:
        raise _error(
            f"{node.value} is one number to some readers of YAML and another one to others; write it as a decimal "
            "number without leading zeros and colons, or in quotes if it is text",
            node,
        )


def _error(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _resolve(loader: type[yaml.SafeLoader]) -> None:
    """What a word without quotes is, by its first character; the first pattern that fits counts."""
    inherited = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in loader.yaml_implicit_resolvers.items()
    }
    # YAML 1.1 wants a dot and a signed exponent in 1.0e+5; YAML 1.2, Python and people write 1e5.
    exponent = re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$")
    unclear = re.compile(r"^[-+]?(0[\d_]+|\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?)$")
    loader.yaml_implicit_resolvers = inherited
    for first in "-+.0123456789":
        ours = [(_UNCLEAR, unclear), (f"{_TAG}float", exponent)]
        loader.yaml_implicit_resolvers[first] = ours + inherited.get(first, [])
    loader.add_constructor(_UNCLEAR, loader.refuse_unclear)


_resolve(_Loader)


def parse(text: str, source: str) -> Any:
    """What a text says; `source` is where it stands, for the message.

    Raises
        ConfigError: it is no YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise ConfigError(f"{source}: not valid YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source}: not valid YAML: {cut(_problem(error), 300)}") from None


def _problem(error: Exception) -> str:
    """What the parser says, with the place as an editor shows it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error).splitlines()[0]
    said = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    if error.context is not None and error.context_mark is not None:
        said += f" ({error.context} that begins in line {error.context_mark.line + 1})"
    return said + ("; indent with spaces, not with tabs" if r"'\t'" in said else "")


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
