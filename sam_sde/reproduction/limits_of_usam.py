"""Bolte et al. (arXiv 2510.09034): which points unnormalized SAM can end at; and where it stalls."""

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SGD, USAM, Switch
from sam_sde.noise import NoNoise
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of
from sam_sde.surfaces.closed_forms import himmelblau
from sam_sde.theory.stability import admitted, critical_points, stalls
from sam_sde.theory.stability.basins import named
from sam_sde.theory.stability.descent import descend

LR, RHO, MOMENTA = 0.002, 0.05, (0.0, 0.5)
BOX = [[-4.5, -4.5], [4.5, 4.5]]
TIME, WARM = 4.0, 0.5  # of a run, and of the SGD before it
STILL = 1e-7  # of a step
CRITICAL = ("minimum", "saddle", "maximum")


def settled(usam: USAM, ends: torch.Tensor) -> np.ndarray:
    """Which runs (starts,) have come to rest: near a point that repels they may step to and fro without an end."""
    return ((descend(usam, ends, 1) - ends).norm(dim=-1) < STILL).numpy()


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    surface = himmelblau()
    points = critical_points(surface, BOX)
    side = bench.size.of(12, 30, 60)
    axis = np.linspace(-4.5, 4.5, side)
    starts = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    rows, shares = [], []
    for momentum in MOMENTA:
        options = {"lr": LR, "batch_size": 1, "momentum": momentum}
        usam = USAM(surface, NoNoise(), rho=RHO, **options)
        found = stalls(usam, points, BOX, starts=bench.size.of(24, 64, 256))
        runs = {"cold": usam, "warm": Switch(SGD(surface, NoNoise(), **options), usam, at=WARM)}
        for start, dynamics in runs.items():
            at_end = descend(dynamics, torch.from_numpy(starts), round(TIME / LR))
            ends = named(dynamics, at_end.numpy(), points=points, stalls=found)
            kinds = ends["kind"].value_counts(normalize=True)
            names = ("minimum", "saddle", "maximum", "stall", "moving", "lost")
            shares.append({"momentum": momentum, "start": start, **{name: kinds.get(name, 0.0) for name in names}})
            at_critical = ends[settled(usam, at_end) & ends["kind"].isin(CRITICAL) & ends["point"].notna()]
            for number, count in at_critical["point"].value_counts().items():
                point = points[int(number)]
                inside = admitted(point.eigenvalues, lr=LR, rho=RHO, momentum=momentum)
                for eigenvalue, fits in zip(point.eigenvalues, inside, strict=True):
                    curvature = eigenvalue * (1 + RHO * eigenvalue)
                    rows.append((momentum, start, int(number), point.kind, count, eigenvalue, curvature, int(fits)))
    columns = ["momentum", "start", "point", "kind", "n_ended", "eigenvalue", "curvature", "admitted"]
    return {"limits": pd.DataFrame(rows, columns=columns), "shares": pd.DataFrame(shares)}


def judge(tables: Tables) -> Judgement:
    limits, shares = tables["limits"], tables["shares"]
    rows = []
    for (momentum, start), found in limits.groupby(["momentum", "start"], sort=False):
        bound = 2 * (1 + momentum) / LR
        inside = (found["curvature"] >= 0) & (found["curvature"] <= bound)
        rows.append(
            Row(
                f"γ = {momentum:g}, {start} start: eigenvalues of limits with 0 ≤ λ(1+ρλ) ≤ {bound:g}, share",
                "1" if start == "cold" else "1, but that SGD can leave a run on a point that repels, to the last digit",
                inside.mean(),
                bool(inside.all()),
                found["curvature"].min(),
                found["curvature"].max(),
                finding=start == "warm",
            )
        )
    limits = limits[limits["start"] == "cold"]
    below = limits[limits["eigenvalue"] < -1 / RHO]
    ended = below.drop_duplicates(["momentum", "point"])["n_ended"].sum()
    rows.append(
        Row(
            "limits with an eigenvalue below -1/ρ: runs that ended there",
            "admitted, above 0",
            ended,
            bool(ended > 0),
            finding=True,
        )
    )
    inside_of = int(limits["admitted"].sum())
    cold, warm = (row_of(shares, momentum=0.0, start=start) for start in ("cold", "warm"))
    stalled = "share of runs that end at a stall, no critical point (γ = 0)"
    fewer = bool(warm["stall"] < cold["stall"])
    rows += [
        Row(stalled, "above 0 (arXiv 2509.21818)", cold["stall"], bool(cold["stall"] > 0), finding=True),
        Row("the same after a warm start with SGD", "fewer", warm["stall"], fewer, finding=True),
    ]
    return Judgement(
        rows,
        f"{inside_of} of {len(limits)} eigenvalues of the points at which runs ended satisfy 0 ≤ λ(1+ρλ) ≤ 2(1+β)/η "
        f"(from {limits['curvature'].min():.3g} to {limits['curvature'].max():.3g}), saddles with λ < -1/ρ among "
        f"them ({ended} runs); {100 * cold['stall']:.2g} % of the runs stall where ∇ℓ does not vanish, and "
        f"{100 * warm['stall']:.2g} % after a warm start with SGD.",
    )


STATEMENT = Statement(
    name="limits-of-usam",
    where="Bolte et al. (arXiv 2510.09034); arXiv 2509.21818",
    claim="Limits of USAM with momentum β satisfy 0 ≤ λ(1+ρλ) ≤ 2(1+β)/η, which admits λ < -1/ρ.",
    ran="USAM without noise on Himmelblau's function from a grid of starts, with and without momentum and a warm "
    "start.",
    rule="Holds if every eigenvalue of every critical point at which a run ended satisfies the inequality.",
    measure=measure,
    judge=judge,
)
