"""Which key of a configuration an error in an argument belongs to."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sam_sde.experiment.loading import ConfigError


@contextmanager
def blame(section: str, places: Mapping[str, str] | None = None, point: str = "") -> Iterator[None]:
    """Turns a ValueError about an argument into one about the key of the configuration that gave it.

    places: sections of the arguments that do not stand in `section`.
    point: the key of the point where the loss is looked at.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{_key(section, places or {}, point, str(error))}{error}") from error


def _key(section: str, places: Mapping[str, str], point: str, message: str) -> str:
    """What to put before a message, which mostly begins with "argument: "."""
    argument = re.match(r"(\w+): ", message)
    if argument is not None:
        return "" if argument[1] in ("noise", "surface") else f"{places.get(argument[1], section)}."
    if re.match(r"(start|the loss|the gradient of the loss) is not finite", message):
        return f"{point}: "
    return "surface: " if message.startswith("the loss ") else f"{section}: "
