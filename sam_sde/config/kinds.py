"""Sections whose keys are the parameters of the class that their `kind` names, as the tables of the package have it.

A class that is added to a table can be named in a configuration: nothing else has to know of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Discriminator, Field, PlainValidator, SerializeAsAny, Tag, create_model
from pydantic_core import PydanticCustomError

from sam_sde.checks import nearest, shown
from sam_sde.config.sections import Point, Section, Whole
from sam_sde.config.signatures import REQUIRED, is_supplied, parameters_of
from sam_sde.dynamics import SCHEDULES, Dynamics
from sam_sde.parameters import Point as PointParameter
from sam_sde.parameters import TimeFunction
from sam_sde.surfaces import Dataset


def section_of(factory: Callable, **fields: tuple[Any, Any]) -> type[Section]:
    """The parameters of a function or class as a section, but for the surface and the noise, which are supplied.

    fields: keys, with types and defaults, that stand in for parameters or are added to them.
    """
    of_parameters = {
        name: (written(parameter.annotation), ... if parameter.default is REQUIRED else parameter.default)
        for name, parameter in parameters_of(factory).items()
        if not is_supplied(parameter.annotation)
    }
    return create_model(factory.__name__, __base__=Section, **{**of_parameters, **fields})


@cache
def section_of_kind(factory: Callable, kind: str) -> type[Section]:
    return section_of(factory, kind=(Literal[kind], ...))


def of_kind(table: Mapping[str, Callable], section: Callable = section_of_kind) -> Any:
    """The type of a section whose `kind` is in the table, which is looked into when a value is checked.

    section: makes the section of a (class, kind).
    """

    def checked(value: Any) -> Section:
        if isinstance(value, Section):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("no_section", "expected a section with keys of its own")
        if "kind" not in value:
            message = "missing; this key is required, and `sam-sde list` shows what it may be"
            raise PydanticCustomError("missing_kind", message, {"key": "kind"})
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in table:
            context = {"key": "kind", "kind": shown(kind), "hint": nearest(kind, table)}
            raise PydanticCustomError("unknown_kind", "unknown kind {kind}; {hint}", context)
        return section(table[kind], kind).model_validate(value)

    return Annotated[SerializeAsAny[Section], PlainValidator(checked)]


def written(annotation: Any) -> Any:
    """The type, in a file, of a parameter."""
    for kind, type_in_file in _IN_FILES:
        if annotation == kind:
            return type_in_file
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[written(arguments[0]), *arguments[1:]]
    if origin in (list, Sequence):
        return Annotated[list[written(arguments[0])], Field(min_length=1)]
    if origin in (Union, UnionType):
        return reduce(or_, map(written, arguments))
    return annotation


class CSVFile(Section):
    csv: str
    target: str | None = None
    header: bool = True
    index: bool = False


def _data_kind(value: Any) -> str:
    return "file" if isinstance(value, dict | CSVFile) else "name"


Data = Annotated[Annotated[str, Tag("name")] | Annotated[CSVFile, Tag("file")], Discriminator(_data_kind)]

Schedule = of_kind(SCHEDULES)

_IN_FILES = (
    (PointParameter, Point),
    (TimeFunction, Schedule),
    (Dataset, Data),
    (Dynamics, str),  # the name of an arm
    (int, Whole),
)
