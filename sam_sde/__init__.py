"""Escape times of SGD and sharpness-aware minimization from saddle points, as stochastic differential equations."""

from sam_sde.dynamics import (
    DNSAM,
    SAM,
    SGD,
    USAM,
    ConstantSchedule,
    CosineSchedule,
    Dynamics,
    PerturbedSGD,
    StepSchedule,
    Switch,
    WarmUpSchedule,
)
from sam_sde.escape import (
    EscapeInterrupted,
    EscapeResult,
    NormalStart,
    Progress,
    Trajectory,
    compare,
    escape_times,
)
from sam_sde.noise import (
    ConstantNoise,
    EmpiricalNoise,
    FrozenHessianNoise,
    HessianNoise,
    IsotropicNoise,
    Noise,
    NoNoise,
)
from sam_sde.regions import Ball, Box, LevelSet, LossAbove, LossBelow, Region, Slab, UnstableDistance
from sam_sde.statistics import Outcome
from sam_sde.surfaces import FiniteSum, LossSurface, NetworkSurface, network_surface

__all__ = [
    "DNSAM",
    "SAM",
    "SGD",
    "USAM",
    "Ball",
    "Box",
    "ConstantNoise",
    "ConstantSchedule",
    "CosineSchedule",
    "Dynamics",
    "EmpiricalNoise",
    "EscapeInterrupted",
    "EscapeResult",
    "FiniteSum",
    "FrozenHessianNoise",
    "HessianNoise",
    "IsotropicNoise",
    "LevelSet",
    "LossAbove",
    "LossBelow",
    "LossSurface",
    "NetworkSurface",
    "NoNoise",
    "Noise",
    "NormalStart",
    "Outcome",
    "PerturbedSGD",
    "Progress",
    "Region",
    "Slab",
    "StepSchedule",
    "Switch",
    "Trajectory",
    "UnstableDistance",
    "WarmUpSchedule",
    "compare",
    "escape_times",
    "network_surface",
]
__version__ = "0.1.0"
