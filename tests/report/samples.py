"""Tables of a sweep that was never run, and a page read back."""

from html.parser import HTMLParser
from itertools import product

import pandas as pd


def sweep_tables(grid: dict[str, list], t_max: float = 100.0) -> dict[str, pd.DataFrame]:
    """Summary and comparison of SGD, whose mean is 1, and SAM, whose mean is the product of the numbers swept.

    Where that is above t_max hardly any path escapes.
    """
    summary, comparison = [], []
    for values in product(*grid.values()):
        at = dict(zip(grid, values, strict=True))
        ratio = 1.0
        for value in values:
            ratio *= value if isinstance(value, int | float) else 1.0
        few = ratio > t_max
        for arm, mean in {"SGD": 1.0, "SAM": min(ratio, t_max)}.items():
            left = 1 if few and arm == "SAM" else 100
            counts = {"n_paths": 100, "n_escaped": left, "n_censored": 100 - left, "fraction_escaped": left / 100}
            times = {"rmst": mean, "rmst_low": 0.9 * mean, "rmst_high": 1.1 * mean}
            summary.append(at | {"arm": arm} | counts | times)
        mean = min(ratio, t_max)
        ratios = {"rmst_ratio": mean, "ratio_low": 0.9 * mean, "ratio_high": 1.1 * mean}
        comparison.append(at | {"arm": "SAM", "reference": "SGD"} | ratios)
    return {"summary": pd.DataFrame(summary), "comparison": pd.DataFrame(comparison)}
