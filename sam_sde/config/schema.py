"""What a configuration file may say: its sections, keys, types and defaults.

A value out of its range is refused here where the range does not depend on other values; the rest is checked by the
objects themselves, when they are built.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from sam_sde.checks import nearest, shown
from sam_sde.config.arms import Arm, Optimizer
from sam_sde.config.kinds import of_kind
from sam_sde.config.sections import Count, Point, Section, Vector, Whole
from sam_sde.config.signatures import parameters_of
from sam_sde.dynamics import OPTIMIZERS, Dynamics
from sam_sde.engines import ENGINES, METHODS
from sam_sde.escape import DTYPES
from sam_sde.escape.displacement import TIMES
from sam_sde.noise import NOISES
from sam_sde.parameters import NonNegative, Positive
from sam_sde.rare import FEWEST_REPEATS, FEWEST_WALKERS, REPEATS, SCORES, WALKERS
from sam_sde.regions import REGIONS
from sam_sde.regions.crossing import CROSSINGS
from sam_sde.statistics.weak_order import FEWEST_POINTS
from sam_sde.weak.observables import OBSERVABLES

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


Noise = of_kind(NOISES)


class Normal(Section):
    mean: Point
    std: NonNegative


class NormalStart(Section):
    normal: Normal


def _start_kind(value: Any) -> str:
    return "random" if isinstance(value, dict | NormalStart) else "point"


Start = Annotated[Annotated[Point, Tag("point")] | Annotated[NormalStart, Tag("random")], Discriminator(_start_kind)]


Region = of_kind(REGIONS)


class Escape(Section):
    start: Start
    region: Region
    t_max: Positive
    most_censored: Annotated[float, Field(gt=0, lt=1)] | None = None  # t_max is doubled until no more are left inside
    t_max_ceiling: Positive | None = None

    @model_validator(mode="after")
    def _ceiling_of_what_is_doubled(self):
        if self.t_max_ceiling is not None and (self.most_censored is None or self.t_max_ceiling < self.t_max):
            raise PydanticCustomError(
                "rule",
                "expected at least t_max, with most_censored beside it, got {got}",
                {"key": "t_max_ceiling", "got": self.t_max_ceiling},
            )
        if self.most_censored is not None and self.t_max_ceiling is None:
            raise PydanticCustomError(
                "rule",
                "missing; most_censored doubles t_max until at most so many paths are left inside, or to this ceiling",
                {"key": "t_max_ceiling"},
            )
        return self


class ScoreFunction(Section):
    """A score of one's own: one of `expression` or `python`."""

    expression: str | None = None
    python: str | None = None

    @model_validator(mode="after")
    def _one_kind(self):
        if (self.expression is None) == (self.python is None):
            got = "neither" if self.python is None else "both"
            raise PydanticCustomError("rule", "expected one of expression or python, got {got}", {"got": got})
        return self


def _score_kind(value: Any) -> str:
    return "function" if isinstance(value, dict | ScoreFunction) else "word"


class Rare(Section):
    """Splitting for arms of which most paths stay ("auto"), for all ("always"), or for none ("never")."""

    when: Literal["auto", "always", "never"] = "auto"
    score: Annotated[
        Annotated[Literal[SCORES], Tag("word")] | Annotated[ScoreFunction, Tag("function")], Discriminator(_score_kind)
    ] = "auto"
    core: float | None = None
    levels: Vector | None = None
    walkers: Annotated[Whole, Field(ge=FEWEST_WALKERS)] = WALKERS
    repeats: Annotated[Whole, Field(ge=FEWEST_REPEATS)] = REPEATS


class Weak(Section):
    """The comparison of each optimizer with its SDE at time t, at learning rates that stand before those of the arms.

    rho_scaling: "sqrt" for ρ √(lr/lr of the arm), "constant" for ρ itself.
    """

    t: Positive
    lrs: Annotated[list[Positive], Field(min_length=FEWEST_POINTS)]
    test_functions: list[str] = Field(min_length=1, default_factory=lambda: list(OBSERVABLES))
    n_paths: Annotated[Whole, Field(ge=100)] = 20_000
    rho_scaling: Literal["constant", "sqrt"] = "constant"


class Stability(Section):
    """Where critical points and stalls are searched for, and the starts of the basins.

    bounds: the corners [low, high] of a box; starts: of the search in it; basin_starts, t_max: of the basins; trap: the
    point at which the critical ρ of escape.start is asked for, up to largest_rho.
    """

    bounds: Annotated[list[Vector], Field(min_length=2, max_length=2)] | None = None
    starts: Count = 64
    basin_starts: Count = 900
    t_max: Positive | None = None
    trap: Point | None = None
    largest_rho: Positive = 1.0


class Displacement(Section):
    """Where and when displacement is looked at; the number of paths is that of `run`.

    at: the critical point, default the start. t_max: default that of `escape`. times: how many, or a list of them.
    directions: numbers of eigenvalues in ascending order, by default all, of more than four the outermost.
    """

    at: Point | None = None
    t_max: Positive | None = None
    times: Count | Vector = TIMES
    directions: Annotated[list[Whole], Field(min_length=1)] | None = None


class Run(Section):
    n_paths: Count = 20_000
    dt: Positive | None = None
    seed: Annotated[Whole, Field(ge=0, le=2**64 - 1)] = 0
    method: Literal["auto", *METHODS] = "auto"
    engine: Literal["auto", *ENGINES] = "auto"
    device: str = "auto"
    dtype: Literal[tuple(DTYPES)] = "float32"
    crossing: Literal[CROSSINGS] = "bridge"
    common_noise: bool = False
    block_size: Count | None = None
    ends: Count | None = None  # paths of each arm whose end states are judged
    relative_error: Annotated[float, Field(gt=0, lt=1)] | None = None  # of the mean; n_paths is then the most
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None  # total error of the mean, which n_paths and dt follow
    check_dt: bool | Literal["auto"] = "auto"  # some paths again at dt/2
    task_timeout: Positive | None = None  # seconds after which a block of paths is given up

    @model_validator(mode="after")
    def _accuracy_chooses_paths_of_each_arm(self):
        if self.accuracy is not None and self.common_noise:
            raise PydanticCustomError(
                "rule",
                "chooses n_paths and dt for each arm, and common_noise pairs the paths of all; leave one of them out",
                {"key": "accuracy"},
            )
        return self

    @model_validator(mode="after")
    def _one_rule_for_paths(self):
        if self.accuracy is not None and self.relative_error is not None:
            raise PydanticCustomError(
                "rule",
                "chooses n_paths for the statistical error and that of the step, and relative_error for the first "
                "alone; leave one of them out",
                {"key": "relative_error"},
            )
        return self


class Action(Section):
    """Where the most likely way leads: `to` a point, in the place of the region's boundary."""

    to: Point | None = None


class Config(Section):
    """A whole configuration."""

    surface: Surface
    noise: Noise
    optimizer: Optimizer = Optimizer()
    arms: Annotated[dict[Annotated[str, Field(min_length=1)], Arm], Field(min_length=1)]
    reference: str | None = None
    escape: Escape
    rare: Rare | None = None
    sweep: dict[str, Any] | None = None  # a grid of other values, see `sam_sde.config.grid`
    weak: Weak | None = None
    stability: Stability | None = None
    displacement: Displacement | None = None
    action: Action | None = None
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
    def _arms_name_plain_arms(self):
        plain = [arm for arm, section in self.arms.items() if not names_of_arms(section)]
        for arm, section in self.arms.items():
            for key in names_of_arms(section):
                name = getattr(section, key)
                if name not in plain:
                    raise PydanticCustomError(
                        "reference",
                        "expected another arm that is no switch itself, got {arm}; {hint}",
                        {"key": f"arms.{arm}.{key}", "arm": shown(name), "hint": nearest(name, plain)},
                    )
        return self


def names_of_arms(section: Section) -> list[str]:
    """The keys of an arm that name other arms, as those of a switch do."""
    return [key for key, each in parameters_of(OPTIMIZERS[section.kind]).items() if each.annotation is Dynamics]
