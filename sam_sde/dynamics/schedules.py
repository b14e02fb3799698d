"""Factors of the learning rate and of SAM's radius that change with time."""

from __future__ import annotations

import abc
import math

import torch

from sam_sde import checks
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Fraction, NonNegative, Positive, TimeFunction
from sam_sde.purity import called_twice

# The clock is in single precision where the states are: a step that begins at a change must count as after it.
AFTER = 1.0 - 1e-6
CHECKED_TIMES = 1001


class Schedule(abc.ABC):
    """A factor u(t) ≥ 0 of time t = lr · steps, by elementwise functions of a tensor of times.

    Attributes
        largest: a bound on the factor over all times.
    """

    largest: float = 1.0

    @abc.abstractmethod
    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        """u(t), of the shape of t."""


class ConstantSchedule(Schedule):
    """u = factor (default 1, at least 0)."""

    def __init__(self, factor: NonNegative = 1.0):
        self.factor = self.largest = checks.non_negative("factor", factor)

    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        return torch.full_like(t, self.factor)


class CosineSchedule(Schedule):
    """From 1 at t = 0 along half a cosine to `low` (default 0) at t_end, and `low` from there on.

    Raises
        ValueError: t_end is not above 0, or low not in [0, 1].
    """

    def __init__(self, t_end: Positive, low: Fraction = 0.0):
        self.t_end = checks.positive("t_end", t_end)
        self.low = _fraction("low", low)

    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        phase = math.pi * (t / self.t_end).clamp(max=1.0)
        return self.low + (1.0 - self.low) * 0.5 * (1.0 + torch.cos(phase))


class StepSchedule(Schedule):
    """Multiplied by `factor` (default 0.1) after each time `every`: u = factor^⌊t/every⌋.

    Raises
        ValueError: every is not above 0, or factor not in [0, 1].
    """

    def __init__(self, every: Positive, factor: Fraction = 0.1):
        self.every = checks.positive("every", every)
        self.factor = _fraction("factor", factor)

    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        return self.factor ** torch.floor(t / (AFTER * self.every))


class WarmUpSchedule(Schedule):
    """Linear from `low` (default 0) at t = 0 to 1 at t_end, and 1 from there on.

    Raises
        ValueError: t_end is not above 0, or low not in [0, 1].
    """

    def __init__(self, t_end: Positive, low: Fraction = 0.0):
        self.t_end = checks.positive("t_end", t_end)
        self.low = _fraction("low", low)

    def __call__(self, t: torch.Tensor) -> torch.Tensor:
        return self.low + (1.0 - self.low) * (t / self.t_end).clamp(max=1.0)


def _fraction(name: str, value: float) -> float:
    if checks.non_negative(name, value) > 1:
        raise ArgumentError(name, f"expected a number from 0 to 1, got {checks.shown(value)}")
    return float(value)


def require_schedule(name: str, schedule: TimeFunction | None) -> TimeFunction:
    """The schedule, the constant 1 for None. Raises ValueError where it is no function."""
    if schedule is None:
        return ConstantSchedule()
    if not callable(schedule):
        raise ArgumentError(
            name, f"expected a function of time such as CosineSchedule(t_end), got {checks.shown(schedule)}"
        )
    return schedule


def factor_at(schedule: TimeFunction, t: float | torch.Tensor, w: torch.Tensor) -> float | torch.Tensor:
    """u(t), to multiply states w (paths, dim) with: t and the result are a number, or a tensor () or (paths, 1)."""
    if isinstance(schedule, ConstantSchedule):
        return schedule.factor
    return schedule(torch.as_tensor(t, dtype=w.dtype, device=w.device))


def largest_factor(schedule: TimeFunction) -> float | None:
    """A bound on the factor; None for a function of one's own, of which none is known."""
    return schedule.largest if isinstance(schedule, Schedule) else None


def check_schedule(name: str, schedule: TimeFunction, t_max: float) -> None:
    """Raises ValueError where a schedule is no elementwise function, or not finite and 0 or more, up to t_max."""
    times = torch.linspace(0.0, t_max, CHECKED_TIMES, dtype=torch.float64)[:, None]
    try:
        values = called_twice(name, "it", lambda t: torch.as_tensor(schedule(t), dtype=torch.float64), times)
        torch.as_tensor(schedule(times[0, 0]), dtype=torch.float64)
    except ArgumentError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise ArgumentError(
            name,
            f"failed on a tensor of times, {type(error).__name__}: {said}; "
            "write it with torch functions, torch.where for a choice",
        ) from error
    if values.shape not in ((), times.shape):
        raise ArgumentError(name, f"expected one factor for each time, got the shape {tuple(values.shape)}")
    values = values.expand_as(times)
    bad = ~(torch.isfinite(values) & (values >= 0))
    if bad.any():
        t, value = times[bad][0].item(), values[bad][0].item()
        raise ArgumentError(name, f"expected finite factors that are 0 or more, got {value:.6g} at t = {t:.6g}")


SCHEDULES = {
    "constant": ConstantSchedule,
    "cosine": CosineSchedule,
    "step": StepSchedule,
    "warmup": WarmUpSchedule,
}
