"""Whether two survival curves cross: a test at 5 % for every number of paths."""

import numpy as np
from scipy import stats

LEVEL = 0.05
N_TIMES = 20
CRITICAL = float(stats.norm.isf(LEVEL / N_TIMES))


def looked_at(escape_times: np.ndarray) -> np.ndarray:
    """At most 20 times between which equal shares of all escapes, of both arms together, happened."""
    shares = (np.arange(N_TIMES) + 0.5) / N_TIMES
    return np.unique(np.quantile(escape_times, shares, method="higher")) if escape_times.size else escape_times


def leaves_on_both_sides(difference: np.ndarray, standard_error: np.ndarray) -> bool:
    """Whether the curves differ to both sides, each at one of the `looked_at` and by more than chance.

    Each side is tested at 5 % over all times together (Bonferroni), and both have to be refuted (Berger 1982): of
    curves that do not cross, the same or not, at most 5 % are said to.
    """
    beyond = CRITICAL * standard_error
    return bool((difference > beyond).any() and (difference < -beyond).any())
