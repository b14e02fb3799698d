from . import surfaces
from .dynamics import (
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
from .errors import ArgumentError, InputError
from .escape import EscapeInterrupted, EscapeResult, NormalStart, Progress, Start, Trajectory, compare, escape_times
from .escape.displacement import displacement
from .escape.simulation import (
    simulate,
)
from .jobs.loading import Results, load
from .jobs.sweep import sweep
from .noise import ConstantNoise, EmpiricalNoise, FrozenHessianNoise, HessianNoise, IsotropicNoise, Noise, NoNoise
from .rare import RareResult, rare_escape_times
from .regions import Ball, Box, LevelSet, LossAbove, LossBelow, Region, Slab, UnstableDistance
from .statistics import Outcome
from .statistics.log_time import LogTimeFit, fit_log_time, fit_xie
from .surfaces import FiniteSum, LossSurface, NetworkSurface, load_csv, load_dataset, network_surface
from .theory.action import LeastAction, least_action
from .theory.exact import ExactEscape, exact_escape_times
from .theory.kramers import Kramers, kramers_time, xie_time
from .theory.stability import critical_points, critical_rho, stability, stalls
from .weak.errors import weak_errors, weak_orders

__all__ = [
    "DNSAM",
    "SAM",
    "SGD",
    "USAM",
    "ArgumentError",
    "Ball",
    "Box",
    "ConstantNoise",
    "ConstantSchedule",
    "CosineSchedule",
    "Dynamics",
    "EmpiricalNoise",
    "EscapeInterrupted",
    "EscapeResult",
    "ExactEscape",
    "FiniteSum",
    "FrozenHessianNoise",
    "HessianNoise",
    "InputError",
    "IsotropicNoise",
    "Kramers",
    "LeastAction",
    "LevelSet",
    "LogTimeFit",
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
    "RareResult",
    "Region",
    "Results",
    "Slab",
    "Start",
    "StepSchedule",
    "Switch",
    "Trajectory",
    "UnstableDistance",
    "WarmUpSchedule",
    "compare",
    "critical_points",
    "critical_rho",
    "displacement",
    "escape_times",
    "exact_escape_times",
    "fit_log_time",
    "fit_xie",
    "kramers_time",
    "least_action",
    "load",
    "load_csv",
    "load_dataset",
    "network_surface",
    "rare_escape_times",
    "simulate",
    "stability",
    "stalls",
    "surfaces",
    "sweep",
    "weak_errors",
    "weak_orders",
    "xie_time",
]
__version__: str
