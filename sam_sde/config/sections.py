"""What the sections of a configuration file are made of: numbers, points, and mappings without unknown keys."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from sam_sde.checks import nearest
from sam_sde.surfaces.surface import KINDS


def _whole(value: Any) -> Any:
    """1e5 is read as a float; where a whole number is meant it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Names of points that a surface may know: the first critical point of a kind, and a network's initial weights.
POINT_WORDS = (*KINDS, "initial")

Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1)]
Vector = Annotated[list[float], Field(min_length=1)]


def _point_kind(value: Any) -> str:
    if isinstance(value, list):
        return "vector"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "word"


# Of a surface with too many coordinates to write down: one number for all of them, or a point that it knows.
Point = Annotated[
    Annotated[Vector, Tag("vector")] | Annotated[float, Tag("number")] | Annotated[Literal[POINT_WORDS], Tag("word")],
    Discriminator(_point_kind),
]


class Section(BaseModel):
    """A mapping whose unknown keys are errors that name the nearest known one."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and cls.model_config["extra"] == "forbid":
            for key in value:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key; {hint}",
                        {"key": str(key), "hint": nearest(key, cls.model_fields)},
                    )
        return value
