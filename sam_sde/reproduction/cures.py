"""What helps SAM off the saddle, compared in one table: each as the algorithm that it is."""

import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, PerturbedSGD, Switch
from sam_sde.noise import IsotropicNoise
from sam_sde.reproduction.measuring import Bench, ratio, times_of
from sam_sde.reproduction.saddle import BATCH, EIGENVALUES, LR, place
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of
from sam_sde.surfaces.separable import quadratic

RHO = 0.03
LATE = 3.0  # the time of SGD before SAM comes
LOOKAHEAD_STEP = 0.03  # of the descent within the perturbation, as long as what ρ is at a gradient of 1


class Lookahead:
    """p(g) = (ρ/‖g‖ - τ) g: the ascent less a step of descent."""

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        norm = gradient.square().sum().add(1e-30).sqrt()
        return (RHO / norm - LOOKAHEAD_STEP) * gradient


class StableSAM(SAM):
    """SAM with the gradient at w^p rescaled to the length of that at w (arXiv 2401.07250)."""

    def minibatch_gradient(self, t, w, minibatch):
        perturbed = super().minibatch_gradient(t, w, minibatch)
        length = minibatch.descent(w).norm(dim=-1, keepdim=True)
        return perturbed * (length / perturbed.norm(dim=-1, keepdim=True).clamp_min(1e-30))


def arms() -> dict:
    surface, noise = quadratic(EIGENVALUES), IsotropicNoise(1.0)
    plain = {"lr": LR, "batch_size": BATCH}
    sgd, sam = SGD(surface, noise, **plain), SAM(surface, noise, rho=RHO, **plain)
    return {
        "SAM": sam,
        "SGD": sgd,
        "momentum 0.5": SAM(surface, noise, rho=RHO, momentum=0.5, **plain),
        "momentum 0.9": SAM(surface, noise, rho=RHO, momentum=0.9, **plain),
        "batch size 8": SAM(surface, noise, rho=RHO, lr=LR, batch_size=8),
        "SAM late": Switch(sgd, sam, at=LATE),
        "same batch": SAM(surface, noise, rho=RHO, ascent="same", **plain),
        "lookahead": PerturbedSGD(surface, noise, perturbation=Lookahead(), **plain),
        "stable SAM": StableSAM(surface, noise, rho=RHO, **plain),
    }


CLAIMED = ("momentum 0.9", "batch size 8")  # by Kim et al.


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    options = {**place(), "t_max": bench.size.of(10.0, 60.0, 200.0), "n_paths": bench.size.of(150, 2000, 20_000)}
    found = {name: bench.followed(dynamics, arm=name, discrete=True, **options) for name, dynamics in arms().items()}
    rows = [
        {"cure": name, **times_of(each), **(ratio(each, found["SAM"]) if name != "SAM" else {})}
        for name, each in found.items()
    ]
    return {"league": pd.DataFrame(rows).sort_values("rmst", ignore_index=True)}


def judge(tables: Tables) -> Judgement:
    league, rows = tables["league"], []
    for found in league[league["cure"] != "SAM"].itertuples():
        rows.append(
            Row(
                f"{found.cure}: mean time at the saddle over SAM's",
                "below 1",
                found.ratio,
                bool(found.ratio_high < 1),
                found.ratio_low,
                found.ratio_high,
                finding=found.cure not in CLAIMED,
            )
        )
    best = league.query("cure != 'SGD'").iloc[0]
    heavy, batch = (row_of(league, cure=name)["ratio"] for name in CLAIMED)
    no_help = [row.what.partition(":")[0] for row in rows if not row.holds]
    others = f"all but {' and '.join(no_help)} help" if no_help else "all the others help as well"
    return Judgement(
        rows,
        f"Both of the paper's cures shorten the stay, momentum 0.9 to {heavy:.2g} and a batch of 8 to {batch:.2g} of "
        f"SAM's time (restricted to t = {best['t_max']:g}); the shortest is that of {best['cure']}, and {others}.",
    )


STATEMENT = Statement(
    name="cures",
    where="Kim et al., remedies; arXiv 2401.07250; J9YKDvqr65",
    claim="Momentum and smaller batches free SAM from saddles; so may stable SAM, lookahead SAM, and SAM late.",
    ran="One saddle, ρ = 0.03, every cure as its algorithm: mean time restricted to t_max, over that of SAM.",
    rule="A cure helps if the 95 % interval of its ratio to SAM is below 1; those that Kim et al. name are claims.",
    measure=measure,
    judge=judge,
)
