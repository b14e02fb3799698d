"""Escape times: the driver, its result, and trajectories of single paths."""

from sam_sde.escape.comparison import compare
from sam_sde.escape.driver import DTYPES, EscapeInterrupted, Progress, escape_times, resolve_device
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.start import NormalStart, PointStart
from sam_sde.escape.trajectory import Trajectory, trajectories

__all__ = [
    "DTYPES",
    "EscapeInterrupted",
    "EscapeResult",
    "NormalStart",
    "PointStart",
    "Progress",
    "Trajectory",
    "compare",
    "escape_times",
    "resolve_device",
    "trajectories",
]
