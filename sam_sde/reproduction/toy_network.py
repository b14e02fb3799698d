"""Kim et al.'s toy network of two weights: where do the runs of SGD and SAM end."""

import pandas as pd
import torch

from sam_sde.escape.start import NormalStart
from sam_sde.noise import EmpiricalNoise
from sam_sde.regions import LossAbove
from sam_sde.reproduction.measuring import Bench, sgd_or_sam
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.statistics.intervals import wilson_interval
from sam_sde.surfaces.synthetic import toy_network

RHOS = [0.0, 0.05, 0.1, 0.2]
HEIGHT = 0.9  # of the saddle's loss, above which a run has not left


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    surface = toy_network(n=50, label_noise=0.1, seed=0)
    noise = EmpiricalNoise(surface)
    seeds = bench.size.of(60, 300, 1000)
    options = {"start": NormalStart([0.1, 0.1], std=0.05), "region": LossAbove(surface, 0.0042), "t_max": 10.0}
    frames = []
    for rho in bench.size.of(RHOS[::3], RHOS, RHOS):
        dynamics = sgd_or_sam(surface, noise, rho, lr=0.01, batch_size=8)
        found = bench.followed(dynamics, arm=f"{rho}", discrete=True, n_paths=seeds, **options)
        frames.append(found.ends(seeds).assign(rho=rho))
    columns = ["rho", "path", "outcome", "loss", "saddle_loss", "state", "gradient_norm"]
    at_saddle = surface.value(torch.zeros(1, 2, dtype=torch.float64)).item()
    return {"ends": pd.concat(frames, ignore_index=True).assign(saddle_loss=at_saddle)[columns]}


def _share(which: pd.Series) -> tuple[float, float, float]:
    """The share of True, with its interval."""
    return float(which.mean()), *wilson_interval(int(which.sum()), len(which))


def judge(tables: Tables) -> Judgement:
    ends = tables["ends"]
    seeds = int(ends.groupby("rho").size().min())
    last = ends["rho"].max()
    plain, sharp = ends[ends["rho"] == 0.0], ends[ends["rho"] == last]
    losses = ends.groupby("rho")["loss"].mean()
    sgd = _share((plain["outcome"] == "escaped") | (plain["state"] == "minimum"))
    sam = _share(sharp["loss"] > HEIGHT * sharp["saddle_loss"])
    at_rest = _share(sharp["state"] == "saddle")
    which = f"SAM, ρ = {last:g}: share of seeds"
    rows = [
        Row(f"SGD: share of {seeds} seeds at the global minimum", "above 1/2", sgd[0], bool(sgd[1] > 0.5), *sgd[1:]),
        Row(f"{which} that stay at the height of the saddle", "above 1/2", sam[0], bool(sam[1] > 0.5), *sam[1:]),
        Row(
            "mean loss rises with ρ: at the largest",
            "the largest",
            losses.iloc[-1],
            bool(losses.is_monotonic_increasing),
        ),
        Row(
            f"{which} at rest at a saddle, by the gradient",
            "above 1/2",
            at_rest[0],
            bool(at_rest[1] > 0.5),
            *at_rest[1:],
            finding=True,
        ),
    ]
    return Judgement(
        rows,
        f"{100 * sgd[0]:.3g} % of {seeds} seeds of SGD reach the global minimum, and {100 * sam[0]:.3g} % of SAM's "
        f"stay at the height of the saddle at ρ = {last:g}, {100 * at_rest[0]:.3g} % at rest; the mean loss rises "
        f"from {losses.iloc[0]:.3g} to {losses.iloc[-1]:.3g}. Data and learning rate of the paper are not published, "
        "and these are ours.",
    )


STATEMENT = Statement(
    name="toy-network",
    where="Kim et al., toy network",
    claim="Most seeds of SGD reach the global minimum, most of SAM stay at the saddle, and the mean loss rises with ρ.",
    ran="w₂(w₁x)² on 50 samples, lr 0.01, minibatches of 8, started beside the saddle at the origin.",
    rule=f"A share holds if its Wilson interval is above 1/2, the height of the saddle is {100 * HEIGHT:g} % of its "
    "loss; the mean loss holds if it rises with every ρ.",
    measure=measure,
    judge=judge,
)
