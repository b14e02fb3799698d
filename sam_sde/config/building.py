"""From a checked configuration to surfaces, noises, dynamics and runs that are ready to execute."""

from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from sam_sde.checks import nearest, one_of
from sam_sde.config import schema
from sam_sde.config.arguments import Supplies, point_of, values_of
from sam_sde.config.arms import Optimizer
from sam_sde.config.errors import ConfigError, locating
from sam_sde.config.kinds import CSVFile, section_of
from sam_sde.config.loading import explain
from sam_sde.config.schema import Config
from sam_sde.config.sections import Section
from sam_sde.config.signatures import parameters_of
from sam_sde.dynamics import OPTIMIZERS, Dynamics
from sam_sde.engines import asked_engine
from sam_sde.escape import EscapeRun, NormalStart, check_ends, prepare
from sam_sde.noise import NOISES, Noise
from sam_sde.rare import RareRun, prepare_rare
from sam_sde.regions import REGIONS, LossBelow, Region
from sam_sde.surfaces import MODELS, SURFACES, LossSurface, expression_surface, python_surface

# What the streams of random numbers of a pilot and of splitting are called after that of their arm.
PILOT, SPLITTING = "\npilot", "\nsplitting"

# Where the arguments of a run stand that are not the arm's own.
PLACES = {**dict.fromkeys(schema.Escape.model_fields, "escape"), **dict.fromkeys(schema.Run.model_fields, "run")}


@dataclass
class Setting:
    """What a configuration describes, built once: its surface, noise, region and start, and the optimizer of each arm.

    folder: that of the configuration, where its files are looked for.
    like: another one, whose surface and noise are taken where they are the same.

    Raises
        ConfigError: naming the key that does not fit the others.
    """

    config: Config
    folder: Path = Path()
    like: InitVar["Setting | None"] = None
    surface: LossSurface = field(init=False)
    noise: Noise = field(init=False)
    region: Region = field(init=False)
    start: list[float] | NormalStart = field(init=False)

    def __post_init__(self, like: "Setting | None"):
        same_surface = like is not None and like.config.surface == self.config.surface
        self.surface = like.surface if same_surface else build_surface(self.config.surface, self.folder)
        same_noise = same_surface and like.config.noise == self.config.noise
        self.noise = like.noise if same_noise else build_noise(self.config.noise, self.surface)
        self.region = build_region(self.config.escape.region, self.surface)
        self.start = build_start(self.config.escape.start, self.surface)

    def dynamics(self, arm: str, config: Config | None = None) -> Dynamics:
        """The optimizer of one arm: its own keys over the defaults of `optimizer`.

        config: says other things of the arms than the setting's own.
        """
        config = config or self.config
        factory, own = OPTIMIZERS[config.arms[arm].kind], values_of(config.arms[arm])
        keys = self._values(arm, config)
        if "lr" in parameters_of(factory) and "lr" not in keys:
            raise ConfigError(f"optimizer.lr: missing; give it there or as arms.{arm}.lr")
        supplies = Supplies(self.surface, self.noise, self.folder, lambda name: self.dynamics(name, config))
        with locating(f"arms.{arm}", dict.fromkeys(keys.keys() - own.keys(), "optimizer")):
            return supplies.call(factory, keys)

    def _values(self, arm: str, config: Config) -> dict[str, Any]:
        """What is said of an arm, by itself or for all."""
        section = config.arms[arm]
        keys = parameters_of(OPTIMIZERS[section.kind])
        return {key: value for key, value in values_of(config.optimizer).items() if key in keys} | values_of(section)

    def keys_of(self, arm: str) -> dict[str, Any]:
        """What is said of an arm, by itself or for all, as plain data; arms that it names stand there themselves."""
        section, plain = self.config.arms[arm], {}
        for key, value in self._values(arm, self.config).items():
            if key in schema.names_of_arms(section):
                plain[key] = self.keys_of(value)
            else:
                plain[key] = value.model_dump(mode="json") if isinstance(value, Section) else value
        return plain

    def followed_by(self, arm: str) -> dict[str, Any]:
        """What the escape times of an arm's SDE follow from, as plain data."""
        config = self.config
        sections = {"surface": config.surface, "noise": config.noise, "escape": config.escape}
        return {name: section.model_dump(mode="json") for name, section in sections.items()} | {
            "optimizer": self.keys_of(arm)
        }

    def asked_engine(self, arm: str) -> str:
        """The engine that is asked for, "auto" where none is."""
        return self.config.arms[arm].engine or self.config.run.engine

    def runs(self, workers: int | None = None) -> dict[str, EscapeRun]:
        """One run for each arm, all of them checked before any is executed; `workers` share its paths, see `prepare`.

        Raises
            ConfigError: naming the key that does not fit the others.
        """
        return {arm: self.run(arm, workers) for arm in self.config.arms}

    def pilot(self, arm: str, n_paths: int) -> EscapeRun:
        """A run of one arm with at most so many paths, whose random numbers are others."""
        return self.run(arm, workers=1, pilot=True, n_paths=min(n_paths, self.config.run.n_paths))

    def rare(self, arm: str, workers: int | None = None) -> RareRun:
        """What the section `rare` asks for, of one arm.

        Raises
            ConfigError: naming the key that does not fit the others.
        """
        options = run_options(self.config, arm)
        del options["n_paths"], options["block_size"]
        section, optimizer = self.config.rare, self.dynamics(arm)
        places = dict.fromkeys(("score", "core", "levels", "walkers", "repeats"), "rare")
        with locating(f"arms.{arm}", places_of(self.config, arm) | places):
            return prepare_rare(
                optimizer,
                start=self.start,
                region=self.region,
                score=build_score(section.score, self.surface.dim, self.folder),
                core=section.core,
                levels=section.levels,
                walkers=section.walkers,
                repeats=section.repeats,
                workers=workers,
                arm=arm + SPLITTING,
                **options,
            )

    def with_t_max(self, t_max: float) -> "Setting":
        escape = self.config.escape.model_copy(update={"t_max": t_max})
        return Setting(self.config.model_copy(update={"escape": escape}), self.folder, like=self)

    def run(self, arm: str, workers: int | None = None, *, pilot: bool = False, **changes) -> EscapeRun:
        """The run of one arm; changes: stand before what the section `run` says. pilot: with other random numbers."""
        optimizer = self.dynamics(arm)
        config, options = self.config, run_options(self.config, arm) | changes
        if options["dt"] is None and optimizer.lr > config.escape.t_max:
            raise ConfigError(
                f"escape.t_max: expected at least one step of arms.{arm}, lr = {optimizer.lr:g}, "
                f"got {config.escape.t_max:g}; try a larger t_max, a smaller lr, or give run.dt"
            )
        with locating(f"arms.{arm}", places_of(config, arm)):
            run = prepare(
                optimizer,
                start=self.start,
                region=self.region,
                workers=workers,
                t_max=config.escape.t_max,
                arm=("" if config.run.common_noise else arm) + (PILOT if pilot else ""),
                **options,
            )
        if config.run.ends is not None:
            with locating("run"):
                first = torch.zeros(1, dtype=torch.int64, device=run.device)
                check_ends(optimizer, run.start.points(first, run.problem.stream))
        return run


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
    keys = dict(section.model_extra)
    if section.dim is not None:
        keys["dim"] = section.dim
    try:
        parameters = section_of(factory).model_validate(keys)
    except ValidationError as error:
        raise ConfigError(explain(error, keys, "surface")) from None
    with locating("surface", dict.fromkeys(CSVFile.model_fields, "surface.data")):
        return Supplies(folder=folder).call(factory, values_of(parameters))


def build_noise(section: Section, surface: LossSurface) -> Noise:
    with locating("noise"):
        return Supplies(surface).call(NOISES[section.kind], values_of(section))


def build_region(section: Section, surface: LossSurface) -> Region:
    with locating("escape.region", {"region": "escape"}):
        return Supplies(surface).call(REGIONS[section.kind], values_of(section))


def build_score(section: str | schema.ScoreFunction, dim: int, folder: Path = Path()) -> str | Region:
    """A score by its name, or as the level of a region."""
    if isinstance(section, str):
        return section
    with locating("rare.score"):
        if section.expression is not None:
            return LossBelow(expression_surface(section.expression, dim), 0.0)
        return LossBelow(python_surface(section.python, dim, folder), 0.0)


def build_start(section: schema.Point | schema.NormalStart, surface: LossSurface) -> list[float] | NormalStart:
    if not isinstance(section, schema.NormalStart):
        with locating("escape"):
            return point_of("start", section, surface)
    with locating("escape.start.normal"):
        return NormalStart(point_of("mean", section.normal.mean, surface), section.normal.std)


def places_of(config: Config, arm: str) -> dict[str, str]:
    """Where the arguments of an arm's run stand that are not keys of its own."""
    section = config.arms[arm]
    own = values_of(section)
    defaults = Optimizer.model_fields.keys() & type(section).model_fields.keys()
    places = PLACES | dict.fromkeys(defaults, "optimizer")
    return {key: place for key, place in places.items() if key not in own}


def run_options(config: Config, arm: str) -> dict:
    """What the section `run` says for an arm; its own engine stands before that of the run.

    The crossing is that of the SDEs; where an arm alone is run as the algorithm, so are dt and method.
    """
    options = config.run.model_dump(exclude={"common_noise", "ends", "check_dt", "accuracy", "relative_error"})
    options["engine"] = config.arms[arm].engine or config.run.engine
    engine = asked_engine(options["engine"])
    if not engine.of_sde:
        options["crossing"] = engine.default_crossing
        if asked_engine(config.run.engine).of_sde:
            options |= {"dt": None, "method": "auto"}
    return options
