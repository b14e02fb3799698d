"""Optimizers as stochastic differential equations: drift and diffusion in torchsde's protocol."""

from sam_sde.dynamics.ablation import WithSGDNoise
from sam_sde.dynamics.base import Dynamics, Time
from sam_sde.dynamics.gradient import GradientDynamics
from sam_sde.dynamics.minibatch import Gradient, Minibatch
from sam_sde.dynamics.motion import MOMENTUM_MODELS, VELOCITIES
from sam_sde.dynamics.sam import ASCENTS, DNSAM, DRIFTS, SAM, USAM, PerturbedSGD
from sam_sde.dynamics.schedules import (
    SCHEDULES,
    ConstantSchedule,
    CosineSchedule,
    Schedule,
    StepSchedule,
    WarmUpSchedule,
)
from sam_sde.dynamics.sgd import SGD
from sam_sde.dynamics.switch import Switch

__all__ = [
    "ASCENTS",
    "DNSAM",
    "DRIFTS",
    "MOMENTUM_MODELS",
    "SAM",
    "SCHEDULES",
    "SGD",
    "USAM",
    "VELOCITIES",
    "ConstantSchedule",
    "CosineSchedule",
    "Dynamics",
    "Gradient",
    "GradientDynamics",
    "Minibatch",
    "PerturbedSGD",
    "Schedule",
    "StepSchedule",
    "Switch",
    "Time",
    "WarmUpSchedule",
    "WithSGDNoise",
]
