"""From a checked configuration to surfaces, noises, dynamics and runs that are ready to execute."""

from pathlib import Path

from sam_sde import dynamics, noise, regions
from sam_sde.checks import real
from sam_sde.config import schema
from sam_sde.config.arms import Optimizer, SwitchArm
from sam_sde.config.errors import ConfigError, locating
from sam_sde.config.points import build_point, build_surface
from sam_sde.config.schema import Config
from sam_sde.config.sections import Section
from sam_sde.engines import asked_engine
from sam_sde.errors import ArgumentError
from sam_sde.escape import EscapeRun, NormalStart, check_ends, prepare
from sam_sde.noise import Noise
from sam_sde.regions import Region
from sam_sde.surfaces import LossSurface

# Where the arguments of a run stand that are not the arm's own.
PLACES = {**dict.fromkeys(schema.Escape.model_fields, "escape"), **dict.fromkeys(schema.Run.model_fields, "run")}

OPTIMIZERS = {"sgd": dynamics.SGD, "sam": dynamics.SAM, "usam": dynamics.USAM, "dnsam": dynamics.DNSAM}


def build_noise(section: Section, surface: LossSurface) -> Noise:
    with locating("noise"):
        match section:
            case schema.NoNoise():
                return noise.NoNoise()
            case schema.IsotropicNoise():
                return noise.IsotropicNoise(section.sigma)
            case schema.ConstantNoise():
                if len(section.covariance) != surface.dim:
                    raise ArgumentError(
                        "covariance",
                        f"expected {surface.dim} rows, one for each coordinate of the surface, "
                        f"got {len(section.covariance)}",
                    )
                return noise.ConstantNoise(section.covariance)
            case schema.HessianNoise(at=None):
                return noise.HessianNoise(surface)
            case schema.HessianNoise():
                return noise.FrozenHessianNoise(surface, build_point("at", section.at, surface))
            case schema.EmpiricalNoise():
                return noise.EmpiricalNoise(surface, section.sampling)


def build_dynamics(config: Config, arm: str, surface: LossSurface, noise: Noise) -> dynamics.Dynamics:
    """The dynamics of one arm: its own keys over the optimizer's defaults."""
    section = config.arms[arm]
    if isinstance(section, SwitchArm):
        parts = [build_dynamics(config, part, surface, noise) for part in (section.first, section.second)]
        with locating(f"arms.{arm}"):
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
    with locating(f"arms.{arm}", dict.fromkeys(options.keys() - own.keys(), "optimizer")):
        return OPTIMIZERS[kind](surface, noise, **options)


def build_schedule(section: dict) -> dynamics.Schedule:
    parameters = dict(section)
    return dynamics.SCHEDULES[parameters.pop("kind")](**parameters)


def build_region(section: Section, surface: LossSurface) -> Region:
    with locating("escape.region"):
        match section:
            case schema.BallRegion():
                return regions.Ball(build_point("centre", section.centre, surface), section.radius)
            case schema.SlabRegion():
                centre = build_point("centre", section.centre, surface)
                return regions.Slab(centre, section.direction, section.half_width)
            case schema.BoxRegion():
                low, high = (build_point(key, getattr(section, key), surface) for key in ("low", "high"))
                return regions.Box(low, high)
            case schema.LossRegion(below=None):
                return regions.LossAbove(surface, real("above", section.above))
            case schema.LossRegion():
                return regions.LossBelow(surface, real("below", section.below))
            case schema.UnstableRegion():
                return regions.UnstableDistance(surface, build_point("at", section.at, surface), section.distance)


def build_start(section: schema.Point | schema.NormalStart, surface: LossSurface) -> list[float] | NormalStart:
    if not isinstance(section, schema.NormalStart):
        with locating("escape"):
            return build_point("start", section, surface)
    with locating("escape.start.normal"):
        return NormalStart(build_point("mean", section.normal.mean, surface), section.normal.std)


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
        with locating(f"arms.{arm}", _places(config, arm)):
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
            with locating("run"):
                check_ends(runs[arm])
    return runs


def _places(config: Config, arm: str) -> dict[str, str]:
    """Where the arguments of an arm's run stand that are not keys of its own."""
    own = config.arms[arm].model_dump(exclude_none=True)
    defaults = () if isinstance(config.arms[arm], SwitchArm) else Optimizer.model_fields
    places = PLACES | dict.fromkeys(defaults, "optimizer")
    return {key: section for key, section in places.items() if key not in own}


def run_options(config: Config, arm: str) -> dict:
    """What the section `run` says for an arm; its own engine stands before that of the run.

    The crossing is that of the SDEs; where an arm alone is run as the algorithm, so are dt and method.
    """
    options = config.run.model_dump(exclude={"common_noise", "ends"})
    options["engine"] = config.arms[arm].engine or config.run.engine
    engine = asked_engine(options["engine"])
    if not engine.of_sde:
        options["crossing"] = engine.default_crossing
        if asked_engine(config.run.engine).of_sde:
            options |= {"dt": None, "method": "euler"}
    return options
