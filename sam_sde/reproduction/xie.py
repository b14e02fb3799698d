"""Xie et al., A diffusion theory: the time out of a minimum is exponential in batch size over learning rate."""

import numpy as np
import pandas as pd
from scipy.stats import linregress
from scipy.stats import t as student

from sam_sde.dynamics import SGD
from sam_sde.noise import EmpiricalNoise, IsotropicNoise, NoNoise
from sam_sde.regions import Slab
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.surfaces.data import load_dataset
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.networks import linear_autoencoder, mlp
from sam_sde.surfaces.separable import double_well
from sam_sde.theory.exact import exact_escape_times
from sam_sde.theory.stability.descent import descend

BARRIER, SIGMA = 1.0, 3.0
LR, BATCH = 0.1, 4  # the exponent 2BΔL/(ησ²) goes from 9 to 36
STRAIGHT, SLOPE = 0.999, 0.05  # r² at least; how far a slope may be off
FLATTEST = 1e-4  # of the largest eigenvalue: smaller ones are not fitted


def mean_time(lr: float, batch_size: int) -> float:
    """From the minimum at -1 over the barrier at 0, to beyond it."""
    sgd = SGD(double_well(dim=1, barrier=BARRIER), IsotropicNoise(SIGMA), lr=lr, batch_size=batch_size)
    region = Slab([-1.25], direction=[1.0], half_width=1.75)  # from -3 to 0.5
    return exact_escape_times(sgd, start=[-1.0], region=region).mean_time


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    count = bench.size.of(6, 9, 15)
    batches = np.linspace(BATCH, 4 * BATCH, count).round().astype(int)
    inverses = np.linspace(1 / LR, 4 / LR, count)
    rows = [("batch_size", batch, mean_time(LR, int(batch))) for batch in batches]
    rows += [("inverse_lr", inverse, mean_time(1 / inverse, BATCH)) for inverse in inverses]
    return {"times": pd.DataFrame(rows, columns=["key", "value", "mean_time"])}


def judge(tables: Tables) -> Judgement:
    rows, slopes = [], {}
    for key, other in (("batch_size", 1 / LR), ("inverse_lr", BATCH)):
        table = tables["times"].query("key == @key")
        fit = linregress(table["value"], np.log(table["mean_time"]))
        expected = 2 * BARRIER * other / SIGMA**2  # of exp(2BΔL/(ησ²))
        slopes[key] = fit.slope / expected
        rows += [
            Row(
                f"log mean escape time against {key}: r² of a straight line",
                "1",
                fit.rvalue**2,
                bool(fit.rvalue**2 > STRAIGHT),
            ),
            Row(
                f"log mean escape time against {key}: slope over 2ΔL/σ² times the other",
                "1",
                slopes[key],
                bool(abs(slopes[key] - 1) < SLOPE),
                slopes[key] - 2 * fit.stderr / expected,
                slopes[key] + 2 * fit.stderr / expected,
            ),
        ]
    longest = tables["times"]["mean_time"].max()
    return Judgement(
        rows,
        f"The logarithm of the mean time is a straight line in B and in 1/η (r² {rows[0].measured:.5f} and "
        f"{rows[2].measured:.5f}) up to times of {longest:.2g}, with {slopes['batch_size']:.3g} and "
        f"{slopes['inverse_lr']:.3g} times the slope of Kramers' exponent.",
    )


STATEMENT = Statement(
    name="xie-escape",
    where="Xie et al. (arXiv 2002.03495), escape times",
    claim="The mean escape time from a minimum grows exponentially with B and with 1/η.",
    ran="SGD in a double well of one dimension with isotropic noise: exact mean times, and straight lines "
    "through them.",
    rule=f"A line is straight where r² > {STRAIGHT}; a slope holds within {100 * SLOPE:g} % of 2ΔL/(ησ²).",
    measure=measure,
    judge=judge,
)


def networks(size: Size) -> dict[str, tuple[FiniteSum, float]]:
    """Perceptrons, and the linear autoencoder of digits, each with a learning rate."""
    hidden = size.of({"iris": 3}, {"iris": 4, "wine": 4}, {"iris": 4, "wine": 8, "breast_cancer": 6, "digits": 8})
    found = {}
    for data, units in hidden.items():
        found[f"perceptron on {data}"] = mlp(load_dataset(data), hidden=units, seed=size.seed), 0.5
    if size.name == "full":
        found["autoencoder of digits"] = linear_autoencoder(load_dataset("digits"), hidden=4, seed=size.seed), 0.1
    return found


def measure_premise(bench: Bench) -> dict[str, pd.DataFrame]:
    """Eigenvalues of the Hessian of a trained network, and the covariance of its samples' gradients along each."""
    frames = []
    for network, (surface, lr) in networks(bench.size).items():
        for steps in bench.size.of([300], [300, 3000], [300, 3000, 10_000]):
            trainer = SGD(surface, NoNoise(), lr=lr, batch_size=1)
            w = descend(trainer, surface.initial_weights[None].double(), steps)
            values, vectors = np.linalg.eigh(surface.hessian(w)[0].detach().numpy())
            covariance = EmpiricalNoise(surface).covariance(w)[0].detach().numpy()
            along = np.einsum("ij,ik,kj->j", vectors, covariance, vectors)
            frame = pd.DataFrame({"network": network, "steps": steps, "eigenvalue": values, "variance": along})
            frames.append(frame.assign(loss=surface.value(w).item()))
    return {"spectra": pd.concat(frames, ignore_index=True)}


def judge_premise(tables: Tables) -> Judgement:
    rows = []
    for (network, steps), table in tables["spectra"].groupby(["network", "steps"], sort=False):
        used = table[table["eigenvalue"] > FLATTEST * table["eigenvalue"].max()]
        fit = linregress(np.log(used["eigenvalue"]), np.log(used["variance"]))
        half = student.ppf(0.975, len(used) - 2) * fit.stderr
        low, high = fit.slope - half, fit.slope + half
        what = f"power γ of Σ ~ |H|^γ, {network} after {steps} steps"
        rows.append(Row(what, "1", fit.slope, bool(low <= 1 <= high), low, high))
        rows.append(
            Row(
                f"{what}: between 1 and 2 (arXiv 2602.05600)",
                "1 to 2",
                fit.slope,
                bool(low <= 2 and high >= 1),
                low,
                high,
                finding=True,
            )
        )
    claims = [row for row in rows if not row.finding]
    several = "; ".join(
        f"{row.measured:.2f} ({row.low:.2f} to {row.high:.2f}){row.what.partition(',')[2]}" for row in claims
    )
    return Judgement(rows, f"The fitted powers are {several}.")


PREMISE = Statement(
    name="noise-premise",
    where="Xie et al., Kim et al.: premise",
    claim="The covariance of the gradient noise is proportional to |H|.",
    ran="Small networks trained by gradient descent: variance of the samples' gradients along each eigenvector of H.",
    rule=f"Holds if the 95 % interval of the power, of a line through the logarithms where λ > {FLATTEST:g} "
    f"λ_max, contains 1.",
    measure=measure_premise,
    judge=judge_premise,
)
