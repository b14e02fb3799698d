"""Monzio Compagnoni et al.: the SDEs describe the algorithms, and SGD's covariance in them does not."""

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, USAM
from sam_sde.escape.start import as_start
from sam_sde.noise import IsotropicNoise
from sam_sde.random import Stream
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.statistics.weak_order import absolute_interval, fitted_order
from sam_sde.surfaces.separable import embedded_saddle, quadratic
from sam_sde.weak.errors import WeakComparison, with_sgd_noise
from sam_sde.weak.observables import observable

TIME, BATCH, START = 1.0, 8, [0.3, 0.4]
LRS = [0.05, 0.025, 0.0125]
FUNCTION = "squared_norm"
LEAST_ORDER = 0.8
FIXED_RHO = 0.2
GROWTH = 0.6  # ρ = 0.6 √η, as the papers ask
FIXED, LINEAR, SECOND = "USAM, ρ fixed", "USAM on a quadratic", " of order 2"  # the last of the SDE alone

NUMBERS = ("lr", "error", "error_low", "error_high")


def optimizers(lr: float) -> dict:
    surface, noise = embedded_saddle([-1.0, 2.0]), IsotropicNoise(1.0)
    options = {"lr": lr, "batch_size": BATCH}
    usam = {"ascent": "same", **options}
    plane = quadratic([-1.0, 2.0])
    return {
        "SGD": SGD(surface, noise, **options),
        "USAM": USAM(surface, noise, rho=GROWTH * lr**0.5, **usam),
        "SAM": SAM(surface, noise, rho=0.1 * GROWTH * lr**0.5, **options),
        FIXED: USAM(surface, noise, rho=FIXED_RHO, **usam),
        LINEAR: USAM(plane, noise, rho=FIXED_RHO, **usam),
        LINEAR + SECOND: USAM(plane, noise, rho=FIXED_RHO, drift_order=2, **usam),
    }


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    names = list(optimizers(LRS[0]))
    frames = [bench.once(f"{name} {lr}", errors_of, name, lr, bench.size) for lr in LRS for name in names]
    return {"errors": pd.concat(frames, ignore_index=True)}


def errors_of(name: str, lr: float, size: Size) -> pd.DataFrame:
    """Those of an optimizer's SDE at a learning rate, with its own covariance and with SGD's."""
    dynamics = optimizers(lr)[name]
    ablation = with_sgd_noise(dynamics)
    models = {"own": dynamics} | ({} if ablation is None else {"SGD's covariance": ablation})
    where = as_start(START, dynamics.dim), TIME, Stream(size.seed, repr(lr)), torch.device("cpu")
    compared = WeakComparison(optimizers(lr)[name.removesuffix(SECOND)], models, *where)
    found = compared.differences([observable(FUNCTION, dynamics.surface)], size.of(2000, 40_000, 200_000))
    rows = [(name, model, lr, *absolute_interval(*each[0])) for model, each in found.items()]
    return pd.DataFrame(rows, columns=["optimizer", "model", "lr", "error", "error_low", "error_high"])


def judge(tables: Tables) -> Judgement:
    errors, rows, orders = tables["errors"], [], {}
    for name in dict.fromkeys(errors["optimizer"]):
        table = errors[(errors["optimizer"] == name) & (errors["model"] == "own")]
        order, low, high = orders[name] = fitted_order(*(table[each].to_numpy() for each in NUMBERS))
        least = 2 if name.endswith(SECOND) else 1
        rows.append(
            Row(
                f"{name}: power of η with which the error of E‖w‖² vanishes",
                "0: it stays" if name == FIXED else f"{least} or more",
                order,
                bool(abs(order) < 0.2 if name == FIXED else high >= LEAST_ORDER * least and order > 0.75 * least),
                low,
                high,
                finding=name in (FIXED, LINEAR, LINEAR + SECOND),
            )
        )
    for name in (LINEAR, LINEAR + SECOND):
        of_one = errors[errors["optimizer"] == name]
        own, other = (of_one[of_one["model"] == model].iloc[-1] for model in ("own", "SGD's covariance"))
        rows.append(
            Row(
                f"{name}: error with SGD's covariance over that with its own, η = {LRS[-1]:g}",
                "above 1",
                other["error"] / own["error"],
                bool(other["error_low"] > own["error_high"]),
                other["error_low"] / own["error_high"],
                other["error_high"] / own["error_low"] if own["error_low"] > 0 else np.nan,
                finding=name == LINEAR,
            )
        )
    return Judgement(
        rows,
        f"With ρ = {GROWTH:g}√η the errors vanish with η to the power {orders['SGD'][0]:.2g} (SGD), "
        f"{orders['USAM'][0]:.2g} (USAM) and {orders['SAM'][0]:.2g} (SAM), and with a fixed ρ USAM's does not "
        f"({orders[FIXED][0]:.2g}), as the theory asks for ρ = O(√η); with SGD's covariance the error of the SDE of "
        f"order 2 on a quadratic is {rows[-1].measured:.3g} times as large.",
    )


STATEMENT = Statement(
    name="weak",
    where="Monzio Compagnoni et al. (arXiv 2301.08203)",
    claim="For ρ = O(√η) the SDEs of SGD, USAM and SAM are of weak order 1; SGD's covariance is the wrong one.",
    ran="Algorithms beside their SDEs on an embedded saddle: error of E‖w‖² at t = 1 against η, also with SGD's "
    "covariance.",
    rule=f"An order of 1 holds if the fitted one is above {0.75 * LEAST_ORDER:g} and its interval reaches "
    f"{LEAST_ORDER:g}; the covariance matters where the two errors' intervals are apart.",
    measure=measure,
    judge=judge,
)
