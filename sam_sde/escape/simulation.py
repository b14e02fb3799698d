"""Whole trajectories of a few paths, with a region that ends them or without one."""

import math
import warnings

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.engines import ENGINES, Integration, asked_engine, default_method
from sam_sde.engines.integration import STEPS_AT_ONCE
from sam_sde.errors import ArgumentError
from sam_sde.escape.blocks import trajectories
from sam_sde.escape.driver import prepare, resolve_device, resolve_dtype
from sam_sde.escape.precision import precision_warnings
from sam_sde.escape.start import Start, as_start, start_states
from sam_sde.escape.trajectory import Recorder, Trajectory
from sam_sde.parameters import Point
from sam_sde.random import Stream
from sam_sde.regions import Region
from sam_sde.statistics import Outcome

ENGINE = "torchsde"


def simulate(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    t_max: float,
    region: Region | None = None,
    n_paths: int = 5,
    every: int = 1,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    engine: str = ENGINE,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> list[Trajectory]:
    """The first `n_paths` paths with every `every`-th of their states, to t_max or until they leave `region`.

    Path i is path i of `escape_times` with the same seed, arm, engine and region. dt: default lr, a step of the
    optimizer. engine: "torchsde", or "discrete" for the algorithm itself. The memory is that of the states kept.

    Raises
        ArgumentError: what `escape_times` refuses.
    """
    checks.whole("every", every, low=1)
    if region is not None:
        options = {"seed": seed, "arm": arm, "dt": dt, "engine": engine, "device": device, "dtype": dtype}
        run = prepare(dynamics, start=start, region=region, t_max=t_max, n_paths=n_paths, **options)
        _warn(run.precision_warnings)
        return trajectories(run, list(range(n_paths)), every)
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError("dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {dynamics!r}")
    start, t_max = as_start(start, dynamics.dim), checks.positive("t_max", t_max)
    checks.one_of("engine", engine, ENGINES)
    stream = Stream(checks.whole("seed", seed, low=0, high=2**64 - 1), arm)
    dt = checks.positive("dt", dynamics.lr if dt is None else dt)
    integration = Integration(dynamics=dynamics, stream=stream, dt=dt, method=default_method(engine))
    asked_engine(engine).check(integration)
    dynamics.check_schedules(t_max)
    paths = torch.arange(checks.whole("n_paths", n_paths, low=1), device=resolve_device(device))
    dynamics.check_start(start.points(paths, stream).to(resolve_dtype(dtype)))
    _warn(precision_warnings(dynamics, start.mean, t_max, resolve_dtype(dtype)))
    states = start_states(start, dynamics, stream, paths, resolve_dtype(dtype))
    return _recorded(integration, engine, states, paths, t_max, every, resolve_dtype(dtype))


def _warn(sentences: list[str]) -> None:
    for sentence in sentences:
        warnings.warn(sentence, stacklevel=3)


def _recorded(
    integration: Integration,
    engine: str,
    states: torch.Tensor,
    paths: torch.Tensor,
    t_max: float,
    every: int,
    dtype: torch.dtype,
) -> list[Trajectory]:
    dynamics, recorder = integration.dynamics, Recorder(paths.tolist(), every)
    advance = ENGINES[engine].prepare(integration, states.to(dtype))
    n_steps = math.ceil(t_max / integration.dt * (1 - 1e-12))
    finite = torch.full_like(paths, n_steps)  # the steps after which each state is still finite
    for step in range(0, n_steps, STEPS_AT_ONCE):
        steps = advance(integration, states, paths, step, min(STEPS_AT_ONCE, n_steps - step))
        chunk = steps.states
        recorder.record(step, paths, dynamics.weights(chunk))
        good = torch.isfinite(chunk).all(-1).long().cumprod(0).sum(0) - 1
        finite = torch.minimum(finite, torch.where(good < len(chunk) - 1, step + good, n_steps))
        states = steps.end
    ends = dynamics.weights(chunk[-1]).cpu().numpy()
    found = []
    for path, last, end in zip(paths.tolist(), finite.tolist(), ends, strict=True):
        failed = last < n_steps
        time = (last + 0.5) * integration.dt if failed else t_max
        outcome = Outcome.FAILED if failed else Outcome.CENSORED
        found.append(recorder.trajectory(path, integration.dt, outcome, time, end))
    return found
