"""Escape times: the driver, its result, and trajectories of single paths."""

from sam_sde.escape.driver import DTYPES, escape_times, prepare, resolve_device
from sam_sde.escape.ends import check_ends
from sam_sde.escape.pairing import compare
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeInterrupted, EscapeRun
from sam_sde.escape.start import NormalStart, PointStart
from sam_sde.escape.trajectory import Recorder, Trajectory
from sam_sde.escape.workers import Workers

__all__ = [
    "DTYPES",
    "EscapeInterrupted",
    "EscapeResult",
    "EscapeRun",
    "NormalStart",
    "PointStart",
    "Progress",
    "Recorder",
    "Trajectory",
    "Workers",
    "check_ends",
    "compare",
    "escape_times",
    "prepare",
    "resolve_device",
]
