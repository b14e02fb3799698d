"""Theorem 2 and Corollary 1 of Kim et al.: how far noise takes SAM from the saddle, under each model of SAM."""

from collections.abc import Sequence

import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, USAM
from sam_sde.escape.displacement import displacement
from sam_sde.noise import FrozenHessianNoise, IsotropicNoise
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of
from sam_sde.statistics.intervals import Z
from sam_sde.surfaces.separable import quadratic
from sam_sde.theory.displacement import corollary_1, theorem_2

LR, BATCH = 0.01, 32
EIGENVALUES = [-1.0, 1.0]
RHO, TIME = 0.3, 1.0
TOLERANCE = 0.05
# (drift, ascent): the first is that of the formula, the others run the gradient at w^p as SAM does.
FORMULA, AS_RUN = ("total", "full"), ("stop_gradient", "same")
MODES = [FORMULA, ("stop_gradient", "full"), AS_RUN, ("stop_gradient", "independent")]

GAP_RHO, GAP_TIME, GAP_LR = 0.05, 0.05, 0.001  # |λ|t and ρ|λ| small, as Corollary 1 asks
GAP_TOLERANCE = 0.15  # the first order in ρ|λ| and |λ|t leaves shares of ½ρ|λ| and 4/3 ρ|λ| t

# Trap: the first-order formulas of normalized SAM beside the saddle, at a gradient far shorter than its noise.
SHORT_GRADIENT, TRAP_RHO, TRAP_EIGENVALUE = 0.01, 0.1, 2.0


def _surface():
    return quadratic(EIGENVALUES)


def displacements(bench: Bench) -> pd.DataFrame:
    """Mean-squared displacement at t = 1 along both axes, of paths, beside exact moments and Theorem 2."""
    surface = _surface()
    noise = FrozenHessianNoise(surface, [0.0, 0.0])
    frames = []
    for drift, ascent in MODES:
        dynamics = USAM(surface, noise, lr=LR, batch_size=BATCH, rho=RHO, drift=drift, ascent=ascent)
        options = {"start": [0.0, 0.0], "t_max": TIME, "times": [TIME], "seed": bench.size.seed}
        options["n_paths"] = bench.size.of(4000, 40_000, 400_000)
        found = bench.once(f"{drift} {ascent}", displacement, dynamics, **options)
        found = found[["eigenvalue", "time", "msd", "msd_low", "msd_high", "exact", "discrete"]]
        formula = [theorem_2(each, lr=LR, batch_size=BATCH, t=TIME, rho=RHO) for each in EIGENVALUES]
        frames.append(found.assign(drift=drift, ascent=ascent, formula=formula))
    return pd.concat(frames, ignore_index=True)


def over_seeds(dynamics, seeds: Sequence[int], options: dict) -> pd.DataFrame:
    """The displacement for each seed, a row each."""
    return pd.concat([displacement(dynamics, seed=seed, **options) for seed in seeds], ignore_index=True)


def gaps(bench: Bench) -> pd.DataFrame:
    """How much less USAM is displaced than SGD along the unstable axis, of paths that share their noise."""
    surface = _surface()
    noise = FrozenHessianNoise(surface, [0.0, 0.0])
    options = {"start": [0.0, 0.0], "t_max": GAP_TIME, "times": [GAP_TIME], "directions": [0]}
    options["n_paths"] = bench.size.of(1000, 10_000, 50_000)
    formula = corollary_1(EIGENVALUES[0], lr=GAP_LR, batch_size=BATCH, t=GAP_TIME, rho=GAP_RHO)
    sgd = SGD(surface, noise, lr=GAP_LR, batch_size=BATCH)
    seeds = bench.size.seeds(bench.size.of(4, 12, 24))
    references = bench.once("SGD", over_seeds, sgd, seeds, options)
    rows = []
    for drift, ascent in MODES:
        usam = USAM(surface, noise, lr=GAP_LR, batch_size=BATCH, rho=GAP_RHO, drift=drift, ascent=ascent)
        of_usam = bench.once(f"{drift} {ascent}", over_seeds, usam, seeds, options)
        each = references["msd"] - of_usam["msd"]
        gap, error = each.mean(), each.std(ddof=1) / len(each) ** 0.5
        exact = references["exact"].iloc[0] - of_usam["exact"].iloc[0]
        rows.append((drift, ascent, gap, gap - Z * error, gap + Z * error, exact, formula))
    return pd.DataFrame(rows, columns=["drift", "ascent", "gap", "gap_low", "gap_high", "exact", "formula"])


def beside_the_saddle(size: Size) -> pd.DataFrame:
    """Mean and standard deviation of normalized SAM's minibatch gradient at ‖∇ℓ‖ = 0.01, drawn and by formula.

    λ = ±2, noise of unit variance a sample. `expanded` is the first order in ρ/‖∇ℓ‖, `closed` that with ‖∇ℓ‖ replaced
    by √(‖∇ℓ‖² + tr Σ/B), which the package's SDE has.
    """
    surface, noise = quadratic([TRAP_EIGENVALUE, -TRAP_EIGENVALUE]), IsotropicNoise(1.0)
    w = torch.tensor([[0.0, SHORT_GRADIENT / TRAP_EIGENVALUE]], dtype=torch.float64)  # ∇ℓ along the unstable axis
    gradient = surface.gradient(w)
    generator = torch.Generator().manual_seed(size.seed)
    n_draws = size.of(100_000, 1_000_000, 10_000_000)
    xi = torch.randn(n_draws, 2, dtype=torch.float64, generator=generator) / BATCH**0.5
    ascent = gradient + xi
    drawn = surface.gradient(w + TRAP_RHO * ascent / ascent.norm(dim=-1, keepdim=True)) + xi
    sam = SAM(surface, noise, lr=LR, batch_size=BATCH, rho=TRAP_RHO, ascent="same")
    t = torch.zeros(1, 1, dtype=torch.float64)
    closed = torch.cat([sam.descent_noise(t, w, each[None]) for each in torch.eye(2, dtype=torch.float64)])
    scale = TRAP_RHO / SHORT_GRADIENT
    across = abs(1.0 + scale * TRAP_EIGENVALUE) / BATCH**0.5  # along the stable axis, perpendicular to ∇ℓ
    mean_expanded = gradient[0, 1] - TRAP_EIGENVALUE * TRAP_RHO * gradient[0, 1] / SHORT_GRADIENT
    return pd.DataFrame(
        [
            ("drawn", drawn[:, 1].mean().item(), drawn[:, 0].std().item()),
            ("expanded", mean_expanded.item(), across),
            ("closed", sam.descent(t, w)[0, 1].item(), closed[:, 0].norm().item() / BATCH**0.5),
        ],
        columns=["model", "mean_along_gradient", "deviation_across"],
    )


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    return {"displacements": displacements(bench), "noise_at_saddle": beside_the_saddle(bench.size)}


def measure_gaps(bench: Bench) -> dict[str, pd.DataFrame]:
    return {"gaps": gaps(bench)}


def _named(drift: str, ascent: str) -> str:
    return f"drift {drift}, ascent {ascent}"


def judge(tables: Tables) -> Judgement:
    table = tables["displacements"]
    rows = []
    for found in table.itertuples():
        formula = found.formula
        holds = found.msd_low <= formula * (1 + TOLERANCE) and found.msd_high >= formula * (1 - TOLERANCE)
        rows.append(
            Row(
                f"displacement at t = 1 over Theorem 2, λ = {found.eigenvalue:g}, {_named(found.drift, found.ascent)}",
                "1",
                found.msd / formula,
                bool(holds),
                found.msd_low / formula,
                found.msd_high / formula,
            )
        )
        theory = found.msd_low <= found.exact * (1 + TOLERANCE) and found.msd_high >= found.exact * (1 - TOLERANCE)
        rows.append(
            Row(
                f"the same over the exact moments of that SDE, λ = {found.eigenvalue:g}",
                "1",
                found.msd / found.exact,
                bool(theory),
                found.msd_low / found.exact,
                found.msd_high / found.exact,
                finding=True,
            )
        )
    rows += _noise_rows(tables["noise_at_saddle"])
    own = table.query("drift == @FORMULA[0] and ascent == @FORMULA[1]")
    run = table.query("drift == @AS_RUN[0] and ascent == @AS_RUN[1]")
    far = run["formula"] / run["msd"]
    return Judgement(
        rows,
        "The formula describes the total gradient of ℓ(w + ρ∇ℓ) with a full-batch ascent (measured over formula "
        f"{(own['msd'] / own['formula']).min():.3g} to {(own['msd'] / own['formula']).max():.3g}); for SAM as it is "
        f"run, with one batch and no gradient through the ascent, it is {far.iloc[0]:.3g} times the displacement "
        f"along λ = -1 and {far.iloc[1]:.3g} times along λ = 1 (ρ = {RHO:g}).",
    )


def _noise_rows(table: pd.DataFrame) -> list[Row]:
    drawn, expanded, closed = (row_of(table, model=name) for name in ("drawn", "expanded", "closed"))
    rows = []
    for what, column in (("deviation across", "deviation_across"), ("mean along", "mean_along_gradient")):
        rows.append(
            Row(
                f"normalized SAM at ‖∇ℓ‖ = 0.01: {what} the gradient to first order in ρ/‖∇ℓ‖",
                f"{drawn[column]:.3g}, as drawn",
                expanded[column],
                bool(abs(expanded[column] - drawn[column]) < 0.1 * drawn["deviation_across"]),
                finding=True,
            )
        )
        rows.append(
            Row(
                f"the same with ‖∇ℓ‖ replaced by √(‖∇ℓ‖² + tr Σ/B): {what}",
                f"{drawn[column]:.3g}, as drawn",
                closed[column],
                bool(abs(closed[column] - drawn[column]) < 0.1 * drawn["deviation_across"]),
                finding=True,
            )
        )
    return rows


def judge_gaps(tables: Tables) -> Judgement:
    table, rows = tables["gaps"], []
    for found in table.itertuples():
        formula = found.formula
        holds = found.gap_low <= formula * (1 + GAP_TOLERANCE) and found.gap_high >= formula * (1 - GAP_TOLERANCE)
        rows.append(
            Row(
                f"gap of SGD and SAM over 2ηt²|λ|³ρ/B, {_named(found.drift, found.ascent)}",
                "1",
                found.gap / formula,
                bool(holds),
                found.gap_low / formula,
                found.gap_high / formula,
            )
        )
    own, full, run = (row_of(table, drift=drift, ascent=ascent) for drift, ascent in MODES[:3])
    return Judgement(
        rows,
        f"The gap is {own['gap'] / own['formula']:.3g} times the printed one for the total gradient, "
        f"{full['gap'] / full['formula']:.3g} times for the stop-gradient with a full-batch ascent, and "
        f"{run['gap'] / run['formula']:.3g} times with one batch for both gradients, where it begins with t and not "
        "t².",
    )


STATEMENT = Statement(
    name="theorem-2",
    where="Kim et al., Theorem 2",
    claim="SAM's displacement from the saddle is η|λ|/(2Bλ(1+ρλ)²) [1 - exp(-2λ(1+ρλ)²t)].",
    ran="USAM on a quadratic saddle with the noise |H|: paths under each drift and batch of the ascent, ρ|λ| = 0.3.",
    rule=f"A row holds if the 95 % interval of the measurement comes within {100 * TOLERANCE:g} % of the formula.",
    measure=measure,
    judge=judge,
)

GAPS = Statement(
    name="corollary-1",
    where="Kim et al., Corollary 1",
    claim="For |λ|t ≪ 1 SGD is displaced by 2ηt²|λ|³ρ/B more than SAM.",
    ran=f"SGD and USAM from the saddle with the same noise, |λ|t = {GAP_TIME:g} and ρ|λ| = {GAP_RHO:g}.",
    rule=f"A row holds if the 95 % interval over seeds comes within {100 * GAP_TOLERANCE:g} % of the formula.",
    measure=measure_gaps,
    judge=judge_gaps,
)
