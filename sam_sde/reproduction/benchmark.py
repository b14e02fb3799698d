"""Two stand-ins for Kim et al.'s benchmark, without batch norm as theirs: a perceptron and a convolutional network."""

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student
from torch.nn import Conv2d, Flatten, Linear, Sequential, Tanh, Unflatten

from sam_sde.escape.start import NormalStart
from sam_sde.noise import EmpiricalNoise
from sam_sde.regions import LossAbove
from sam_sde.reproduction.measuring import Bench, sgd_or_sam
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.surfaces.data import load_dataset
from sam_sde.surfaces.module import network_surface

# What the paper has for CIFAR-10 without batch norm: points of accuracy for γ from 0 to 0.9, and percent for γ = 0.
PAPER_GAINS = {"SGD": 5.0, "SAM": 20.0}
PAPER_PLAIN_SAM = 60.0
LR, RHO = 0.05, 0.2
N_TRAINED = 1400  # of the 1,797 digits; the others are kept back
WIDTH = 0.1  # of the normal start of all weights
NUMBERS = ("accuracy", "loss")


def perceptron(size: Size, classes: int) -> Sequential:
    hidden = size.of(8, 16, 32)
    return Sequential(Linear(64, hidden), Tanh(), Linear(hidden, classes))


def convolutional(size: Size, classes: int) -> Sequential:
    channels = size.of(2, 4, 4)
    layers = Conv2d(1, channels, 3), Tanh(), Conv2d(channels, 2 * channels, 3), Tanh(), Flatten()
    return Sequential(Unflatten(1, (1, 8, 8)), *layers, Linear(2 * channels * 16, classes))


class Digits:
    """A network for digits, the loss on those it is trained with, and the others to test it on."""

    def __init__(self, make, size: Size):
        data = load_dataset("digits")
        labels, classes = data.classes()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(size.seed))
        train, test = order.split([N_TRAINED, len(order) - N_TRAINED])
        self.network = make(size, classes)
        features = data.features.float()
        loss = torch.nn.functional.cross_entropy
        self.surface = network_surface(self.network, loss, (features[train], labels[train]))
        self.features, self.labels = features[test], labels[test]

    def accuracy(self, weights: np.ndarray) -> np.ndarray:
        """In percent, of weights (seeds, dim) on the samples that were kept back."""
        found = []
        for w in torch.from_numpy(np.asarray(weights, dtype=np.float32)):
            torch.nn.utils.vector_to_parameters(w, self.network.parameters())
            with torch.no_grad():
                found.append((self.network(self.features).argmax(1) == self.labels).double().mean().item())
        return 100 * np.array(found)


def measure(bench: Bench, make, seeds: int, epochs: int, batches: list[int]) -> dict[str, pd.DataFrame]:
    """Trains the network with SGD and SAM: γ × B, from other weights and in another order for each seed."""
    digits = Digits(make, bench.size)
    surface, noise = digits.surface, EmpiricalNoise(digits.surface)
    frames = []
    for batch in batches:
        steps = int(np.ceil(epochs * N_TRAINED / batch))
        for momentum in bench.size.of([0.0, 0.9], [0.0, 0.9], [0.0, 0.5, 0.9]):
            for name, rho in (("SGD", 0.0), ("SAM", RHO)):
                dynamics = sgd_or_sam(surface, noise, rho, lr=LR, batch_size=batch, momentum=momentum)
                found = bench.followed(
                    dynamics,
                    arm=f"{name} {batch} {momentum}",
                    discrete=True,
                    start=NormalStart([0.0] * surface.dim, std=WIDTH),
                    region=LossAbove(surface, 1e-9),  # which none leaves
                    t_max=steps * LR,
                    n_paths=seeds,
                    block_size=bench.size.of(seeds, seeds, 5),
                )
                numbers = {
                    "seed": np.arange(seeds),
                    "accuracy": digits.accuracy(found.exit_points),
                    "loss": surface.value(torch.from_numpy(found.exit_points)).numpy(),
                }
                frame = pd.DataFrame({"optimizer": name, "batch_size": batch, "momentum": momentum, **numbers})
                frames.append(frame)
    runs = pd.concat(frames, ignore_index=True)
    return {"runs": runs, "spread": spread(runs)}


def spread(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of accuracy and loss, for each cell."""
    cells = runs.groupby(["optimizer", "batch_size", "momentum"], sort=False)
    columns = {f"{number}_{what}": (number, what) for number in NUMBERS for what in ("mean", "std")}
    return cells.agg(n_seeds=("seed", "size"), **columns).reset_index()


def measure_perceptron(bench: Bench) -> dict[str, pd.DataFrame]:
    seeds, epochs = bench.size.of((3, 2), (6, 6), (20, 30))
    return measure(bench, perceptron, seeds, epochs, bench.size.of([64], [32, 256], [32, 128, 512]))


def measure_convolutional(bench: Bench) -> dict[str, pd.DataFrame]:
    seeds, epochs = bench.size.of((2, 0.5), (5, 5), (8, 12))
    return measure(bench, convolutional, seeds, epochs, bench.size.of([32], [256], [32, 128, 512]))


def judge(tables: Tables) -> Judgement:
    runs, rows, gains = tables["runs"], [], {}
    for batch, table in runs.groupby("batch_size"):
        for name, in_paper in PAPER_GAINS.items():
            plain, heavy = (_accuracy(table, name, momentum) for momentum in (0.0, 0.9))
            gains[batch, name] = gain = heavy.mean() - plain.mean()
            variances = heavy.var(ddof=1) / len(heavy) + plain.var(ddof=1) / len(plain)
            error = student.ppf(0.975, len(plain) + len(heavy) - 2) * np.sqrt(variances)
            rows.append(
                Row(
                    f"{name}, B = {batch:g}: points of accuracy that γ = 0.9 adds",
                    f"above 0; {in_paper:g} for CIFAR-10",
                    gain,
                    bool(gain - error > 0),
                    gain - error,
                    gain + error,
                )
            )
        more = gains[batch, "SAM"] - gains[batch, "SGD"]
        rows.append(
            Row(
                f"B = {batch:g}: points that it adds to SAM more than to SGD",
                "above 0; 15 for CIFAR-10",
                more,
                bool(more > 0),
            )
        )
    largest = runs["batch_size"].max()
    of_largest = runs[runs["batch_size"] == largest]
    plain, sgd = (_accuracy(of_largest, name, 0.0) for name in ("SAM", "SGD"))
    rows.append(
        Row(
            f"SAM without momentum, B = {largest:g}: accuracy in percent",
            f"below {PAPER_PLAIN_SAM:g} for CIFAR-10 at B = 512",
            plain.mean(),
            bool(plain.mean() < PAPER_PLAIN_SAM),
            plain.min(),
            plain.max(),
            finding=True,
        )
    )
    return Judgement(
        rows,
        f"Momentum adds {gains[largest, 'SAM']:.2g} points to SAM and {gains[largest, 'SGD']:.2g} to SGD at B = "
        f"{largest:g} (20 and 5 in the paper), where without it SAM has {plain.mean():.3g} ± {plain.std():.2g} % and "
        f"SGD {sgd.mean():.3g} ± {sgd.std():.2g} %; a small network on 8 × 8 digits, and so short a training, show the "
        "direction, and not the size on CIFAR-10.",
    )


def _accuracy(table: pd.DataFrame, name: str, momentum: float) -> pd.Series:
    return table.loc[(table["optimizer"] == name) & (table["momentum"] == momentum), "accuracy"]


PERCEPTRON = Statement(
    name="benchmark",
    where="Kim et al., benchmark tasks",
    claim="Without batch norm momentum raises SAM's accuracy by 20 points and SGD's by 5.",
    ran="A perceptron on the digits, a fixed number of epochs, γ × B: accuracy on 397 samples kept back.",
    rule="A gain holds if its 95 % interval over seeds is above 0; that SAM gains more if the means say so.",
    measure=measure_perceptron,
    judge=judge,
)

CONVOLUTIONAL = Statement(
    name="benchmark-convolutional",
    where=PERCEPTRON.where,
    claim=PERCEPTRON.claim,
    ran="The same with two convolutions of 3 × 3 and a linear layer, as the paper's networks without batch norm.",
    rule=PERCEPTRON.rule,
    measure=measure_convolutional,
    judge=judge,
)
