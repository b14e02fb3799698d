"""Escape times: the driver, its result, and trajectories of single paths."""

from sam_sde.escape.accuracy import Plan, plan
from sam_sde.escape.blocks import trajectories
from sam_sde.escape.checking import checked
from sam_sde.escape.driver import DTYPES, escape_times, prepare, resolve_device
from sam_sde.escape.ends import check_ends, end_states
from sam_sde.escape.execution import EscapeInterrupted, compute, execute
from sam_sde.escape.pairing import compare
from sam_sde.escape.processes import begin_server, processes
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.start import NormalStart, PointStart, Start, as_start
from sam_sde.escape.step_check import StepCheck
from sam_sde.escape.trajectory import Recorder, Trajectory
from sam_sde.escape.work import Work
from sam_sde.escape.workers import compute_on

__all__ = [
    "DTYPES",
    "EscapeInterrupted",
    "EscapeResult",
    "EscapeRun",
    "NormalStart",
    "Plan",
    "PointStart",
    "Progress",
    "Recorder",
    "Start",
    "StepCheck",
    "Trajectory",
    "Work",
    "as_start",
    "begin_server",
    "check_ends",
    "checked",
    "compare",
    "compute",
    "compute_on",
    "end_states",
    "escape_times",
    "execute",
    "plan",
    "prepare",
    "processes",
    "resolve_device",
    "trajectories",
]
