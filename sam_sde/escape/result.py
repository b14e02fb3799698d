"""Escape times of one arm, and what can be asked of them."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sam_sde import checks
from sam_sde.escape.blocks import trajectories
from sam_sde.escape.ends import Ended, end_states
from sam_sde.escape.precision import overflow_warning
from sam_sde.escape.run import EscapeRun
from sam_sde.escape.step_check import StepCheck
from sam_sde.escape.trajectory import Trajectory
from sam_sde.files import write_csv
from sam_sde.random import Stream
from sam_sde.statistics import Outcome, Sample, outcome_words, summarize, survival_curve

MAX_COORDINATES = 16
MAX_FAILED = 64  # paths that are looked at


@dataclass(frozen=True, eq=False)
class EscapeResult(Sample):
    """How each path of an arm ended. Path i is row i of every array.

    Attributes
        times (paths,): escape time, t_max where censored, time of failure where failed; t = lr·steps.
        outcome (paths,): 0 escaped, 1 censored, 2 failed (`sam_sde.Outcome`).
        exit_points (paths, dim): the weights at escape; at t_max if censored, the last finite one if failed.
        t_max, lr, dt: the time to which paths were followed, the learning rate, the step of the integration.
        stream: the key of its random numbers (seed, arm).
        run: what was asked for.
        engine, device, block_size: what computed it. way: how the compiled engine did, and why
            not otherwise. path_steps: steps summed over paths, as integrated.
        step_check: how the figures change with a step of dt/2, where that was looked at.
    """

    exit_points: np.ndarray
    dt: float
    stream: Stream
    engine: str
    way: str
    device: str
    block_size: int
    path_steps: int
    run: EscapeRun = field(repr=False)
    step_check: StepCheck | None = None

    @property
    def steps(self) -> np.ndarray:
        """Escape times in steps of the optimizer, time/lr (paths,)."""
        return self.times / self.lr

    @property
    def overflow_warning(self) -> str | None:
        """What helps where paths failed for the run's precision alone."""
        failed = self.exit_points[self.outcome == Outcome.FAILED][:MAX_FAILED]
        return overflow_warning(self.run.problem.dynamics, self.dt, torch.from_numpy(failed).to(self.run.device))

    def summary(self) -> dict[str, float]:
        """Counts, fraction, mean, restricted mean, median and rate with their 95 % intervals.

        dt_change: the change of the restricted mean with a step of dt/2, with its interval; NaN where not looked at.
        """
        unknown = dict.fromkeys(("dt_change", "dt_change_low", "dt_change_high"), math.nan)
        return summarize(self) | (unknown if self.step_check is None else self.step_check.dt_change)

    def survival(self) -> pd.DataFrame:
        """Kaplan–Meier curve: time, survival, low, high, at_risk."""
        return survival_curve(self)

    def to_frame(self, max_coordinates: int = MAX_COORDINATES) -> pd.DataFrame:
        """One row a path: path, outcome, time, steps, x0, x1, … (at most `max_coordinates` of them)."""
        points = self.exit_points[:, :max_coordinates]
        return pd.DataFrame(
            {
                "path": np.arange(len(self)),
                "outcome": outcome_words(self.outcome),
                "time": self.times,
                "steps": self.steps,
                **{f"x{i}": points[:, i] for i in range(points.shape[1])},
            }
        )

    def to_csv(self, path: str | Path) -> None:
        """Writes `to_frame()`, whole or not at all."""
        write_csv(self.to_frame(), Path(path))

    def replay(self, path: int) -> Trajectory:
        """Integrates one path again, alone, and keeps all its states.

        It ends where the path ended, up to the rounding of batched linear algebra.
        """
        return trajectories(self.run, [path])[0]

    def ends(self, n_paths: int = 1000, tolerance: float = 1e-3) -> pd.DataFrame:
        """What the states are in which the first `n_paths` paths ended (all, if there are fewer), computed in float64.

        One row a path: path, outcome, time, loss, gradient_norm ‖∇ℓ(w)‖, perturbed_gradient_norm ‖∇ℓ(w^p)‖ (w^p = w for
        SGD), smallest_eigenvalue and largest_eigenvalue of the Hessian at w, state. Weight decay κ adds κw to both
        gradients and κ to the eigenvalues. The state is

        "minimum": the gradient is at rest, and no eigenvalue is below -(1-γ)/t_max: whatever is less unstable could
            not have shown during the run. A degenerate critical point without a negative eigenvalue counts here.
        "saddle": the gradient is at rest, and an eigenvalue is below that (maxima too).
        "stalled": only the perturbed gradient is at rest: SAM stays where the loss still falls.
        "moving": neither is.

        At rest is a gradient of at most the largest of three bounds, each of which paths at a critical point reach:
        1. three times √(s² + k²). s² = η tr(|H| Σ)/(2B(1-γ)) is E‖∇ℓ‖² of the stationary noise in a quadratic well, and
           off a saddle the size at which the drift begins to beat the noise; k = dt ‖H (∇ℓ(w^p) - ∇ℓ(w))‖/2 is that of
           the gradient in the cycle of two steps which SAM's perturbation makes about a critical point.
        2. `tolerance` times the mean gradient of the path, (1-γ) ‖w - w(0)‖/time: it is so much slower than its mean.
        3. the rounding of w: 8 ε ‖H‖ ‖w‖, ε that of the run's dtype.
        For the perturbed gradient, H and Σ are those at w^p, and there is no k. η, B, γ and Σ are those of the
        optimizer that made the path's last step; schedules of the learning rate do not enter.

        Up to dim 100 Hessians are decomposed; beyond, only products with them are used: Lanczos' method for the
        eigenvalues, with an error of at most 1e-5 of the larger, and a mean over 8 random vectors for tr(|H| Σ).

        Raises
            ValueError: dynamics without a surface, n_paths below 1, or a negative tolerance.
        """
        n_paths = min(checks.whole("n_paths", n_paths, low=1), len(self))
        paths = torch.arange(n_paths, device=self.run.device)
        ended = Ended(
            points=self.exit_points[:n_paths],
            starts=self.run.start.points(paths, self.stream),
            times=self.times[:n_paths],
            outcome=self.outcome[:n_paths],
            t_max=self.t_max,
            dt=self.dt,
            rounding=float(np.finfo(self.exit_points.dtype).eps),
            device=self.run.device,
        )
        return end_states(self.run.problem.dynamics, ended, tolerance)
