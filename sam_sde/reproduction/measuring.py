"""Escape times as several statements measure them, as rows of a table."""

from typing import Any

from sam_sde.dynamics import Dynamics
from sam_sde.escape import compare, escape_times
from sam_sde.escape.result import EscapeResult
from sam_sde.reproduction.size import Size

TIMES = ("rmst", "rmst_low", "rmst_high", "fraction_escaped", "t_max")


def followed(dynamics: Dynamics, size: Size, workers: int, *, arm: str, discrete: bool = False, **options: Any):
    """Paths of an arm until they leave; `discrete` runs the algorithm itself."""
    engine = "discrete" if discrete else size.engine
    if engine == "discrete":
        workers = 1  # processes, whose start takes longer than these runs
    options = {"engine": engine, "seed": size.seed, "check_dt": False, "workers": workers, **options}
    return escape_times(dynamics, arm=arm, **options)


def times_of(result: EscapeResult) -> dict[str, float]:
    """The restricted mean escape time with its interval, the fraction that left, and t_max."""
    summary = result.summary()
    return {name: summary[name] for name in TIMES}


def ratio(result: EscapeResult, reference: EscapeResult) -> dict[str, float]:
    """How many times as long an arm stays as the reference, with its 95 % interval."""
    row = compare({"reference": reference, "arm": result}).iloc[0]
    return {"ratio": row["rmst_ratio"], "ratio_low": row["ratio_low"], "ratio_high": row["ratio_high"]}
