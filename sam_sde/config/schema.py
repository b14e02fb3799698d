"""What a configuration file may say: its sections, keys, types and defaults.

A value out of its range is refused here where the range does not depend on other values; the rest is checked by the
objects themselves, when they are built.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from sam_sde.checks import nearest, shown
from sam_sde.config.arms import Arm, Optimizer, SwitchArm
from sam_sde.config.sections import (
    Count,
    NonNegative,
    Point,
    Positive,
    Section,
    Vector,
    Whole,
)
from sam_sde.engines import ENGINES, METHODS
from sam_sde.escape import DTYPES
from sam_sde.noise import SAMPLINGS
from sam_sde.regions.crossing import CROSSINGS
from sam_sde.statistics.weak_order import FEWEST_POINTS
from sam_sde.weak.test_functions import OBSERVABLES

MAX_DIM = 10**6  # the start of a longer vector could hardly be written down


class Surface(Section):
    """One of `name` or `model` (with its parameters beside it), `expression`, or `python` with `dim`."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    model: str | None = None
    expression: str | None = None
    python: str | None = None
    dim: Annotated[Whole, Field(ge=1, le=MAX_DIM)] | None = None

    @model_validator(mode="after")
    def _one_kind(self):
        given = [key for key in ("name", "model", "expression", "python") if getattr(self, key) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "surface_kind",
                "expected one of name, model, expression or python, got {given}",
                {"given": " and ".join(given) or "none of them"},
            )
        if self.name is None and self.model is None and self.model_extra:
            key = next(iter(self.model_extra))
            raise PydanticCustomError(
                "unknown_key",
                "unknown key; {hint}",
                {"key": key, "hint": nearest(key, type(self).model_fields)},
            )
        if self.python is not None and self.dim is None:
            raise PydanticCustomError(
                "missing_dim", "missing; a surface from a Python file needs its number of coordinates", {"key": "dim"}
            )
        return self


class CSVFile(Section):
    csv: str
    target: str | None = None


def _data_kind(value: Any) -> str:
    return "file" if isinstance(value, dict | CSVFile) else "name"


Data = Annotated[Annotated[str, Tag("name")] | Annotated[CSVFile, Tag("file")], Discriminator(_data_kind)]


class NoNoise(Section):
    kind: Literal["none"]


class IsotropicNoise(Section):
    kind: Literal["isotropic"]
    sigma: NonNegative


class ConstantNoise(Section):
    kind: Literal["constant"]
    covariance: Annotated[list[Vector], Field(min_length=1)]


class HessianNoise(Section):
    kind: Literal["hessian"]
    at: Point | None = None


class EmpiricalNoise(Section):
    kind: Literal["empirical"]
    sampling: Literal[SAMPLINGS] = "with_replacement"


Noise = Annotated[NoNoise | IsotropicNoise | ConstantNoise | HessianNoise | EmpiricalNoise, Field(discriminator="kind")]


class Normal(Section):
    mean: Point
    std: NonNegative


class NormalStart(Section):
    normal: Normal


def _start_kind(value: Any) -> str:
    return "random" if isinstance(value, dict | NormalStart) else "point"


Start = Annotated[Annotated[Point, Tag("point")] | Annotated[NormalStart, Tag("random")], Discriminator(_start_kind)]


class BallRegion(Section):
    kind: Literal["ball"]
    centre: Point
    radius: Positive


class SlabRegion(Section):
    kind: Literal["slab"]
    centre: Point
    direction: Vector
    half_width: Positive


class BoxRegion(Section):
    kind: Literal["box"]
    low: Point
    high: Point


class LossRegion(Section):
    """The loss stays below a level, or above one."""

    kind: Literal["loss"]
    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _one_level(self):
        if (self.below is None) == (self.above is None):
            got = "neither" if self.below is None else "both"
            raise PydanticCustomError("loss_level", "expected one of below and above, got {got}", {"got": got})
        return self


class UnstableRegion(Section):
    kind: Literal["unstable"]
    at: Point
    distance: Positive


Region = Annotated[BallRegion | SlabRegion | BoxRegion | LossRegion | UnstableRegion, Field(discriminator="kind")]


class Escape(Section):
    start: Start
    region: Region
    t_max: Positive


class Weak(Section):
    """The comparison of each optimizer with its SDE at time t, at learning rates that stand before those of the arms.

    rho_scaling: "sqrt" for ρ √(lr/lr of the arm), "constant" for ρ itself.
    """

    t: Positive
    lrs: Annotated[list[Positive], Field(min_length=FEWEST_POINTS)]
    test_functions: list[str] = Field(min_length=1, default_factory=lambda: list(OBSERVABLES))
    n_paths: Annotated[Whole, Field(ge=100)] = 20_000
    rho_scaling: Literal["constant", "sqrt"] = "constant"


class Run(Section):
    n_paths: Count = 20_000
    dt: Positive | None = None
    seed: Annotated[Whole, Field(ge=0, le=2**64 - 1)] = 0
    method: Literal[METHODS] = "euler"
    engine: Literal["auto", *ENGINES] = "auto"
    device: str = "auto"
    dtype: Literal[tuple(DTYPES)] = "float32"
    crossing: Literal[CROSSINGS] = "bridge"
    common_noise: bool = False
    block_size: Count | None = None
    ends: Count | None = None  # paths of each arm whose end states are judged


class Config(Section):
    """A whole configuration."""

    SECTIONS: ClassVar[tuple[str, ...]] = ("surface", "noise", "optimizer", "escape", "weak", "run")

    surface: Surface
    noise: Noise
    optimizer: Optimizer = Optimizer()
    arms: Annotated[dict[Annotated[str, Field(min_length=1)], Arm], Field(min_length=1)]
    reference: str | None = None
    escape: Escape
    weak: Weak | None = None
    run: Run = Run()

    @model_validator(mode="after")
    def _reference_is_an_arm(self):
        if self.reference is not None and self.reference not in self.arms:
            raise PydanticCustomError(
                "reference",
                "unknown arm {arm}; {hint}",
                {"key": "reference", "arm": repr(self.reference), "hint": nearest(self.reference, self.arms)},
            )
        return self

    @model_validator(mode="after")
    def _switches_name_arms(self):
        plain = [arm for arm, section in self.arms.items() if not isinstance(section, SwitchArm)]
        for arm, section in self.arms.items():
            for part in ("first", "second") if isinstance(section, SwitchArm) else ():
                name = getattr(section, part)
                if name not in plain:
                    raise PydanticCustomError(
                        "reference",
                        "expected another arm that is no switch itself, got {arm}; {hint}",
                        {"key": f"arms.{arm}.{part}", "arm": shown(name), "hint": nearest(name, plain)},
                    )
        return self
