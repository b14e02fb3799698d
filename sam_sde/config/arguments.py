"""From what a section says to the arguments of the class that it names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam_sde.checks import vector
from sam_sde.config.kinds import CSVFile
from sam_sde.config.sections import Section
from sam_sde.config.signatures import is_supplied, mentions, parameters_of
from sam_sde.dynamics import SCHEDULES, Dynamics, Schedule
from sam_sde.errors import ArgumentError
from sam_sde.noise import Noise
from sam_sde.parameters import Point, TimeFunction
from sam_sde.surfaces import Dataset, LossSurface, load_csv, load_dataset


@dataclass(frozen=True)
class Supplies:
    """What sections refer to: the surface and the noise, the folder where files lie, other arms by their names."""

    surface: LossSurface | None = None
    noise: Noise | None = None
    folder: Path = Path()
    arm: Callable[[str], Dynamics] | None = None

    def call(self, factory: Callable, values: dict[str, Any]) -> Any:
        """The object that a function or class makes of the values of a section; None is the same as no value."""
        arguments = {}
        for name, parameter in parameters_of(factory).items():
            if is_supplied(parameter.annotation):
                arguments[name] = self.noise if issubclass(parameter.annotation, Noise) else self.surface
            elif values.get(name) is not None:
                arguments[name] = self._argument(name, parameter.annotation, values[name])
        return factory(**arguments)

    def _argument(self, name: str, annotation: Any, value: Any) -> Any:
        if mentions(annotation, Point):
            return point_of(name, value, self.surface)
        if mentions(annotation, TimeFunction):
            return schedule_of(value)
        if annotation is Dataset:
            return data_of(value, self.folder)
        return self.arm(value) if annotation is Dynamics else value


def values_of(section: Section) -> dict[str, Any]:
    """The keys that were given, with their values; sections inside stay sections."""
    return {key: getattr(section, key) for key in section.model_fields_set if getattr(section, key) is not None}


def schedule_of(section: Section) -> Schedule:
    return Supplies().call(SCHEDULES[section.kind], values_of(section))


def data_of(section: str | CSVFile, folder: Path) -> Dataset:
    if isinstance(section, str):
        return load_dataset(section)
    return load_csv(section.csv, section.target, folder, header=section.header, index=section.index)


def point_of(name: str, point: list[float] | float | str, surface: LossSurface) -> list[float]:
    """The coordinates of a point: a list of them, one number for all, or the name of a known point of the surface.

    Raises ArgumentError, about the argument `name`, where the surface knows no such point.
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
