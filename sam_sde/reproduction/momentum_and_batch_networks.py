"""Kim et al.: momentum and small batches help SAM off the saddles of networks; as SDE and as algorithm."""

from dataclasses import replace

import pandas as pd

from sam_sde.dynamics import SAM
from sam_sde.escape.start import NormalStart
from sam_sde.noise import EmpiricalNoise
from sam_sde.regions import UnstableDistance
from sam_sde.reproduction.measuring import Bench, times_of
from sam_sde.reproduction.momentum_and_batch import MODELS, shorter_stays
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Statement, Tables
from sam_sde.surfaces.data import load_dataset
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.networks import linear_autoencoder, mlp

LR, RHO = 0.3, 0.05
BESIDE = 0.01  # the saddle, where each sample's gradient vanishes: the standard deviation of each weight at the start
LEFT = 0.5  # the distance from it along the directions in which the loss falls


def surfaces(size: Size) -> dict[str, FiniteSum]:
    """A perceptron that tells irises, and an autoencoder of the first images of the digits, each with its saddle."""
    perceptron = {"perceptron": mlp(load_dataset("iris"), hidden=4)}
    if size.name == "thin":
        return perceptron
    digits, images = load_dataset("digits"), size.of(0, 300, 1797)
    some = replace(digits, features=digits.features[:images], target=digits.target[:images])
    return perceptron | {"autoencoder": linear_autoencoder(some, hidden=size.of(0, 2, 4))}


def measure(bench: Bench) -> dict[str, pd.DataFrame]:
    """The mean time of SAM at the saddle of each network, restricted to t_max, for momenta and batch sizes."""
    size = bench.size
    momenta = size.of([0.0, 0.9], [0.0, 0.5, 0.9], [0.0, 0.3, 0.6, 0.9])
    batches = size.of([4, 64], [4, 64], [4, 16, 64])
    rows = []
    for network, surface in surfaces(size).items():
        noise = EmpiricalNoise(surface)
        saddle = surface.critical_points[0].location
        options = {
            "start": NormalStart(saddle, std=BESIDE),
            "region": UnstableDistance(surface, saddle, LEFT),
            "t_max": size.of(30.0, 60.0, 120.0),
            "crossing": "none",  # where steps end, in the SDE as in the algorithm
        }
        for model, discrete in MODELS.items():
            n_paths = size.of(8, 40, 60) if not discrete else size.of(24, 100, 200)
            for batch in batches:
                for momentum in momenta:
                    dynamics = SAM(surface, noise, lr=LR, batch_size=batch, rho=RHO, momentum=momentum)
                    arm = f"{network} {batch} {momentum}"
                    found = bench.followed(dynamics, arm=arm, discrete=discrete, n_paths=n_paths, **options)
                    row = {"network": network, "model": model, "momentum": momentum, "batch_size": batch}
                    rows.append(row | times_of(found))
    return {"grid": pd.DataFrame(rows)}


def judge(tables: Tables) -> Judgement:
    grid, rows, said = tables["grid"], [], []
    for network, of_network in grid.groupby("network", sort=False):
        found = shorter_stays(of_network, f"{network}, ")
        rows += found
        by_model = zip(found[::2], found[1::2], strict=True)
        numbers = (f"to {heavy.measured:.2g} and {small.measured:.2g}" for heavy, small in by_model)
        said.append(f"at that of the {network} {' as an SDE and '.join(numbers)} as the algorithm")
    most, smallest, largest = grid["momentum"].max(), grid["batch_size"].min(), grid["batch_size"].max()
    return Judgement(
        rows,
        f"At ρ = {RHO:g} and B = {largest:g}, γ = {most:g} and B = {smallest:g} shorten SAM's stay at the saddle, "
        f"{'; '.join(said)}.",
    )


STATEMENT = Statement(
    name="momentum-and-batch-networks",
    where="Kim et al., Theorem 3 and its consequences",
    claim="Larger momentum and smaller batches help SAM escape from the saddles of networks.",
    ran=f"Normalized SAM, ρ = {RHO:g}, lr {LR:g}, started beside the saddle of a linear autoencoder of digits and of a "
    "perceptron on irises: γ × B with the samples' own noise, as SDE and as algorithm, restricted to t_max.",
    rule="A shorter stay holds if the 95 % intervals of the two mean times are apart.",
    measure=measure,
    judge=judge,
)
