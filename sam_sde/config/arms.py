"""What a configuration file may say of the optimizers: defaults for all arms, each arm's own, and schedules."""

from typing import Annotated, Literal

from pydantic import Field

from sam_sde.config.sections import Count, DriftOrder, Fraction, NonNegative, Positive, Section
from sam_sde.dynamics import ASCENTS, DRIFTS, MOMENTUM_MODELS, VELOCITIES
from sam_sde.engines import ENGINES


class ConstantSchedule(Section):
    kind: Literal["constant"]
    factor: NonNegative = 1.0


class CosineSchedule(Section):
    kind: Literal["cosine"]
    t_end: Positive
    low: Fraction = 0.0


class StepSchedule(Section):
    kind: Literal["step"]
    every: Positive
    factor: Fraction = 0.1


class WarmUpSchedule(Section):
    kind: Literal["warmup"]
    t_end: Positive
    low: Fraction = 0.0


Schedule = Annotated[ConstantSchedule | CosineSchedule | StepSchedule | WarmUpSchedule, Field(discriminator="kind")]


class Optimizer(Section):
    """Defaults for all arms."""

    lr: Positive | None = None
    batch_size: Count = 1
    momentum: NonNegative = 0.0
    momentum_model: Literal[MOMENTUM_MODELS] = "underdamped"
    initial_velocity: Literal[VELOCITIES] = "zero"
    nesterov: bool = False
    weight_decay: NonNegative = 0.0
    lr_schedule: Schedule | None = None
    drift_order: DriftOrder = 1


class SGDArm(Section):
    """An optimizer; `engine` stands before run.engine, and what is not given is taken from `optimizer`."""

    kind: Literal["sgd"]
    lr: Positive | None = None
    batch_size: Count | None = None
    momentum: NonNegative | None = None
    momentum_model: Literal[MOMENTUM_MODELS] | None = None
    initial_velocity: Literal[VELOCITIES] | None = None
    nesterov: bool | None = None
    weight_decay: NonNegative | None = None
    lr_schedule: Schedule | None = None
    drift_order: DriftOrder | None = None
    engine: Literal["auto", *ENGINES] | None = None


class SAMArm(SGDArm):
    kind: Literal["sam", "usam", "dnsam"]
    rho: NonNegative
    ascent: Literal[ASCENTS] = "full"
    drift: Literal[DRIFTS] = "stop_gradient"
    rho_schedule: Schedule | None = None
    micro_batch: Count | None = None


class SwitchArm(Section):
    """What the arm `first` is in steps that begin before the time `at`, and what the arm `second` is from then on."""

    kind: Literal["switch"]
    first: str
    second: str
    at: Positive
    engine: Literal["auto", *ENGINES] | None = None


Arm = Annotated[SGDArm | SAMArm | SwitchArm, Field(discriminator="kind")]
