"""What a configuration may say of a class: the parameters of its constructor, and how each is written."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from sam_sde.dynamics import Dynamics
from sam_sde.noise import Noise
from sam_sde.parameters import Point, TimeFunction
from sam_sde.surfaces import Dataset, LossSurface

SUPPLIED = (LossSurface, Noise)  # those of the configuration
WRITTEN = (Point, TimeFunction, Dataset, Dynamics)  # in ways of their own
PLAIN = (bool, int, float, str, NoneType)

REQUIRED = inspect.Parameter.empty


class Parameter(NamedTuple):
    """annotation: its type, as the signature has it. default: REQUIRED where there is none."""

    annotation: Any
    default: Any


@cache
def parameters_of(factory: Callable) -> dict[str, Parameter]:
    """The parameters of a function or of a class, by name; what goes on as **options is taken from the base classes.

    Of a base class only those are taken that a file can say: for the others the class itself has a value.

    Raises
        TypeError: a parameter of its own can be neither supplied nor written in a file.
    """
    found = {}
    for depth, function in enumerate(_constructors(factory)):
        own = _signature(function)
        for name, parameter in own.items():
            if is_supplied(parameter.annotation) or can_be_written(parameter.annotation):
                found.setdefault(name, parameter)
            elif depth == 0:
                raise TypeError(f"{factory.__name__}: {name} cannot be written in a file, its type is {parameter[0]}")
        if not _passes_on(function):
            break
    return found


def is_supplied(annotation: Any) -> bool:
    """Whether it is what the configuration has one of: the surface or the noise."""
    return isinstance(annotation, type) and issubclass(annotation, SUPPLIED)


def mentions(annotation: Any, kind: Any) -> bool:
    """Whether the type is `kind`, or a union with it."""
    return annotation == kind or any(each == kind for each in _union(annotation))


def can_be_written(annotation: Any) -> bool:
    if any(annotation is each or annotation == each for each in (*WRITTEN, *PLAIN)):
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return can_be_written(get_args(annotation)[0])
    if origin in (list, Sequence):
        return all(map(can_be_written, get_args(annotation)))
    return origin is Literal or (bool(_union(annotation)) and all(map(can_be_written, _union(annotation))))


def _union(annotation: Any) -> tuple:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()


def _constructors(factory: Callable) -> Iterator[Callable]:
    """The function, or the constructors of a class and of its bases, the class's own first."""
    if not inspect.isclass(factory):
        yield factory
        return
    for owner in factory.__mro__[:-1]:
        if "__init__" in vars(owner):
            yield vars(owner)["__init__"]


def _signature(function: Callable) -> dict[str, Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {
        name: Parameter(hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and name != "self"
    }


def _passes_on(function: Callable) -> bool:
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())
