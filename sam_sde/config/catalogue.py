"""What a configuration can name, with the parameters that each takes."""

from typing import get_args

from pydantic_core import PydanticUndefined

from sam_sde.config import arms, schema
from sam_sde.config.points import surface_parameters
from sam_sde.config.sections import Section
from sam_sde.surfaces import DATASETS, MODELS, SURFACES


def catalogue() -> dict[str, list[str]]:
    """Lines such as "isotropic (sigma)" under the names of the sections; a parameter in […] may be left out."""
    return {
        "surfaces": [f"{name}{_parameters(surface_parameters(factory))}" for name, factory in SURFACES.items()]
        + ['expression: "x**2 - y**2" [dim]', 'python: "file.py:function" dim'],
        "models": [f"{name}{_parameters(surface_parameters(factory))}" for name, factory in MODELS.items()],
        "data": [*DATASETS, "csv: file.csv [target]"],
        "noise": _kinds(schema.Noise),
        "optimizers": _kinds(arms.Arm),
        "schedules": _kinds(arms.Schedule),
        "regions": _kinds(schema.Region),
    }


def _kinds(union) -> list[str]:
    """One line for each kind that a union of sections accepts."""
    return [
        f"{kind}{_parameters(section)}"
        for section in get_args(get_args(union)[0])
        for kind in get_args(section.model_fields["kind"].annotation)
    ]


def _parameters(section: type[Section]) -> str:
    words = []
    for name, field in section.model_fields.items():
        if name == "kind":
            continue
        if field.is_required():
            words.append(name)
        elif field.default in (None, PydanticUndefined):
            words.append(f"[{name}]")
        else:
            words.append(f"[{name}={field.default}]")
    return " " + " ".join(words) if words else ""
