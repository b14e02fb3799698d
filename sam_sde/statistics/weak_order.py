"""Small differences of expectations: their intervals, and the order in which they vanish."""

import numpy as np

Z = 1.959963984540054  # of a 95 % interval
FEWEST_POINTS = 3  # two always lie on a line


def controlled_mean(samples: np.ndarray, controls: np.ndarray) -> tuple[float, float]:
    """The mean of `samples` (n,) and its standard error, less what `controls` (n, any number) explain.

    The controls have the mean zero and go along with the samples: the intercept of the regression on them has the mean
    of the samples, and only the variance that they leave.
    """
    scale = np.where((spread := controls.std(axis=0)) > 0, spread, 1.0)
    design = np.column_stack([np.ones(len(samples)), controls / scale])
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)  # controls may be equal, or all zero
    coefficients = inverse @ (design.T @ samples)
    residuals = samples - design @ coefficients
    variance = residuals @ residuals / max(len(samples) - design.shape[1], 1)
    rounding = 8 * np.finfo(float).eps * np.abs(samples).max(initial=0.0)
    return float(coefficients[0]), max(float(np.sqrt(variance * inverse[0, 0])), rounding)


def absolute_interval(difference: float, error: float) -> tuple[float, float, float]:
    """|difference| and its 95 % interval, which begins at 0 where the difference may be zero."""
    low, high = difference - Z * error, difference + Z * error
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return abs(difference), least, max(abs(low), abs(high))


def fitted_order(step: np.ndarray, error: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float, float]:
    """The p of error = c · step^p and its 95 % interval, by weighted least squares in the logarithms.

    step, error, low, high: (points,), with intervals as of `absolute_interval`. Points whose interval reaches 0 do not
    count; with fewer than three others there is no order, NaN three times. The interval is widened by √(χ²/df) where
    the points do not lie on a line within their errors.
    """
    told = (low > 0) & np.isfinite(error)
    if told.sum() < FEWEST_POINTS:
        return np.nan, np.nan, np.nan
    x, y = np.log(step[told]), np.log(error[told])
    deviation = np.maximum((high - low)[told] / (2 * Z * error[told]), 1e-6)  # exact values lie on no line either
    weight = deviation**-2.0
    x = x - np.average(x, weights=weight)
    information = (weight * x**2).sum()
    order = (weight * x * y).sum() / information
    residuals = y - np.average(y, weights=weight) - order * x
    stretch = np.sqrt(max(1.0, (weight * residuals**2).sum() / (told.sum() - 2)))
    half_width = Z * stretch / np.sqrt(information)
    return order, order - half_width, order + half_width
