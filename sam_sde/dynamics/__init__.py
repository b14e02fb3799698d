"""Optimizers as stochastic differential equations: drift and diffusion in torchsde's protocol."""

from sam_sde.dynamics.ablation import WithSGDNoise
from sam_sde.dynamics.base import Dynamics, Time, covers, times, uneven
from sam_sde.dynamics.gradient import GradientDynamics
from sam_sde.dynamics.minibatch import Gradient, Minibatch
from sam_sde.dynamics.sam import DNSAM, SAM, USAM, PerturbedSGD
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

# What a configuration can name.
OPTIMIZERS = {"sgd": SGD, "sam": SAM, "usam": USAM, "dnsam": DNSAM, "switch": Switch}

__all__ = [
    "DNSAM",
    "OPTIMIZERS",
    "SAM",
    "SCHEDULES",
    "SGD",
    "USAM",
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
    "covers",
    "times",
    "uneven",
]
