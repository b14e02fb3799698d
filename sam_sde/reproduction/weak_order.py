"""Monzio Compagnoni et al.: the SDEs describe the algorithms, and SGD's covariance in them does not."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, USAM
from sam_sde.escape.start import as_start
from sam_sde.noise import IsotropicNoise
from sam_sde.random import Stream
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.statistics.weak_order import absolute_interval, fitted_order
from sam_sde.surfaces.separable import embedded_saddle
from sam_sde.weak.errors import WeakComparison, with_sgd_noise
from sam_sde.weak.observables import observable

TIME, BATCH, START = 1.0, 8, [0.3, 0.4]
LRS = [0.05, 0.025, 0.0125]
FUNCTION = "squared_norm"
LEAST_ORDER = 0.8
SECOND = " of order 2"  # its SDE, beside the same algorithm


def optimizers(lr: float) -> dict:
    surface, noise = embedded_saddle([-1.0, 2.0]), IsotropicNoise(1.0)
    options = {"lr": lr, "batch_size": BATCH}
    return {
        "SGD": SGD(surface, noise, **options),
        "USAM": USAM(surface, noise, rho=0.2, ascent="same", **options),
        "USAM" + SECOND: USAM(surface, noise, rho=0.2, ascent="same", drift_order=2, **options),
        "SAM": SAM(surface, noise, rho=0.02, ascent="full", **options),
    }


def measure(size: Size, folder: Path, workers: int) -> dict[str, pd.DataFrame]:
    rows = []
    for lr in LRS:
        for name, dynamics in optimizers(lr).items():
            ablation = with_sgd_noise(dynamics)
            models = {"own": dynamics} | ({} if ablation is None else {"SGD's covariance": ablation})
            where = as_start(START, dynamics.dim), TIME, Stream(size.seed, repr(lr)), torch.device("cpu")
            compared = WeakComparison(optimizers(lr)[name.removesuffix(SECOND)], models, *where)
            function = observable(FUNCTION, dynamics.surface)
            found = compared.differences([function], size.of(4000, 40_000, 400_000))
            rows += [(name, model, lr, *absolute_interval(*each[0])) for model, each in found.items()]
    return {"errors": pd.DataFrame(rows, columns=["optimizer", "model", "lr", "error", "error_low", "error_high"])}


def judge(tables: Tables) -> Judgement:
    errors, rows, orders = tables["errors"], [], {}
    for (name, model), table in errors.groupby(["optimizer", "model"], sort=False):
        columns = (table[column].to_numpy() for column in ("lr", "error", "error_low", "error_high"))
        order, low, high = fitted_order(*columns)
        orders[name, model] = order
        own = model == "own"
        least = 2 * LEAST_ORDER if name.endswith("order 2") and own else LEAST_ORDER
        if own:
            rows.append(
                Row(
                    f"{name}: power of η with which the error of E‖w‖² vanishes",
                    f"{round(least / LEAST_ORDER)} or more",
                    order,
                    bool(high >= least and order > 0.75 * least),
                    low,
                    high,
                    finding=name.endswith("order 2"),
                )
            )
    for name in ("USAM", "USAM of order 2"):
        of_one = errors[errors["optimizer"] == name]
        own, other = (of_one[of_one["model"] == model].iloc[-1] for model in ("own", "SGD's covariance"))
        ratio = other["error"] / own["error"]
        rows.append(
            Row(
                f"{name}: error with SGD's covariance over that with its own, η = {LRS[-1]:g}",
                "above 1",
                ratio,
                bool(other["error_low"] > own["error_high"]),
                other["error_low"] / own["error_high"],
                other["error_high"] / own["error_low"] if own["error_low"] > 0 else np.nan,
                finding=name.endswith("order 2"),
            )
        )
    return Judgement(
        rows,
        f"The errors vanish with η to the power {orders['SGD', 'own']:.2g} (SGD), {orders['USAM', 'own']:.2g} (USAM) and "
        f"{orders['SAM', 'own']:.2g} (SAM); with SGD's covariance in its place USAM's is {rows[-2].measured:.2g} times as "
        f"large, and {rows[-1].measured:.2g} times beside the SDE of order 2.",
    )


STATEMENT = Statement(
    name="weak",
    where="Monzio Compagnoni et al. (arXiv 2301.08203)",
    claim="The SDEs of SGD, USAM and SAM are weak approximations of order 1; SGD's covariance is the wrong one.",
    ran="Algorithms beside their SDEs on an embedded saddle: error of E‖w‖² at t = 1 against η, also with SGD's covariance.",
    rule=f"An order of 1 holds if the fitted one is above {0.75 * LEAST_ORDER:g} and its interval reaches {LEAST_ORDER:g}; the "
    "covariance matters where the two errors' intervals are apart.",
    measure=measure,
    judge=judge,
)
