"""From a checked configuration to surfaces, noises, dynamics and runs that are ready to execute."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError, create_model

from sam_sde import dynamics, noise, regions
from sam_sde.checks import nearest
from sam_sde.escape import EscapeRun, NormalStart, prepare
from sam_sde.experiment import schema
from sam_sde.experiment.loading import ConfigError, explain
from sam_sde.experiment.schema import Config, Section
from sam_sde.noise import Noise
from sam_sde.regions import Region
from sam_sde.surfaces import SURFACES, LossSurface, expression_surface, python_surface

OPTIMIZERS = {"sgd": dynamics.SGD, "sam": dynamics.SAM, "usam": dynamics.USAM, "dnsam": dynamics.DNSAM}


def build_surface(section: schema.Surface, folder: Path = Path()) -> LossSurface:
    """The surface; a Python file is looked for in `folder`, that of the configuration."""
    with _blame("surface"):
        if section.expression is not None:
            return expression_surface(section.expression, section.dim)
        if section.python is not None:
            return python_surface(section.python, section.dim, folder)
    if section.name not in SURFACES:
        raise ConfigError(f"surface.name: unknown surface {section.name!r}; {nearest(section.name, SURFACES)}")
    parameters = dict(section.model_extra)
    if section.dim is not None:
        parameters["dim"] = section.dim
    try:
        checked = surface_parameters(section.name).model_validate(parameters)
    except ValidationError as error:
        raise ConfigError(explain(error, parameters, "surface")) from None
    with _blame("surface"):
        return SURFACES[section.name](**{key: getattr(checked, key) for key in checked.model_fields_set})


def surface_parameters(name: str) -> type[Section]:
    """The parameters of a surface as a section, from the signature of the function that makes it."""
    fields = {
        key: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for key, parameter in inspect.signature(SURFACES[name]).parameters.items()
    }
    return create_model(name, __base__=Section, **fields)


def build_noise(section: Section, surface: LossSurface) -> Noise:
    with _blame("noise"):
        match section:
            case schema.NoNoise():
                return noise.NoNoise()
            case schema.IsotropicNoise():
                return noise.IsotropicNoise(section.sigma)
            case schema.ConstantNoise():
                return noise.ConstantNoise(section.covariance)
            case schema.HessianNoise(at=None):
                return noise.HessianNoise(surface)
            case schema.HessianNoise():
                return noise.FrozenHessianNoise(surface, section.at)


def build_dynamics(config: Config, arm: str, surface: LossSurface, noise: Noise) -> dynamics.GradientDynamics:
    """The dynamics of one arm: its own keys over the optimizer's defaults."""
    options = {**config.optimizer.model_dump(), **config.arms[arm].model_dump(exclude_none=True)}
    kind = options.pop("kind")
    if options["lr"] is None:
        raise ConfigError(f"optimizer.lr: missing; give it there or as arms.{arm}.lr")
    with _blame(f"arms.{arm}"):
        return OPTIMIZERS[kind](surface, noise, **options)


def build_region(section: Section, surface: LossSurface) -> Region:
    with _blame("escape.region"):
        match section:
            case schema.BallRegion():
                return regions.Ball(section.centre, section.radius)
            case schema.SlabRegion():
                return regions.Slab(section.centre, section.direction, section.half_width)
            case schema.BoxRegion():
                return regions.Box(section.low, section.high)
            case schema.LossRegion(below=None):
                return regions.LossAbove(surface, section.above)
            case schema.LossRegion():
                return regions.LossBelow(surface, section.below)
            case schema.UnstableRegion():
                return regions.UnstableDistance(surface, section.at, section.distance)


def build_runs(config: Config, folder: Path = Path()) -> dict[str, EscapeRun]:
    """One run for each arm, all of them checked before any is executed.

    Raises
        ConfigError: naming the key that does not fit the others.
    """
    surface = build_surface(config.surface, folder)
    noise = build_noise(config.noise, surface)
    region = build_region(config.escape.region, surface)
    options = config.run.model_dump(exclude={"common_noise"})
    start = config.escape.start
    if isinstance(start, schema.NormalStart):
        start = NormalStart(start.normal.mean, start.normal.std)
    runs = {}
    for arm in config.arms:
        with _blame(f"arms.{arm}"):
            runs[arm] = prepare(
                build_dynamics(config, arm, surface, noise),
                start=start,
                region=region,
                t_max=config.escape.t_max,
                arm="" if config.run.common_noise else arm,
                **options,
            )
    return runs


@contextmanager
def _blame(section: str) -> Iterator[None]:
    """Turns a ValueError about an argument into one about the key of the configuration that gave it."""
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{_key(section, str(error))}{error}") from error


def _key(section: str, message: str) -> str:
    """What to put before a message that begins with "argument: ": the section where this key stands."""
    argument = re.match(r"(\w+): ", message)
    if argument is None:
        return f"{section}: "
    if argument[1] in ("noise", "surface"):
        return ""
    for name, fields in (("escape", schema.Escape), ("run", schema.Run)):
        if section.startswith("arms.") and argument[1] in fields.model_fields:
            return f"{name}."
    return f"{section}."
