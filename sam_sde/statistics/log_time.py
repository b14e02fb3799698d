"""How the logarithm of an escape time depends on batch size, 1/η, barrier, sharpness: lines fitted with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sam_sde.errors import ArgumentError

Z = stats.norm.ppf(0.975)
SAME = 1e-9  # relative: regressors that differ by so little are one


@dataclass(frozen=True)
class LogTimeFit:
    """log τ = c₀ + Σ c_k x_k by weighted least squares.

    names: of the x_k, after "constant". coefficients (terms,), covariance (terms, terms). freedom: points less terms.
    misfit: χ²/freedom where the times came with intervals: well above 1 where log τ is no line in the x_k; NaN else.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    freedom: int
    misfit: float

    def table(self) -> pd.DataFrame:
        """One row a term: term, coefficient, low, high, the interval of 95 %."""
        half = self._quantile * np.sqrt(np.diag(self.covariance))
        return pd.DataFrame(
            {
                "term": self.names,
                "coefficient": self.coefficients,
                "low": self.coefficients - half,
                "high": self.coefficients + half,
            }
        )

    def band(self, x: Mapping[str, Sequence[float]]) -> pd.DataFrame:
        """The fitted time with its confidence band of 95 % at each of the x: columns time, time_low, time_high."""
        design = _design(x, self.names[1:])
        log_time = design @ self.coefficients
        half = self._quantile * np.sqrt(np.einsum("ij,jk,ik->i", design, self.covariance, design))
        return pd.DataFrame(
            {"time": np.exp(log_time), "time_low": np.exp(log_time - half), "time_high": np.exp(log_time + half)}
        )

    @property
    def _quantile(self) -> float:
        return _quantile(self.freedom, known=not np.isnan(self.misfit))


def fit_log_time(
    time: Sequence[float],
    x: Mapping[str, Sequence[float]],
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> LogTimeFit:
    """Fits log τ by a line in quantities such as B, 1/η, the barrier or the sharpness.

    time (points,): mean escape times. x: the quantities by their names, each (points,). low, high: 95 % intervals of
    the times, whose widths are the weights; the intervals of the coefficients are then widened by √(χ²/freedom) where
    the points do not lie on a line within their errors. Without them all times count the same, and how far they are
    from the line tells their errors, with the quantiles of Student's t.

    Raises
        ArgumentError: times that are not above 0, fewer points than terms and one more, quantities that are not
            finite or depend on each other.

    >>> fit_log_time(means, {"B": [8, 16, 32, 64]}, low=lows, high=highs).table()
    """
    times = _positive("time", time)
    if not isinstance(x, Mapping):
        raise ArgumentError("x", 'expected quantities by their names, such as {"B": [8, 16, 32]}')
    names = tuple(x)
    design = _design(x, names)
    if len(design) != len(times):
        raise ArgumentError("x", f"expected {len(times)} values of each, one for each time, got {len(design)}")
    deviation = _deviation(times, low, high)
    freedom = len(times) - design.shape[1]
    if freedom < 1:
        raise ArgumentError("time", f"expected at least {design.shape[1] + 1} times, got {len(times)}")
    weighted = design / deviation[:, None]
    scale = np.linalg.norm(weighted, axis=0)
    u, sizes, v = np.linalg.svd(weighted / np.where(scale > 0, scale, 1.0), full_matrices=False)
    if not sizes[-1] > SAME * sizes[0]:
        raise ArgumentError("x", f"{', '.join(names)} depend on each other, or are constant; leave one out")
    coefficients = v.T @ (u.T @ (np.log(times) / deviation) / sizes) / scale
    residuals = (np.log(times) - design @ coefficients) / deviation
    misfit = float(residuals @ residuals) / freedom
    known = low is not None
    inverse = (v.T / sizes**2) @ v / np.outer(scale, scale)
    covariance = inverse * (max(1.0, misfit) if known else misfit)
    return LogTimeFit(("constant", *names), coefficients, covariance, freedom, misfit if known else np.nan)


def fit_xie(
    time: Sequence[float],
    *,
    barrier: Sequence[float] | float,
    minimum_sharpness: Sequence[float] | float,
    saddle_sharpness: Sequence[float] | float,
    lr: Sequence[float] | float,
    batch_size: Sequence[float] | float,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> tuple[float, float, float]:
    """The s of Xie's escape time and its 95 % interval, from mean times under several conditions; see `xie_time`.

    log τ is linear in s: log(τ|h_b|/(2π)) = (2BΔL/η)(1/|h_b| + s (1/h_a - 1/|h_b|)). Each condition is a number, or one
    for each time. An s outside of [0, 1] says that the formula does not hold for these times.

    Raises
        ArgumentError: fewer than two times, values that are not above 0, or |h_b| = h_a, where s makes no difference.
    """
    times = _positive("time", time)
    names = ("barrier", "minimum_sharpness", "saddle_sharpness", "lr", "batch_size")
    given = (barrier, minimum_sharpness, np.abs(saddle_sharpness), lr, batch_size)
    try:
        height, above, below, rate, size = (
            np.broadcast_to(_positive(name, np.atleast_1d(value)), times.shape)
            for name, value in zip(names, given, strict=True)
        )
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError("time", f"expected as many values of each condition, {len(times)}, or one") from None
    if len(times) < 2:
        raise ArgumentError("time", f"expected at least 2 times, got {len(times)}")
    scale = 2 * size * height / rate
    slope = scale * (1 / above - 1 / below)
    if not (np.abs(slope) > SAME * scale / below).any():
        raise ArgumentError("saddle_sharpness", "it is that of the minimum, where s makes no difference")
    deviation = _deviation(times, low, high)
    rest = (np.log(times * below / (2 * np.pi)) - scale / below) / deviation
    weighted = slope / deviation
    s = float(weighted @ rest / (weighted @ weighted))
    misfit = float(((rest - s * weighted) ** 2).sum()) / (len(times) - 1)
    stretch = max(1.0, misfit) if low is not None else misfit
    half = _quantile(len(times) - 1, known=low is not None) * float(np.sqrt(stretch / (weighted @ weighted)))
    return s, s - half, s + half


def _quantile(freedom: int, *, known: bool) -> float:
    """Half the width of a 95 % interval in standard errors: those that are known, or told by as many points."""
    return float(Z if known else stats.t.ppf(0.975, freedom))


def _deviation(times: np.ndarray, low, high) -> np.ndarray:
    """The standard errors of the logarithms; 1 where they are not known."""
    if (low is None) != (high is None):
        raise ArgumentError("low" if low is None else "high", "missing; give both ends of the intervals, or neither")
    if low is None:
        return np.ones(len(times))
    ends = _positive("low", low), _positive("high", high)
    if not all(len(end) == len(times) for end in ends) or not (ends[1] > ends[0]).all():
        raise ArgumentError("low", "expected an interval with low < high for each time")
    return np.log(ends[1] / ends[0]) / (2 * Z)


def _design(x: Mapping[str, Sequence[float]], names: Sequence[str]) -> np.ndarray:
    """A column of ones and one of each quantity: (points, terms)."""
    missing = [name for name in names if name not in x]
    if missing or not names:
        raise ArgumentError("x", f"expected values of {', '.join(names) or 'at least one quantity'}")
    columns = [_numbers("x", x[name]) for name in names]
    if any(column.ndim != 1 or column.shape != columns[0].shape for column in columns):
        raise ArgumentError("x", "expected a list of numbers of each quantity, all of one length")
    if not all(np.isfinite(column).all() for column in columns):
        raise ArgumentError("x", "expected finite numbers")
    return np.column_stack([np.ones(len(columns[0])), *columns])


def _positive(name: str, values: Sequence[float]) -> np.ndarray:
    array = _numbers(name, values)
    if array.ndim != 1 or not (np.isfinite(array) & (array > 0)).all():
        raise ArgumentError(name, "expected finite numbers above 0")
    return array


def _numbers(name: str, values: Sequence[float]) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, f"expected a list of numbers, got {values!r:.60}") from None
