"""Kim et al.'s networks: the toy network of two weights, and a stand-in for their benchmark."""

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD
from sam_sde.escape.start import NormalStart
from sam_sde.noise import EmpiricalNoise
from sam_sde.regions import LossAbove
from sam_sde.reproduction.measuring import Bench
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement, Tables
from sam_sde.statistics.intervals import wilson_interval
from sam_sde.surfaces.data import load_dataset
from sam_sde.surfaces.module import network_surface
from sam_sde.surfaces.synthetic import toy_network

TOY_RHOS = [0.0, 0.05, 0.1, 0.2]
HEIGHT = 0.9  # of the saddle's loss, above which a run has not left
# Of the stand-in: what the paper has for CIFAR-10 without batch norm, in points of accuracy for γ from 0 to 0.9.
PAPER_GAINS = {"SGD": 5.0, "SAM": 20.0}
MOMENTA = (0.0, 0.9)


def arm(surface, noise, rho: float, **options):
    return SAM(surface, noise, rho=rho, ascent="same", **options) if rho else SGD(surface, noise, **options)


def measure_toy(bench: Bench) -> dict[str, pd.DataFrame]:
    surface = toy_network(n=50, label_noise=0.1, seed=0)
    noise = EmpiricalNoise(surface)
    seeds = bench.size.of(60, 300, 1000)
    options = {"start": NormalStart([0.1, 0.1], std=0.05), "region": LossAbove(surface, 0.0042), "t_max": 10.0}
    frames = []
    for rho in bench.size.of(TOY_RHOS[::3], TOY_RHOS, TOY_RHOS):
        dynamics = arm(surface, noise, rho, lr=0.01, batch_size=8)
        found = bench.followed(dynamics, arm=f"{rho}", discrete=True, n_paths=seeds, **options)
        frames.append(found.ends(seeds).assign(rho=rho))
    columns = ["rho", "path", "outcome", "loss", "saddle_loss", "state", "gradient_norm"]
    at_saddle = surface.value(torch.zeros(1, 2, dtype=torch.float64)).item()
    return {"ends": pd.concat(frames, ignore_index=True).assign(saddle_loss=at_saddle)[columns]}


def _share(which: pd.Series) -> tuple[float, float, float]:
    """The share of True, with its interval."""
    return float(which.mean()), *wilson_interval(int(which.sum()), len(which))


def judge_toy(tables: Tables) -> Judgement:
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


TOY = Statement(
    name="toy-network",
    where="Kim et al., toy network",
    claim="Most seeds of SGD reach the global minimum, most of SAM stay at the saddle, and the mean loss rises with ρ.",
    ran="w₂(w₁x)² on 50 samples, lr 0.01, minibatches of 8, started beside the saddle at the origin.",
    rule=f"A share holds if its Wilson interval is above 1/2, the height of the saddle is {100 * HEIGHT:g} % of its "
    "loss; the mean loss holds if it rises with every ρ.",
    measure=measure_toy,
    judge=judge_toy,
)


class Trained:
    """A perceptron for digits, with samples to test it on."""

    def __init__(self, size: Size):
        data = load_dataset("digits")
        labels, classes = data.classes()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(size.seed))
        train, test = order.split([1400, len(order) - 1400])
        hidden = size.of(8, 16, 32)
        torch.manual_seed(size.seed)
        layers = torch.nn.Linear(64, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, classes)
        self.network = torch.nn.Sequential(*layers)
        features = data.features.float()
        loss = torch.nn.functional.cross_entropy
        self.surface = network_surface(self.network, loss, (features[train], labels[train]))
        self.features, self.labels, self.hidden, self.classes = features[test], labels[test], hidden, classes

    def accuracy(self, weights: np.ndarray) -> np.ndarray:
        """Of weights (seeds, dim) on the samples that were kept back."""
        found = []
        for w in torch.from_numpy(np.asarray(weights, dtype=np.float32)):
            torch.nn.utils.vector_to_parameters(w, self.network.parameters())
            with torch.no_grad():
                found.append((self.network(self.features).argmax(1) == self.labels).float().mean().item())
        return np.array(found)


def measure_benchmark(bench: Bench) -> dict[str, pd.DataFrame]:
    trained = Trained(bench.size)
    surface = trained.surface
    noise = EmpiricalNoise(surface)
    seeds, epochs = bench.size.of((3, 2), (6, 6), (20, 30))
    rho, lr, rows = 0.2, 0.05, []
    for batch in bench.size.of([64], [32, 256], [32, 128, 512]):
        steps = int(np.ceil(epochs * 1400 / batch))
        for momentum in MOMENTA:
            for name, radius in (("SGD", 0.0), ("SAM", rho)):
                dynamics = arm(surface, noise, radius, lr=lr, batch_size=batch, momentum=momentum)
                start = NormalStart([0.0] * surface.dim, std=0.1)  # as wide as weights of 64 inputs are made
                options = {"start": start, "region": LossAbove(surface, 1e-9), "t_max": steps * lr, "n_paths": seeds}
                found = bench.followed(dynamics, arm=f"{name} {batch} {momentum}", discrete=True, **options)
                losses = surface.value(torch.from_numpy(found.exit_points)).numpy()
                for seed, (right, loss) in enumerate(zip(trained.accuracy(found.exit_points), losses, strict=True)):
                    rows.append((name, batch, momentum, seed, 100 * right, loss))
    return {"runs": pd.DataFrame(rows, columns=["optimizer", "batch_size", "momentum", "seed", "accuracy", "loss"])}


def judge_benchmark(tables: Tables) -> Judgement:
    runs, rows, gains = tables["runs"], [], {}
    for batch, table in runs.groupby("batch_size"):
        for name in PAPER_GAINS:
            of_one = table[table["optimizer"] == name]
            plain, heavy = (of_one.loc[of_one["momentum"] == each, "accuracy"] for each in MOMENTA)
            gain = heavy.mean() - plain.mean()
            error = 1.96 * np.sqrt(heavy.var(ddof=1) / len(heavy) + plain.var(ddof=1) / len(plain))
            gains[batch, name] = gain
            rows.append(
                Row(
                    f"{name}, B = {batch:g}: points of accuracy that γ = 0.9 adds",
                    f"above 0; {PAPER_GAINS[name]:g} for CIFAR-10",
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
    return Judgement(
        rows,
        f"Momentum adds {gains[largest, 'SAM']:.2g} points to SAM and {gains[largest, 'SGD']:.2g} to SGD at B = "
        f"{largest:g} (20 and 5 in the paper); a perceptron on 8 × 8 digits, and so short a training, show the "
        "direction, and not the size on CIFAR-10.",
    )


BENCHMARK = Statement(
    name="benchmark",
    where="Kim et al., benchmark tasks",
    claim="Without batch norm momentum raises SAM's accuracy by 20 points and SGD's by 5.",
    ran="A perceptron on the digits, a fixed number of epochs: accuracy on 397 samples kept back.",
    rule="A gain holds if its 95 % interval over seeds is above 0; that SAM gains more if the means say so.",
    measure=measure_benchmark,
    judge=judge_benchmark,
)
