"""How far paths have moved from a critical point at given times: simulated, beside what theory says."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from sam_sde import checks
from sam_sde.dynamics import Dynamics
from sam_sde.engines import ENGINES, Integration, asked_engine, default_method, fitting_engines
from sam_sde.engines.integration import MAX_STEPS, STEPS_AT_ONCE
from sam_sde.errors import ArgumentError
from sam_sde.escape.driver import MAX_PATHS, resolve_device, resolve_dtype
from sam_sde.escape.precision import precision_warnings
from sam_sde.escape.run import default_block_size
from sam_sde.escape.start import Start, as_start, start_states
from sam_sde.parameters import Point
from sam_sde.random import Stream
from sam_sde.statistics.intervals import Z
from sam_sde.theory.displacement import Expansion, Theory, expand, theory_of

ENGINE = "torchsde"  # unasked: short runs are not worth compiling
TIMES = 40
MOST_DEVIATIONS = 5.0  # of the paths from theory, in standard errors
COLUMNS = (
    *("direction", "eigenvalue", "time", "msd", "msd_low", "msd_high"),
    *("exact", "discrete", "formula", "formula_valid"),
)


def displacement(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    t_max: float,
    at: Point | None = None,
    times: int | Sequence[float] = TIMES,
    directions: Sequence[int] | None = None,
    n_paths: int = 20_000,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "auto",
    engine: str = "auto",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> pd.DataFrame:
    """The mean-squared displacement from a critical point along eigenvectors of the Hessian, beside theory.

    start: one point (dim,), or a `NormalStart`, whose covariance enters. at: the critical point (dim,), default the
        start's mean; rounded coordinates are polished. times: how many, spread evenly on a logarithmic scale from the
        first step to t_max, or a list of times, each a whole number of steps; t = lr · steps.
    directions: numbers of eigenvalues in ascending order, see `sam_sde.theory.displacement.expand`.
    engine: "auto" is "torchsde"; "discrete" runs the algorithm itself. The others are those of `escape_times`.

    Returns a row for each direction and time, with the columns

        direction, eigenvalue: its number and λ
        time: t = lr · steps
        msd, msd_low, msd_high: E (u·(w(t) - at))² of the paths, u the eigenvector, with its 95 % interval
        exact: the same of the linearized SDE, by matrix exponentials
        discrete: the same of the algorithm, by its recursion
        formula: Theorem 2 of Kim et al., with momentum Theorem 3, with ρ = 0 Xie et al.'s; see `formulas`
        formula_valid: 1 where a bound says that it is within 5 % of `exact`, of `discrete` where the algorithm was run,
            and 0 elsewhere, where it may be off by less

    What is not known is empty, and a UserWarning says why: no equation is linear for normalized SAM, for schedules and
    for a switch, and the linear ones end where drift or noise are others than at the critical point. The memory grows
    with the times asked for, and not with the steps. Displacements are measured whatever theory says.

    Raises
        ArgumentError: no critical point, a time that is no whole number of steps, or what `escape_times` refuses.
    """
    run = prepare_displacement(
        dynamics,
        start=start,
        t_max=t_max,
        at=at,
        times=times,
        directions=directions,
        n_paths=n_paths,
        seed=seed,
        arm=arm,
        dt=dt,
        method=method,
        engine=engine,
        device=device,
        dtype=dtype,
    )
    found = run.execute()
    for sentence in run.cautions(found):
        warnings.warn(sentence, stacklevel=2)
    return run.table(found)


@dataclass(frozen=True, eq=False)
class Squares:
    """The mean of x² along each direction at each time, and its standard error; (times, directions), NaN where paths
    failed: n_failed of them until the last time.
    """

    mean: np.ndarray
    error: np.ndarray
    n_failed: int


@dataclass(frozen=True, eq=False)
class DisplacementRun:
    """What is to be integrated, checked, and the theory beside it.

    expansion: about the critical point. steps: after how many steps of dt the paths are looked at, ascending.
    """

    integration: Integration
    start: Start
    expansion: Expansion
    steps: list[int]
    n_paths: int
    engine: str
    device: torch.device
    dtype: torch.dtype
    theory: Theory = field(init=False)

    def __post_init__(self):
        dynamics = self.integration.dynamics
        mean, variance = self.expansion.along(self.start.mean.numpy()), self.start.std**2
        of_algorithm = not ENGINES[self.engine].of_sde
        options = {"times": self.times, "mean": mean, "variance": variance, "of_algorithm": of_algorithm}
        object.__setattr__(self, "theory", theory_of(dynamics, self.expansion, **options))

    @property
    def times(self) -> np.ndarray:
        return self.integration.dt * np.array(self.steps)

    @torch.no_grad()
    def execute(self, report: Callable[[float], None] = lambda share: None) -> Squares:
        """Integrates all paths; `report` is told the share that is done."""
        block_size = default_block_size(self.integration.dynamics, self.engine, self.n_paths, 1, self.device)
        sums = np.zeros((2, len(self.steps), len(self.expansion.directions)))
        n_failed = 0
        for first in range(0, self.n_paths, block_size):
            paths = torch.arange(first, min(first + block_size, self.n_paths), device=self.device)
            added, failed = self._block(paths, report)
            sums, n_failed = sums + added, n_failed + failed
        with np.errstate(all="ignore"):
            mean, fourth = sums / self.n_paths
            error = np.sqrt((fourth - mean**2).clip(min=0) / max(self.n_paths - 1, 1))
        known = np.isfinite(mean) & np.isfinite(error)
        return Squares(np.where(known, mean, np.nan), np.where(known, error, np.nan), n_failed)

    def _block(self, paths: torch.Tensor, report: Callable[[float], None]) -> tuple[np.ndarray, int]:
        """The sums (2, times, directions) over paths of x² and x⁴, and how many paths are not finite at the end."""
        integration, dynamics = self.integration, self.integration.dynamics
        state = start_states(self.start, dynamics, integration.stream, paths, self.dtype)
        advance = ENGINES[self.engine].prepare(integration, state.to(self.dtype))
        location = torch.from_numpy(self.expansion.location).to(self.device)
        vectors = torch.from_numpy(self.expansion.eigenvectors).to(self.device)
        first, last = int(paths[0]), self.steps[-1]
        sums, observed = [], iter([*self.steps, math.inf])
        next_one, step = next(observed), 0
        while step < last:
            n_steps = min(STEPS_AT_ONCE, last - step)
            chunk = advance(integration, state, paths, step, n_steps)
            while next_one <= step + n_steps:
                w = dynamics.weights(chunk.exact(next_one - step, slice(None)))
                squares = ((w - location) @ vectors).square()
                sums.append(torch.stack([squares.sum(0), squares.square().sum(0)]))
                next_one = next(observed)
            state, step = chunk.end, step + n_steps
            report((first + len(paths) * step / last) / self.n_paths)
        failed = int((~torch.isfinite(state).all(-1)).sum())
        return torch.stack(sums, dim=1).cpu().numpy(), failed

    def table(self, found: Squares) -> pd.DataFrame:
        """A row for each direction and time, see `displacement`."""
        theory, at = self.theory, self.expansion
        low, high = found.mean - Z * found.error, found.mean + Z * found.error
        numbers = (found.mean, low.clip(min=0), high, theory.exact, theory.discrete, theory.formula)
        frames = [
            pd.DataFrame(
                {
                    "direction": direction,
                    "eigenvalue": at.eigenvalues[i],
                    "time": self.times,
                    **dict(zip(COLUMNS[3:], (each[:, i] for each in (*numbers, theory.formula_valid)), strict=True)),
                }
            )
            for i, direction in enumerate(at.directions)
        ]
        return pd.concat(frames, ignore_index=True)

    def cautions(self, found: Squares) -> list[str]:
        """A sentence for each thing that is not known, or may come out wrong."""
        sentences = [*self.theory.notes]
        if found.n_failed:
            sentences.append(
                f"{found.n_failed} of {self.n_paths} paths became NaN or infinite; msd is empty from the first on"
            )
        sentences += self._missed(found)
        t_max = float(self.times[-1])
        return sentences + precision_warnings(self.integration.dynamics, self.start.mean, t_max, self.dtype)

    def _missed(self, found: Squares) -> list[str]:
        """Whether the paths are not where theory has them, by far more than chance: then the step is too long."""
        of_sde = ENGINES[self.engine].of_sde
        expected = self.theory.exact if of_sde else self.theory.discrete
        with np.errstate(all="ignore"):
            deviations = np.nan_to_num(np.abs(found.mean - expected) / found.error, nan=0.0, posinf=0.0)
        if deviations.max() <= MOST_DEVIATIONS:
            return []
        time, direction = np.unravel_index(deviations.argmax(), deviations.shape)
        off = found.mean[time, direction] / expected[time, direction] - 1.0
        remedy = f"try a smaller dt than {self.integration.dt:g}" if of_sde else "try dtype: float64"
        return [
            f"the paths' displacement is {100 * off:+.2g} % from the exact one at t = {self.times[time]:.4g} along "
            f"direction {self.expansion.directions[direction]}, {deviations.max():.2g} standard errors; {remedy}"
        ]


def prepare_displacement(
    dynamics: Dynamics,
    *,
    start: Point | Start,
    t_max: float,
    at: Point | None = None,
    times: int | Sequence[float] = TIMES,
    directions: Sequence[int] | None = None,
    n_paths: int,
    seed: int = 0,
    arm: str = "",
    dt: float | None = None,
    method: str = "auto",
    engine: str = "auto",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> DisplacementRun:
    """A run of `n_paths` paths, checked; the arguments are those of `displacement`.

    Raises
        ArgumentError: an argument out of its range, or no critical point.
    """
    if not isinstance(dynamics, Dynamics):
        raise ArgumentError("dynamics", f"expected an optimizer such as SGD(...) or SAM(...), got {dynamics!r}")
    if not hasattr(dynamics, "surface"):
        raise ArgumentError(
            "dynamics", f"expected an optimizer on a surface such as SGD(...), got {type(dynamics).__name__}"
        )
    start, t_max = as_start(start, dynamics.dim), checks.positive("t_max", t_max)
    integration = Integration(
        dynamics=dynamics,
        stream=Stream(checks.whole("seed", seed, low=0, high=2**64 - 1), arm),
        dt=checks.positive("dt", dynamics.lr if dt is None else dt),
        method=default_method(engine) if method == "auto" else method,
    )
    asked_engine(engine).check(integration)
    fitting = fitting_engines(engine, integration)
    engine = ENGINE if ENGINE in fitting else fitting[0]
    steps = observed_steps(times, t_max, integration.dt, dynamics.lr)
    dynamics.check_schedules(t_max)
    expansion = expand(dynamics.surface, start.mean if at is None else at, directions)
    n_paths = checks.whole("n_paths", n_paths, low=2, high=MAX_PATHS)
    device, dtype = resolve_device(device), resolve_dtype(dtype)
    few = torch.arange(min(n_paths, 1 if start.std == 0 else 1000), device=device)
    dynamics.check_start(start.points(few, integration.stream).to(dtype))
    return DisplacementRun(integration, start, expansion, steps, n_paths, engine, device, dtype)


def observed_steps(times: int | Sequence[float], t_max: float, dt: float, lr: float) -> list[int]:
    """The numbers of steps of dt, ascending, after which paths are looked at.

    A number of times is spread on a logarithmic scale over whole steps of the optimizer, as far as dt divides lr.

    Raises
        ArgumentError: a time that is no whole number of steps, or is beyond t_max; too many steps.
    """
    n_steps = math.ceil(t_max / dt * (1 - 1e-12))
    if n_steps > MAX_STEPS:
        raise ArgumentError("t_max", f"expected at most {MAX_STEPS:.2g} steps of dt = {dt:g}, got {n_steps:.2g}")
    if isinstance(times, int) and not isinstance(times, bool):
        checks.whole("times", times, low=1)
        unit = max(1, round(lr / dt))
        unit = unit if abs(unit * dt / lr - 1) < 1e-9 and n_steps >= unit else 1
        counts = np.geomspace(1, max(1, math.ceil(n_steps / unit)), times)
        return sorted({unit * round(count) for count in counts})
    asked = checks.vector("times", times).numpy()
    counts = np.rint(asked / dt)
    if (np.abs(asked / dt - counts) > 1e-6).any() or (counts < 1).any() or (np.diff(counts) <= 0).any():
        raise ArgumentError(
            "times",
            f"expected whole numbers of steps of dt = {dt:g}, ascending, got {checks.shown(asked.tolist())}; "
            "try a number of times, such as 40",
        )
    if counts[-1] > n_steps:
        raise ArgumentError("times", f"expected times up to t_max = {t_max:g}, got {asked[-1]:g}")
    return [int(count) for count in counts]
