"""Errors of a configuration: which key, what was expected, what was got, what to try."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sam_sde.errors import ArgumentError, InputError


class ConfigError(InputError):
    """What is wrong with a configuration; the message begins with the key."""


@contextmanager
def locating(section: str, places: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns an error about an argument into one about the key of the configuration that gave it.

    section: where the arguments stand, as keys of the same name.
    places: the sections of those that do not stand there; a section "" is the top of the file.
    """
    try:
        yield
    except ArgumentError as error:
        place = {"surface": "", "noise": "", **(places or {})}.get(error.name, section)
        raise ConfigError(f"{place}.{error}" if place else str(error)) from error
