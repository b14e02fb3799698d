"""Theorem 1 of Kim et al.: above ρ = 1/|λ| a saddle attracts unnormalized SAM."""

import numpy as np
import pandas as pd

from sam_sde.dynamics import SAM, SGD, USAM
from sam_sde.noise import IsotropicNoise
from sam_sde.regions import Ball, UnstableDistance
from sam_sde.reproduction.measuring import Bench, ratio
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of
from sam_sde.surfaces.separable import quadratic
from sam_sde.theory.exact import exact_escape_times
from sam_sde.theory.stability import critical_points, ends_of, stability

LR, BATCH = 0.01, 32
RADIUS = 0.1  # 5.6 times √(η/B), what noise does in a time of 1
# Hessians in ascending order; the threshold is 1/|λ| of the negative λ nearest to 0.
CASES = {"index 1": [-1.0, 1.0], "index 2": [-2.0, -1.0, 3.0]}
THRESHOLD = 1.0
RHOS = [0.5, 0.6, 0.9, 0.99, 1.01, 1.1, 1.5]  # beyond 0.5 = 1/2 the larger of the two of index 2 has flipped
SAM_RHOS = [0.01, 0.1, 0.5, 2.0]
NEAR, FAR = 0.9, 1.1  # the sides of the threshold on which paths are followed
BATCHES = (32, 128)


BASIN_RHOS, BASIN_LR, BASIN_TIME = [0.6, 0.9, 1.1, 1.5], 0.1, 90.0


def usam(eigenvalues, rho, batch_size=BATCH, lr=LR):
    return USAM(quadratic(eigenvalues), IsotropicNoise(1.0), lr=lr, batch_size=batch_size, rho=rho)


def by_eigenvalue() -> pd.DataFrame:
    """Whether the saddle attracts flow and algorithm, by the multipliers of the linearized step."""
    rows = []
    for case, eigenvalues in CASES.items():
        surface = quadratic(eigenvalues)
        (saddle,) = critical_points(surface)
        noise = IsotropicNoise(1.0)
        arms = [("USAM", rho, usam(eigenvalues, rho)) for rho in RHOS]
        arms += [("SAM", rho, SAM(surface, noise, lr=LR, batch_size=BATCH, rho=rho)) for rho in SAM_RHOS]
        for name, rho, dynamics in arms:
            found = stability(dynamics, saddle)
            largest = float(np.abs(found.multipliers).max())
            rows.append((case, name, rho, largest, int(found.attracts_flow), int(found.attracts)))
    columns = ["case", "optimizer", "rho", "largest_multiplier", "attracts_flow", "attracts"]
    return pd.DataFrame(rows, columns=columns)


def by_basin(size: Size) -> pd.DataFrame:
    """Which share of starts around the saddle the algorithm takes there, without noise."""
    rows = []
    for case, eigenvalues in CASES.items():
        surface = quadratic(eigenvalues)
        points = critical_points(surface)
        generator = np.random.default_rng(size.seed)
        starts = generator.uniform(-1.0, 1.0, (size.of(40, 200, 2000), len(eigenvalues)))
        for rho in size.of(BASIN_RHOS[1:3], BASIN_RHOS, BASIN_RHOS):
            ends = ends_of(usam(eigenvalues, rho, lr=BASIN_LR), starts, t_max=BASIN_TIME, points=points)
            rows.append((case, "USAM", rho, len(starts), float((ends["kind"] == "saddle").mean())))
        # normalized SAM is trapped where ‖∇ℓ‖ < ρ|λ|, so from starts inside of that
        for rho in size.of(SAM_RHOS[::3], SAM_RHOS, SAM_RHOS):
            sam = SAM(surface, IsotropicNoise(1.0), lr=0.05, batch_size=BATCH, rho=rho)
            inside = starts * 0.9 * rho / (3.0 * np.sqrt(len(eigenvalues)))
            ends = ends_of(sam, inside, t_max=20.0, points=points)
            rows.append((case, "SAM", rho, len(starts), float((ends["kind"] == "saddle").mean())))
    return pd.DataFrame(rows, columns=["case", "optimizer", "rho", "n_starts", "fraction_at_saddle"])


def by_exact_time() -> pd.DataFrame:
    """Mean escape times for two batch sizes; on a quadratic the unstable axis is an equation of its own."""
    rows = []
    for rho in [0.0, *RHOS]:
        times = [
            exact_escape_times(usam([-1.0], rho, batch), start=[0.0], region=Ball([0.0], RADIUS)).mean_time
            for batch in BATCHES
        ]
        power = np.log(times[1] / times[0]) / np.log(BATCHES[1] / BATCHES[0])
        rows.append((rho, *times, power))
    return pd.DataFrame(rows, columns=["rho", *(f"mean_time_{batch}" for batch in BATCHES), "power_of_batch_size"])


def by_paths(bench: Bench) -> pd.DataFrame:
    """The ratio of USAM's escape time to SGD's, of paths from the saddle to 0.1 along its unstable directions."""
    rows = []
    for case in bench.size.of(["index 1"], CASES, CASES):
        eigenvalues = CASES[case]
        surface, start = quadratic(eigenvalues), [0.0] * len(eigenvalues)
        options = {
            "start": start,
            "region": UnstableDistance(surface, start, RADIUS),
            "t_max": bench.size.of(15.0, 100.0, 400.0),
            "n_paths": bench.size.of(300, 4000, 40_000),
        }
        sgd = SGD(surface, IsotropicNoise(1.0), lr=LR, batch_size=BATCH)
        reference = bench.followed(sgd, arm=f"SGD, {case}", **options)
        for rho in bench.size.of([FAR], [0.5, NEAR, FAR], [0.5, NEAR, 1.0, FAR]):
            found = bench.followed(usam(eigenvalues, rho), arm=f"USAM {rho}, {case}", **options)
            escaped = {"fraction_escaped": found.summary()["fraction_escaped"]}
            rows.append({"case": case, "rho": rho, **ratio(found, reference), **escaped})
    return pd.DataFrame(rows)


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    return {
        "eigenvalues": by_eigenvalue(),
        "basins": by_basin(bench.size),
        "exact_times": by_exact_time(),
        "escape_ratios": by_paths(bench),
    }


def judge(tables: Tables) -> Judgement:
    return Judgement([*_eigenvalue_rows(tables), *_basin_rows(tables), *_time_rows(tables)], _reason(tables))


def _eigenvalue_rows(tables: Tables) -> list[Row]:
    rows = []
    for case in CASES:
        table = tables["eigenvalues"].query("case == @case")
        usam_rows = table[table["optimizer"] == "USAM"]
        last = usam_rows.loc[usam_rows["attracts"] == 0, "rho"].max()
        first = usam_rows.loc[usam_rows["attracts"] == 1, "rho"].min()
        rows.append(
            Row(
                f"USAM, {case}: ρ from which on the saddle attracts, by eigenvalue",
                f"between {last:g} and {first:g}, 1/|λ| = {THRESHOLD:g}",
                0.5 * (last + first),
                bool(last < THRESHOLD < first and first - last < 0.05),
                last,
                first,
            )
        )
        sam = table[table["optimizer"] == "SAM"]
        rows.append(
            Row(
                f"normalized SAM, {case}: smallest ρ tried at which the saddle attracts",
                f"{sam['rho'].min():g}: a trap for every ρ > 0",
                sam.loc[sam["attracts"] == 1, "rho"].min(),
                bool(sam["attracts"].all()),
                finding=True,
            )
        )
    return rows


def _basin_rows(tables: Tables) -> list[Row]:
    rows = []
    for case in CASES:
        table = tables["basins"].query("case == @case")
        of_usam = table[table["optimizer"] == "USAM"]
        below = of_usam.loc[of_usam["rho"] < THRESHOLD, "fraction_at_saddle"]
        above = of_usam.loc[of_usam["rho"] > THRESHOLD, "fraction_at_saddle"]
        rows += [
            Row(f"USAM, {case}: share of starts taken to the saddle, ρ < 1/|λ|", "0", below.max(), below.max() == 0),
            Row(f"USAM, {case}: share of starts taken to the saddle, ρ > 1/|λ|", "1", above.min(), above.min() == 1),
        ]
        of_sam = table.loc[table["optimizer"] == "SAM", "fraction_at_saddle"]
        rows.append(
            Row(
                f"normalized SAM, {case}: share of starts with ‖∇ℓ‖ < ρ|λ| taken to the saddle, every ρ",
                "1",
                of_sam.min(),
                of_sam.min() == 1,
                finding=True,
            )
        )
    return rows


def _time_rows(tables: Tables) -> list[Row]:
    exact = tables["exact_times"].query("rho > 0")
    below = exact.loc[exact["rho"] < THRESHOLD, "power_of_batch_size"]
    above = exact.loc[exact["rho"] > THRESHOLD, "power_of_batch_size"]
    rows = [
        Row("USAM: escape time grows slower than B for ρ < 1/|λ|", "power below 1", below.max(), below.max() < 1),
        Row("USAM: escape time grows faster than B for ρ > 1/|λ|", "power above 1", above.min(), above.min() > 1),
    ]
    for case in tables["escape_ratios"]["case"].unique():
        far = row_of(tables["escape_ratios"], case=case, rho=FAR)
        what = f"USAM at ρ = {FAR:g}/|λ|, {case}: escape time over SGD's, paths"
        ends = far["ratio_low"], far["ratio_high"]
        rows.append(Row(what, "above 3", far["ratio"], bool(ends[0] > 3), *ends))
    return rows


def _reason(tables: Tables) -> str:
    exact = tables["exact_times"]
    sgd = row_of(exact, rho=0.0)["mean_time_32"]
    near, far = (row_of(exact, rho=rho)["mean_time_32"] / sgd for rho in (NEAR, 1.5))
    sam = tables["eigenvalues"].query("optimizer == 'SAM' and attracts == 1")["rho"].min()
    return (
        "Unnormalized SAM turns from repelled to attracted at 1/|λ|, by eigenvalue, basin and escape time "
        f"({near:.3g} times SGD's at ρ = {NEAR:g}/|λ|, {far:.3g} times at 1.5/|λ|), and all negative eigenvalues "
        f"have to turn; normalized SAM, which the experiments run, is trapped already at ρ = {sam:g}."
    )


STATEMENT = Statement(
    name="theorem-1",
    where="Kim et al., Theorem 1",
    claim="A saddle is an attractor of SAM if ρ > -1/λ for every negative eigenvalue λ.",
    ran="USAM and SAM on quadratic saddles of index 1 and 2: multipliers, starts without noise, escape times.",
    rule=(
        "The threshold holds where the largest ρ that repels and the smallest that attracts enclose 1/|λ| within "
        "0.05; basins where no start below and every start above it ends at the saddle; escape times where they "
        "grow more slowly than the batch size below and faster above it, and the interval of the ratio at 1.1/|λ| "
        "is above 3."
    ),
    measure=measure,
    judge=judge,
)
