"""From arguments to escape times: every argument checked, every default filled in."""

import math
import textwrap
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.engines import ENGINES, EscapeProblem, asked_engine, choose_engine, default_method
from sam_sde.errors import ArgumentError
from sam_sde.escape.accuracy import PILOT_PATHS, plan
from sam_sde.escape.checking import CheckDt, checked, require_check
from sam_sde.escape.execution import execute
from sam_sde.escape.progress import Progress
from sam_sde.escape.result import EscapeResult
from sam_sde.escape.run import EscapeRun, default_block_size
from sam_sde.escape.start import Start, as_start
from sam_sde.escape.worth import worthwhile_workers
from sam_sde.parameters import Point
from sam_sde.random import Stream
from sam_sde.regions import Region

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MAX_PATHS = 2**31


def prepare(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    region: Region,
    t_max: float,
    n_paths: int,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "auto",
    engine: str = "auto",
    crossing: str = "auto",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    block_size: int | None = None,
    chunk: int | None = None,
    compact_below: float = 0.8,
    workers: int | None = None,
    task_timeout: float | None = None,
) -> EscapeRun:
    """A run of `n_paths` paths, checked and ready to execute.

    The arguments are those of `escape_times`.

    Raises
        ValueError: an argument out of its range, a start outside the region, a loss that is not finite there.
    """
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError("dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {dynamics!r}")
    if not isinstance(region, Region):
        raise ArgumentError("region", f"expected a Region such as Ball(...) or LevelSet(...), got {region!r}")
    if crossing == "auto":
        crossing = asked_engine(engine).default_crossing
    if method == "auto":
        method = default_method(engine)
    t_max, dt = checks.positive("t_max", t_max), checks.positive("dt", dynamics.lr if dt is None else dt)
    problem = EscapeProblem(
        dynamics=dynamics,
        region=region,
        stream=Stream(checks.whole("seed", seed, low=0, high=2**64 - 1), arm),
        t_max=t_max,
        dt=dt,
        method=method,
        crossing=crossing,
    )
    n_paths = checks.whole("n_paths", n_paths, low=1, high=MAX_PATHS)
    engine = choose_engine(engine, problem, n_paths)
    device = resolve_device(device)
    if workers is None:
        workers = worthwhile_workers(problem, engine, n_paths, device)
    workers = checks.whole("workers", workers, low=1)
    if block_size is None:
        block_size = default_block_size(dynamics, engine, n_paths, workers, device)
    block_size = checks.whole("block_size", block_size, low=1)
    if chunk is None:
        chunk = ENGINES[engine].chunk_of(min(block_size, n_paths), dynamics.state_dim, device.type == "cuda")
    chunk = checks.whole("chunk", chunk, low=1)
    chunk_unit = ENGINES[engine].chunk_unit
    return EscapeRun(
        problem=problem,
        start=as_start(start, dynamics.dim),
        n_paths=n_paths,
        engine=engine,
        device=device,
        dtype=resolve_dtype(dtype),
        block_size=block_size,
        chunk=math.ceil(chunk / chunk_unit) * chunk_unit,
        compact_below=checks.non_negative("compact_below", compact_below),
        workers=workers,
        task_timeout=None if task_timeout is None else checks.positive("task_timeout", task_timeout),
    )


def escape_times(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    region: Region,
    t_max: float,
    n_paths: int | None = None,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "auto",
    engine: str = "auto",
    crossing: str = "auto",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    block_size: int | None = None,
    chunk: int | None = None,
    compact_below: float = 0.8,
    workers: int | None = None,
    task_timeout: float | None = None,
    executor: Executor | None = None,
    accuracy: float | None = None,
    check_dt: CheckDt = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> EscapeResult:
    """First times at which paths of `dynamics` leave a region. Times are t = lr·steps.

    start: one point (dim,) for all paths, or a `NormalStart`.
    region: the set to leave. t_max: paths still inside then are censored; rounded up to whole steps.
    seed, arm: the key of the random numbers. Runs with different seeds or arms are independent; path i of equal
        seed and arm is the same path in every run, whatever n_paths, chunk or companions.
    dt: step of the integration; default the dynamics' lr, one step of the optimizer.
    method: "auto" is "heun", which averages the drift over a step; "euler"; and of the torchsde engine, for constant or
        diagonal noise, "milstein" and "srk". See `sam_sde.engines.methods`.
    engine: "torchsde", the reference; "compiled", the same paths ten times faster after compiling for twenty seconds;
        "auto" takes the compiled one where the work is worth it. "discrete": the algorithm itself instead of its SDE,
        with dt = lr and crossing "none"; with data it draws minibatches, else Gaussian noise of the covariance Σ/B, and
        is "compiled_discrete" where the work is worth it.
    crossing: "bridge" (a path may leave and return within a step), "shift" (the region is shrunk instead), or "none"
        (only the ends of steps count, as for the discrete algorithm); "auto" is "bridge", and "none" where the engine
        is that of the algorithm.
    device: "auto" (CUDA where there is one), "cpu", "cuda", …
    dtype: "float32" or "float64", in which drift, noise and levels are evaluated; the states are summed with the digits
        of float64 in any case, so that small steps far from zero count. A UserWarning says where float32 is too coarse.
    block_size: paths integrated together; the default follows from engine, dim and workers.
    chunk, compact_below: see `sam_sde.engines.block.run_block`; they change the speed, not the result.
    workers: how many share the blocks of paths: threads where the engine is compiled and runs on a CPU, else
        processes, which are kept from call to call. None is as many as `torch.get_num_threads()` says, where the work
        is worth it. Results do not depend on them, but for the rounding of blocks of another size.
    task_timeout: seconds after which a block of paths is given up that has not come to its end, as where a loss hangs;
        the blocks are then computed in processes of their own.
    executor: computes the blocks of paths in the place of `workers`; anything with the interface of
        `concurrent.futures.Executor`.
    accuracy: chooses dt and n_paths so that the total error of the restricted mean, statistical and of the step, is
        this times the mean, see `sam_sde.escape.accuracy.plan`; dt is then the longest step that is tried, and n_paths
        may be left out.
    check_dt: True integrates as many of the paths again, at dt and at dt/2 with the same Brownian motion, as tell the
        change of every figure of the summary (`result.step_check.changes`) better than the figure itself is known;
        "auto" does so with a few of the paths where that costs under a fifth of the run; False never.
    progress: called after each chunk of steps with a `Progress`.

    Raises
        ArgumentError: an argument out of its range, a start outside the region, a loss that is not finite there.
        EscapeInterrupted: Ctrl-C, with the result of the blocks of paths that were begun.

    >>> escape_times(sgd, start=[0, 0], region=Ball([0, 0], 1.0), t_max=50.0, n_paths=100_000, seed=0)
    """
    require_check(check_dt)
    options = {
        "start": start,
        "region": region,
        "t_max": t_max,
        "seed": seed,
        "arm": arm,
        "method": method,
        "engine": engine,
        "crossing": crossing,
        "device": device,
        "dtype": dtype,
        "block_size": block_size,
        "chunk": chunk,
        "compact_below": compact_below,
        "workers": workers,
        "task_timeout": task_timeout,
    }
    chosen = None
    if accuracy is not None:
        pilot = prepare(dynamics, n_paths=PILOT_PATHS, dt=dt, **options)
        chosen = plan(pilot, accuracy, progress, executor)
        n_paths, dt = chosen.n_paths, chosen.dt
    run = prepare(dynamics, n_paths=n_paths, dt=dt, **options)
    if chosen is not None:
        run = chosen.run_of(run)
    _warn(run.precision_warnings)
    result = execute(run, progress, executor=executor)
    if chosen is None:
        result = checked(result, check_dt, progress, executor)
    else:
        result = chosen.completed(result, progress, executor)
    _warn(filter(None, [result.overflow_warning]))
    return result


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        warnings.warn(sentence, stacklevel=3)


def resolve_device(device: str | torch.device) -> torch.device:
    """The device; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError, ImportError) as error:
        reason = textwrap.shorten(str(error), 100, placeholder=" …")
        raise ArgumentError(
            "device", f"cannot use {checks.shown(str(device))} ({reason}); try 'auto', 'cpu' or 'cuda'"
        ) from None
    return device


def resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        dtype = str(dtype).removeprefix("torch.")
    return DTYPES[checks.one_of("dtype", dtype, DTYPES)]
