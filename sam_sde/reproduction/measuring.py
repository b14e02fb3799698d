"""What statements measure with: paths and tables that are kept as they come, and escape times as rows of a table."""

import math
import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sam_sde.dynamics import SAM, SGD, Dynamics
from sam_sde.escape import compare, execute
from sam_sde.escape.driver import prepare
from sam_sde.escape.result import EscapeResult
from sam_sde.files import make_folder, write_csv
from sam_sde.jobs.store import Store, key_of
from sam_sde.noise import Noise
from sam_sde.reproduction.size import Size
from sam_sde.surfaces import LossSurface

TIMES = ("rmst", "rmst_low", "rmst_high", "fraction_escaped", "t_max")

SHARES = 16  # of an arm, that an executor with an unknown number of workers is given


@dataclass
class Bench:
    """Where a statement is measured: how much, what is there already, and who computes the rest.

    folder: of what is kept on the way, until the tables are written. key: of all that the numbers follow from.
    workers: how many share the paths of an arm; executor: stands in their place, anything with the interface of
    `concurrent.futures.Executor`. How many there are changes no number, but for the rounding of blocks of another size.
    """

    size: Size
    folder: Path
    key: str = ""
    workers: int = 1
    executor: Executor | None = None
    _used: set[tuple[str, str]] = field(default_factory=set, init=False)

    def followed(self, dynamics: Dynamics, *, arm: str, discrete: bool = False, **options: Any) -> EscapeResult:
        """Paths of an arm until they leave, in blocks that are kept; `discrete` runs the algorithm itself.

        arm: the name of its random numbers, and with `discrete` that under which it is kept. Further options are those
        of `sam_sde.escape.driver.prepare`.

        Raises
            ValueError: the statement has another arm of this name.
        """
        identity = self._identity("arm", f"{arm}, {'algorithm' if discrete else 'SDE'}")
        # An arm of minutes is kept as a whole, unless it is shared: small blocks cost more calls for the same paths.
        n_blocks = max(self.size.of(1, 1, 4), self.workers, 1 if self.executor is None else SHARES)
        block_size = math.ceil(options["n_paths"] / n_blocks)
        given = {
            "engine": "discrete" if discrete else self.size.engine,
            "seed": self.size.seed,
            "workers": self.workers,
            "block_size": block_size,
        }
        run = prepare(dynamics, arm=arm, **(given | options))
        entry = Store(self.folder).entry(identity, run)
        result = execute(entry.run, executor=self.executor, kept=entry)
        for sentence in filter(None, [*run.precision_warnings, result.overflow_warning]):
            warnings.warn(sentence, stacklevel=2)
        return result

    def once(self, name: str, compute: Callable[..., pd.DataFrame], *arguments: Any, **options: Any) -> pd.DataFrame:
        """The table that `compute` returns for the arguments; it is computed as a whole, and kept under the name.

        Raises
            ValueError: the statement has another one of this name.
        """
        path = self.folder / f"{key_of(self._identity('table', name))}.csv"
        if not path.is_file():
            table = compute(*arguments, **options)
            make_folder(self.folder)
            write_csv(table, path)
        return pd.read_csv(path, float_precision="round_trip")

    def _identity(self, kind: str, name: str) -> dict[str, str]:
        if (kind, name) in self._used:
            raise ValueError(f"the statement has two of the name {name!r}: give each its own")
        self._used.add((kind, name))
        return {"statement": self.key, kind: name}


def sgd_or_sam(surface: LossSurface, noise: Noise, rho: float, **options: Any) -> Dynamics:
    """SAM with one minibatch for both of its gradients, or SGD for ρ = 0."""
    return SAM(surface, noise, rho=rho, ascent="same", **options) if rho else SGD(surface, noise, **options)


def times_of(result: EscapeResult) -> dict[str, float]:
    """The restricted mean escape time with its interval, the fraction that left, and t_max."""
    summary = result.summary()
    return {name: summary[name] for name in TIMES}


def ratio(result: EscapeResult, reference: EscapeResult) -> dict[str, float]:
    """How many times as long an arm stays as the reference, with its 95 % interval."""
    row = compare({"reference": reference, "arm": result}).iloc[0]
    return {"ratio": row["rmst_ratio"], "ratio_low": row["ratio_low"], "ratio_high": row["ratio_high"]}
