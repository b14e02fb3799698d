"""From a checked configuration to surfaces, noises, dynamics and runs that are ready to execute."""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError, create_model

from sam_sde import dynamics, noise, regions
from sam_sde.checks import nearest, real, vector
from sam_sde.escape import EscapeRun, NormalStart, check_ends, prepare
from sam_sde.experiment import schema
from sam_sde.experiment.loading import ConfigError, explain
from sam_sde.experiment.schema import Config, Section
from sam_sde.noise import Noise
from sam_sde.regions import Region
from sam_sde.surfaces import SURFACES, LossSurface, expression_surface, python_surface

# Where the arguments of a run stand that are not the arm's own.
PLACES = {**dict.fromkeys(schema.Escape.model_fields, "escape"), **dict.fromkeys(schema.Run.model_fields, "run")}

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
    with _blame("noise", point="noise.at"):
        match section:
            case schema.NoNoise():
                return noise.NoNoise()
            case schema.IsotropicNoise():
                return noise.IsotropicNoise(section.sigma)
            case schema.ConstantNoise():
                if len(section.covariance) != surface.dim:
                    raise ValueError(
                        f"covariance: expected {surface.dim} rows, one for each coordinate of the surface, "
                        f"got {len(section.covariance)}"
                    )
                return noise.ConstantNoise(section.covariance)
            case schema.HessianNoise(at=None):
                return noise.HessianNoise(surface)
            case schema.HessianNoise():
                return noise.FrozenHessianNoise(surface, section.at)


def build_dynamics(config: Config, arm: str, surface: LossSurface, noise: Noise) -> dynamics.Dynamics:
    """The dynamics of one arm: its own keys over the optimizer's defaults."""
    section = config.arms[arm]
    if isinstance(section, schema.SwitchArm):
        parts = [build_dynamics(config, part, surface, noise) for part in (section.first, section.second)]
        with _blame(f"arms.{arm}"):
            return dynamics.Switch(*parts, at=section.at)
    own = section.model_dump(exclude_none=True)
    options = {**config.optimizer.model_dump(), **own}
    for key in ("lr_schedule", "rho_schedule"):
        if options.get(key) is not None:
            options[key] = build_schedule(options[key])
    kind = options.pop("kind")
    options.pop("engine", None)
    if options["lr"] is None:
        raise ConfigError(f"optimizer.lr: missing; give it there or as arms.{arm}.lr")
    with _blame(f"arms.{arm}", dict.fromkeys(options.keys() - own.keys(), "optimizer")):
        return OPTIMIZERS[kind](surface, noise, **options)


def build_schedule(section: dict) -> dynamics.Schedule:
    parameters = dict(section)
    return dynamics.SCHEDULES[parameters.pop("kind")](**parameters)


def build_region(section: Section, surface: LossSurface) -> Region:
    with _blame("escape.region", point="escape.region.at"):
        match section:
            case schema.BallRegion():
                return regions.Ball(vector("centre", section.centre, surface.dim), section.radius)
            case schema.SlabRegion():
                return regions.Slab(
                    vector("centre", section.centre, surface.dim), section.direction, section.half_width
                )
            case schema.BoxRegion():
                return regions.Box(vector("low", section.low, surface.dim), section.high)
            case schema.LossRegion(below=None):
                return regions.LossAbove(surface, real("above", section.above))
            case schema.LossRegion():
                return regions.LossBelow(surface, real("below", section.below))
            case schema.UnstableRegion():
                return regions.UnstableDistance(surface, section.at, section.distance)


def build_start(section: list[float] | schema.NormalStart, surface: LossSurface) -> list[float] | NormalStart:
    if not isinstance(section, schema.NormalStart):
        return section
    with _blame("escape.start.normal"):
        return NormalStart(vector("mean", section.normal.mean, surface.dim), section.normal.std)


def build_runs(config: Config, folder: Path = Path(), workers: int = 1) -> dict[str, EscapeRun]:
    """One run for each arm, all of them checked before any is executed; `workers` processes will share its paths.

    Raises
        ConfigError: naming the key that does not fit the others.
    """
    surface = build_surface(config.surface, folder)
    noise = build_noise(config.noise, surface)
    region = build_region(config.escape.region, surface)
    start = build_start(config.escape.start, surface)
    runs = {}
    for arm in config.arms:
        optimizer = build_dynamics(config, arm, surface, noise)
        options = run_options(config, arm)
        if options["dt"] is None and optimizer.lr > config.escape.t_max:
            raise ConfigError(
                f"escape.t_max: expected at least one step of arms.{arm}, lr = {optimizer.lr:g}, "
                f"got {config.escape.t_max:g}; try a larger t_max, a smaller lr, or give run.dt"
            )
        places = PLACES if config.arms[arm].engine is None else PLACES | {"engine": f"arms.{arm}"}
        with _blame(f"arms.{arm}", places, point="escape.start"):
            runs[arm] = prepare(
                optimizer,
                start=start,
                region=region,
                workers=workers,
                t_max=config.escape.t_max,
                arm="" if config.run.common_noise else arm,
                **options,
            )
        if config.run.ends is not None:
            with _blame("run"):
                check_ends(runs[arm])
    return runs


def run_options(config: Config, arm: str) -> dict:
    """What the section `run` says for an arm; its own engine stands before that of the run.

    The crossing is that of the SDEs; where an arm alone is discrete, so are dt and method.
    """
    options = config.run.model_dump(exclude={"common_noise", "ends"})
    options["engine"] = config.arms[arm].engine or config.run.engine
    if options["engine"] == "discrete":
        options["crossing"] = None
        if config.run.engine != "discrete":
            options |= {"dt": None, "method": "euler"}
    return options


@contextmanager
def _blame(section: str, places: Mapping[str, str] | None = None, point: str = "") -> Iterator[None]:
    """Turns a ValueError about an argument into one about the key of the configuration that gave it.

    places: sections of the arguments that do not stand in `section`.
    point: the key of the point where the loss is looked at.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{_key(section, places or {}, point, str(error))}{error}") from error


def _key(section: str, places: Mapping[str, str], point: str, message: str) -> str:
    """What to put before a message, which mostly begins with "argument: "."""
    argument = re.match(r"(\w+): ", message)
    if argument is not None:
        return "" if argument[1] in ("noise", "surface") else f"{places.get(argument[1], section)}."
    if re.match(r"(start|the loss|the gradient of the loss) is not finite", message):
        return f"{point}: "
    return "surface: " if message.startswith("the loss ") else f"{section}: "
