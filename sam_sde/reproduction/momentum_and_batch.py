"""Kim et al.: momentum and small batches help SAM off the saddle; as SDE and as algorithm."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import linregress

from sam_sde.reproduction.measuring import Bench, times_of
from sam_sde.reproduction.saddle import exact_time, place, saddle
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of

RHO = 0.03
MODELS = {"SDE": False, "algorithm": True}
LARGEST_MOMENTUM = 0.9999


def grid(bench: Bench) -> pd.DataFrame:
    """The mean time of SAM at the saddle, restricted to t_max, for momenta and batch sizes."""
    momenta = bench.size.of([0.0, 0.9], [0.0, 0.5, 0.9], [0.0, 0.3, 0.6, 0.9, 0.95])
    batches = bench.size.of([8, 32], [8, 32, 64], [8, 16, 32, 64, 128])
    options = {**place(), "t_max": bench.size.of(10.0, 60.0, 200.0), "n_paths": bench.size.of(150, 2000, 20_000)}
    rows = []
    for model, discrete in MODELS.items():
        for batch in batches:
            for momentum in momenta:
                dynamics = saddle(RHO, batch_size=batch, momentum=momentum)
                arm = f"{batch} {momentum}"
                found = bench.followed(dynamics, arm=arm, discrete=discrete, **options)
                rows.append({"model": model, "momentum": momentum, "batch_size": batch, **times_of(found)})
    return pd.DataFrame(rows)


def momentum_needed(size: Size) -> pd.DataFrame:
    """The momentum at which SAM leaves along the unstable axis as soon as SGD without momentum, exactly."""
    goal = exact_time(saddle(0.0, dim=1))
    rows = []
    for rho in size.of([0.02, 0.08], [0.02, 0.03, 0.04, 0.06, 0.08], np.geomspace(0.01, 0.15, 9).tolist()):

        def excess(damping: float, rho: float = rho) -> float:
            options = {"momentum": 1.0 - damping, "momentum_model": "overdamped"}
            return float(np.log(exact_time(saddle(rho, dim=1, **options)) / goal))

        damping = brentq(excess, 1.0 - LARGEST_MOMENTUM, 0.999, xtol=1e-5, rtol=size.of(0.03, 1e-3, 1e-4))
        rows.append((rho, 1.0 - damping, damping))
    return pd.DataFrame(rows, columns=["rho", "momentum", "damping"])


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    needed = bench.once("momentum_needed", momentum_needed, bench.size)
    return {"grid": grid(bench), "momentum_needed": needed}


def shorter_stays(grid: pd.DataFrame, of: str = "") -> list[Row]:
    """For each model: the time at the saddle with the largest γ, and with the smallest B, over that without either."""
    rows = []
    for model, of_model in grid.groupby("model", sort=False):
        largest, most = of_model["batch_size"].max(), of_model["momentum"].max()
        smallest = of_model["batch_size"].min()
        plain = row_of(of_model, momentum=0.0, batch_size=largest)
        for what, momentum, batch in ((f"γ = {most:g}", most, largest), (f"B = {smallest:g}", 0.0, smallest)):
            other = row_of(of_model, momentum=momentum, batch_size=batch)
            rows.append(
                Row(
                    f"{of}{model}: mean time at the saddle with {what}, over that with γ = 0, B = {largest:g}",
                    "below 1",
                    other["rmst"] / plain["rmst"],
                    bool(other["rmst_high"] < plain["rmst_low"]),
                    other["rmst_low"] / plain["rmst_high"],
                    other["rmst_high"] / plain["rmst_low"],
                )
            )
    return rows


def judge(tables: Tables) -> Judgement:
    table, rows = tables["grid"], shorter_stays(tables["grid"])
    needed = tables["momentum_needed"]
    fit = linregress(np.log(needed["rho"]), np.log(needed["damping"]))
    rows.append(
        Row(
            "momentum at which SAM leaves as soon as plain SGD: it grows with ρ, at the largest ρ",
            "the largest",
            needed["momentum"].iloc[-1],
            bool(needed["momentum"].is_monotonic_increasing),
        )
    )
    rows.append(Row("power of ρ with which that 1 - γ falls", "negative", fit.slope, bool(fit.slope < 0), finding=True))
    low, high, most, smallest = needed.iloc[0], needed.iloc[-1], table["momentum"].max(), table["batch_size"].min()
    return Judgement(
        rows,
        f"As an SDE at ρ = {RHO:g}, γ = {most:g} shortens SAM's stay to {rows[0].measured:.2g} of itself and B = "
        f"{smallest:g} to {rows[1].measured:.2g}, the algorithm's to {rows[2].measured:.2g} and "
        f"{rows[3].measured:.2g}; a larger ρ needs a larger γ, {low['momentum']:.2g} at ρ = {low['rho']:g} and "
        f"{high['momentum']:.3g} at ρ = {high['rho']:g}, to leave as soon as plain SGD.",
    )


STATEMENT = Statement(
    name="momentum-and-batch",
    where="Kim et al., Theorem 3 and its consequences",
    claim="Larger momentum and smaller batches help SAM escape from saddles; a larger ρ needs a larger momentum.",
    ran="Normalized SAM from the saddle (x² - y²)/2: γ × B at ρ = 0.03, as SDE and as algorithm, restricted to t_max.",
    rule="A shorter stay holds if the 95 % intervals of the two mean times are apart; the momentum needed if it "
    "rises with ρ.",
    measure=measure,
    judge=judge,
)
