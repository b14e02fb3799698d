"""From the section `surface` of a configuration to a surface, and the points of it that have names."""

import inspect
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError, create_model

from sam_sde.checks import nearest, one_of, vector
from sam_sde.config import schema
from sam_sde.config.errors import ConfigError, locating
from sam_sde.config.loading import explain
from sam_sde.config.sections import Section
from sam_sde.errors import ArgumentError
from sam_sde.surfaces import (
    MODELS,
    SURFACES,
    Dataset,
    LossSurface,
    expression_surface,
    load_csv,
    load_dataset,
    python_surface,
)


def build_surface(section: schema.Surface, folder: Path = Path()) -> LossSurface:
    """The surface; files are looked for in `folder`, that of the configuration."""
    with locating("surface"):
        if section.expression is not None:
            return expression_surface(section.expression, section.dim)
        if section.python is not None:
            return python_surface(section.python, section.dim, folder)
        if section.model is not None:
            factory = MODELS[one_of("model", section.model, MODELS)]
    if section.name is not None:
        if section.name not in SURFACES:
            raise ConfigError(f"surface.name: unknown surface {section.name!r}; {nearest(section.name, SURFACES)}")
        factory = SURFACES[section.name]
    parameters = dict(section.model_extra)
    if section.dim is not None:
        parameters["dim"] = section.dim
    try:
        checked = surface_parameters(factory).model_validate(parameters)
    except ValidationError as error:
        raise ConfigError(explain(error, parameters, "surface")) from None
    arguments = {key: getattr(checked, key) for key in checked.model_fields_set}
    with locating("surface", dict.fromkeys(schema.CSVFile.model_fields, "surface.data")):
        if "data" in arguments:
            arguments["data"] = build_data(arguments["data"], folder)
        return factory(**arguments)


def surface_parameters(factory: Callable[..., LossSurface]) -> type[Section]:
    """The parameters of a surface as a section, from the signature of the function that makes it."""
    fields = {
        key: (
            schema.Data if parameter.annotation is Dataset else parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for key, parameter in inspect.signature(factory).parameters.items()
    }
    return create_model(factory.__name__, __base__=Section, **fields)


def build_data(section: str | schema.CSVFile, folder: Path) -> Dataset:
    if isinstance(section, str):
        return load_dataset(section)
    return load_csv(section.csv, section.target, folder)


def build_point(name: str, point: schema.Point, surface: LossSurface) -> list[float]:
    """The coordinates of a point: a list of them, one number for all, or the name of a known point of the surface.

    Raises ValueError, about the argument `name`, where the surface knows no such point.
    """
    if isinstance(point, float):
        return [point] * surface.dim
    if not isinstance(point, str):
        if len(point) != surface.dim:
            raise ArgumentError(
                name,
                f"expected {surface.dim} numbers, one for each coordinate, got {len(point)}; "
                "try one number for all of them, or the name of a point such as saddle",
            )
        return vector(name, point, surface.dim).tolist()
    known = {critical.kind: critical.location for critical in reversed(surface.critical_points)}
    if getattr(surface, "initial_weights", None) is not None:
        known["initial"] = surface.initial_weights.tolist()
    if point not in known:
        raise ArgumentError(
            name,
            f"no {point} of the surface {surface.name} is known, only {', '.join(sorted(known)) or 'nothing'}; "
            "try numbers, or one number for all coordinates",
        )
    return list(known[point])
