"""Kim et al.'s trajectories: normalized SAM without noise on the Beale function, and on x² - y²."""

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, USAM
from sam_sde.escape.simulation import simulate
from sam_sde.noise import NoNoise
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables, row_of
from sam_sde.surfaces import LossSurface
from sam_sde.surfaces.closed_forms import beale
from sam_sde.surfaces.separable import quadratic
from sam_sde.theory.stability import critical_points, critical_rho, rho_threshold

BEALE_LR, TEXT_LR = 1e-3 / 80, 1e-4  # of the published code, and of the text
BEALE_START, BEALE_SADDLE = [1.0, 2.0], [0.0, 1.0]
BEALE_RHOS = [0.0, 0.1, 0.5, 1.0]
NEAR = 0.05
ARRIVALS = {0.5: 2046, 1.0: 507}  # steps until within NEAR of the saddle
BEALE_CRITICAL = 0.303
MOST_POINTS = 4000  # of a trajectory

PLANE_LR, PLANE_START, PLANE_STEPS = 0.01, [-3.0, -0.01], 500
PLANE_RHO, LEFT, LEFT_AT = 0.5, 4.5, 309
PLANE_CRITICAL = 0.0948


class AccumulatingSAM(SAM):
    """A step with g(w) + g(w^p), as where the gradients of ascent and descent accumulate."""

    def minibatch_gradient(self, t, w, minibatch):
        return minibatch.descent(w) + super().minibatch_gradient(t, w, minibatch)


def optimizer(surface: LossSurface, lr: float, rho: float, kind: type = SAM):
    """SGD for ρ = 0, without noise."""
    options = {"lr": lr, "batch_size": 1}
    return SGD(surface, NoNoise(), **options) if rho == 0 else kind(surface, NoNoise(), rho=rho, **options)


def trajectory(dynamics, start: list[float], n_steps: int) -> pd.DataFrame:
    """Every step of the algorithm: step, x0, x1; to where it is lost at infinity."""
    options = {"engine": "discrete", "dtype": "float64", "device": "cpu"}
    (path,) = simulate(dynamics, start=start, t_max=n_steps * dynamics.lr, n_paths=1, **options)
    points = path.states[np.isfinite(path.states).all(1)]
    return pd.DataFrame({"step": np.arange(len(points)), "x0": points[:, 0], "x1": points[:, 1]})


def cosines(dynamics, points: np.ndarray) -> np.ndarray:
    """Of the angle between ∇ℓ(w) and ∇ℓ(w^p) at points (points, dim)."""
    w = torch.from_numpy(points)
    with torch.no_grad():
        gradients = dynamics.surface.gradient(w)
        perturbed = dynamics.surface.gradient(dynamics.perturbed(torch.zeros(len(w), 1), w))
    return torch.nn.functional.cosine_similarity(gradients, perturbed, eps=1e-300).numpy()


def distance_from_saddle(path: pd.DataFrame) -> np.ndarray:
    return np.hypot(path["x0"] - BEALE_SADDLE[0], path["x1"] - BEALE_SADDLE[1]).to_numpy()


def measure_beale(bench: Bench) -> dict[str, pd.DataFrame]:
    surface = beale()
    n_steps = bench.size.of(2600, 8000, 100_000)
    runs, kept = [], []
    for rho in BEALE_RHOS:
        dynamics = optimizer(surface, BEALE_LR, rho)
        path = trajectory(dynamics, BEALE_START, n_steps)
        distance = distance_from_saddle(path)
        near = np.flatnonzero(distance < NEAR)
        points = path[["x0", "x1"]].to_numpy()
        cosine = cosines(dynamics, points) if rho else np.ones(len(points))
        late = cosine[len(cosine) // 2 :]
        runs.append((rho, len(path) - 1, near[0] if len(near) else np.nan, distance[-1], late.min(), late.max()))
        some = np.unique(np.linspace(0, len(path) - 1, MOST_POINTS).round().astype(int))
        kept.append(path.iloc[some].assign(rho=rho, distance=distance[some], cosine=cosine[some]))
    columns = ["rho", "steps", "arrived_at", "distance_at_end", "lowest_cosine", "highest_cosine"]
    saddle = next(p for p in critical_points(surface) if np.allclose(p.location, BEALE_SADDLE, atol=1e-6))
    # To the same end in an eighth of the steps; in the full size at the published step.
    lr = bench.size.of(TEXT_LR, TEXT_LR, BEALE_LR)
    low, high, tolerance = bench.size.of((0.298, 0.308, 0.002), (0.2, 0.4, 0.001), (0.1, 0.5, 0.001))
    bracket = {"low": low, "high": high, "tolerance": tolerance, "t_max": bench.size.of(0.25, 1.25, 1.25)}
    found = critical_rho(optimizer(surface, lr, 0.1), BEALE_START, BEALE_SADDLE, **bracket)
    lost = trajectory(optimizer(surface, BEALE_LR, 0.1, USAM), BEALE_START, 100)
    ends = {
        rho: distance_from_saddle(trajectory(optimizer(surface, TEXT_LR, rho), BEALE_START, n_steps // 8))[-1]
        for rho in BEALE_RHOS
    }
    facts = {
        "critical_rho": found,
        "critical_rho_error": tolerance / 2,
        "smallest_eigenvalue": saddle.eigenvalues[0],
        "loss_at_saddle": saddle.loss,
        "threshold_of_usam": rho_threshold(saddle.eigenvalues),
        "usam_steps_until_lost": len(lost) if len(lost) < 101 else np.nan,
        **{f"distance_at_end_{rho:g}": distance for rho, distance in ends.items()},
    }
    return {
        "runs": pd.DataFrame(runs, columns=columns),
        "trajectories": pd.concat(kept, ignore_index=True),
        "facts": pd.DataFrame(facts.items(), columns=["name", "value"]),
    }


def judge_beale(tables: Tables) -> Judgement:
    runs = tables["runs"]
    rows = []
    for rho in (0.0, 0.1):
        found = row_of(runs, rho=rho)
        rows.append(
            Row(
                f"ρ = {rho:g}: distance from the saddle after {found['steps']:g} steps",
                "passes the saddle",
                found["distance_at_end"],
                bool(found["distance_at_end"] > NEAR),
            )
        )
    for rho, steps in ARRIVALS.items():
        found = row_of(runs, rho=rho)
        # about the saddle it steps to and fro by half a step of size ηρλ²
        rows += [
            Row(
                f"ρ = {rho:g}: distance from the saddle after {found['steps']:g} steps",
                "trapped",
                found["distance_at_end"],
                bool(found["distance_at_end"] < NEAR),
            ),
            Row(
                f"ρ = {rho:g}: steps until within {NEAR:g} of the saddle",
                f"{steps}, derived",
                found["arrived_at"],
                bool(abs(found["arrived_at"] - steps) <= 2),
                finding=True,
            ),
        ]
    swings, still = row_of(runs, rho=0.5), row_of(runs, rho=0.1)
    rows += [
        Row(
            "ρ = 0.5: lowest cosine of ∇ℓ(w) and ∇ℓ(w^p), second half",
            "near -1",
            swings["lowest_cosine"],
            bool(swings["lowest_cosine"] < -0.9),
        ),
        Row(
            "ρ = 0.1: lowest cosine of ∇ℓ(w) and ∇ℓ(w^p), second half",
            "near 1",
            still["lowest_cosine"],
            bool(still["lowest_cosine"] > 0.9),
        ),
    ]
    facts = tables["facts"].set_index("name")["value"]
    error = facts["critical_rho_error"]
    rows.append(
        Row(
            "smallest ρ that traps this start",
            f"{BEALE_CRITICAL:g}, derived",
            facts["critical_rho"],
            bool(abs(facts["critical_rho"] - BEALE_CRITICAL) <= error + 0.001),
            facts["critical_rho"] - error,
            facts["critical_rho"] + error,
            finding=True,
        )
    )
    other = [rho for rho in BEALE_RHOS if (facts[f"distance_at_end_{rho:g}"] < NEAR) != (rho >= min(ARRIVALS))]
    rows.append(
        Row(
            "the text's η = 1e-4 in place of the code's 1e-3/80: values of ρ with another end",
            "0",
            len(other),
            not other,
            finding=True,
        )
    )
    lost = facts["usam_steps_until_lost"]
    rows.append(
        Row(
            "unnormalized SAM of the theorems, ρ = 0.1: steps until infinite",
            "stays finite, as SAM",
            lost,
            bool(np.isnan(lost)),
            finding=True,
        )
    )
    return Judgement(
        rows,
        f"SAM with ρ = 0.5 comes within {NEAR:g} of the saddle after {swings['arrived_at']:g} steps and stays, with "
        f"ρ = 1 after {row_of(runs, rho=1.0)['arrived_at']:g}, and ρ = 0.1 passes it; the turn is at ρ = "
        f"{facts['critical_rho']:.3g}, {facts['critical_rho'] / facts['threshold_of_usam']:.2g} times Theorem 1's "
        f"1/|λ| = {facts['threshold_of_usam']:.3g}, as normalized SAM is held by a ball of radius ρ.",
    )


def measure_plane(bench: Bench) -> dict[str, pd.DataFrame]:
    surface = quadratic([2.0, -2.0])  # x² - y²
    gd = trajectory(optimizer(surface, PLANE_LR, 0.0), PLANE_START, PLANE_STEPS)
    runs = [("GD", 0.0, gd)]
    for name, kind in (("SAM", SAM), ("SAM, accumulating", AccumulatingSAM)):
        runs.append(
            (name, PLANE_RHO, trajectory(optimizer(surface, PLANE_LR, PLANE_RHO, kind), PLANE_START, PLANE_STEPS))
        )
    rows = []
    for name, rho, path in runs:
        left = np.flatnonzero(path["x1"].abs() >= LEFT)
        end = path.iloc[-1].abs()
        rows.append((name, rho, left[0] if len(left) else np.nan, end["x0"], end["x1"]))
    critical = [
        (lr, critical_rho(optimizer(surface, lr, 0.1), PLANE_START, [0.0, 0.0], t_max=PLANE_STEPS * PLANE_LR, high=0.3))
        for lr in (PLANE_LR, *bench.size.of((), (PLANE_LR / 10,), (PLANE_LR / 10, PLANE_LR / 100)))
    ]
    return {
        "runs": pd.DataFrame(rows, columns=["optimizer", "rho", "left_at", "x0_at_end", "x1_at_end"]),
        "critical_rho": pd.DataFrame(critical, columns=["lr", "critical_rho"]),
    }


def judge_plane(tables: Tables) -> Judgement:
    runs = tables["runs"]
    gd, sam, accumulating = (row_of(runs, optimizer=name) for name in ("GD", "SAM", "SAM, accumulating"))
    at_rest = PLANE_LR * 2.0 * PLANE_RHO / (2.0 - PLANE_LR * 2.0)
    critical = row_of(tables["critical_rho"], lr=PLANE_LR)["critical_rho"]
    rows = [
        Row(
            f"GD: step at which it leaves |y| < {LEFT:g}",
            f"it leaves; {LEFT_AT} derived",
            gd["left_at"],
            bool(abs(gd["left_at"] - LEFT_AT) <= 1),
        ),
        Row(
            f"SAM, ρ = {PLANE_RHO:g}: |y| after {PLANE_STEPS} steps",
            "0, it stays",
            sam["x1_at_end"],
            bool(sam["x1_at_end"] < NEAR),
        ),
        Row(
            "SAM: |x| at the end",
            f"{at_rest:.7f} = ηλρ/(2-ηλ)",
            sam["x0_at_end"],
            bool(abs(sam["x0_at_end"] - at_rest) < 1e-6),
            finding=True,
        ),
        Row(
            "smallest ρ that traps this start",
            f"{PLANE_CRITICAL:g}, derived",
            critical,
            bool(abs(critical - PLANE_CRITICAL) < 2e-4),
            finding=True,
        ),
        Row(
            "the published code's step, g(w) + g(w^p): |y| at the end",
            "0, as with the text's step",
            accumulating["x1_at_end"],
            bool(accumulating["x1_at_end"] < NEAR),
            finding=True,
        ),
    ]
    return Judgement(
        rows,
        f"GD leaves |y| < {LEFT:g} at step {gd['left_at']:g}, SAM ends at |x| = {sam['x0_at_end']:.5g} and |y| = "
        f"{sam['x1_at_end']:.2g}; from this start it is trapped from ρ = {critical:.4g} on, below 1/|λ| = 0.5.",
    )


BEALE = Statement(
    name="beale",
    where="Kim et al., Beale function",
    claim="From (1, 2) SAM with ρ = 0.5 and 1 is drawn into the saddle (0, 1), and with ρ = 0.1 and GD are not.",
    ran="Normalized SAM without noise, η = 1e-3/80 as in the published code; the critical ρ, but for the full size, at "
    "the text's η = 1e-4.",
    rule=(
        f"Trapped is a distance of less than {NEAR:g} from the saddle at the end; the cosine swings where its lowest "
        "value in the second half of the run is below -0.9, and does not where it is above 0.9."
    ),
    measure=measure_beale,
    judge=judge_beale,
)

PLANE = Statement(
    name="x2-y2",
    where="Kim et al., x² - y²",
    claim="From (-3, -0.01) GD leaves the saddle within 500 steps, and SAM with ρ = 0.5 does not.",
    ran="GD and normalized SAM without noise, η = 0.01; SAM also with the accumulated gradients of the published code.",
    rule=f"GD leaves at |y| = {LEFT:g}, SAM stays where |y| < {NEAR:g} after {PLANE_STEPS} steps; numbers within "
    f"their rounding.",
    measure=measure_plane,
    judge=judge_plane,
)
