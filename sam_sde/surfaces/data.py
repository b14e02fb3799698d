"""Data sets for losses over data, and the four that come with scikit-learn.

Features are centred, and each is divided by its standard deviation. The pixels of digits share one unit, so all of them
are divided by 16, their largest value. A feature that never changes becomes 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sam_sde.checks import one_of, shown
from sam_sde.errors import ArgumentError

# The names of the data sets, with scikit-learn's functions that load them.
DATASETS = {
    "breast_cancer": "load_breast_cancer",
    "digits": "load_digits",
    "iris": "load_iris",
    "wine": "load_wine",
}
LARGEST_PIXEL = 16.0


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features (n, features), float64 and prepared, and the column to predict.

    target: one number or word a sample, or None where the data has nothing to predict.
    nominal: the numbers in `target` are only names of classes.
    """

    name: str
    features: torch.Tensor
    target: np.ndarray | None = None
    nominal: bool = False

    def numbers(self) -> torch.Tensor:
        """The target (n,) as numbers, centred and divided by its standard deviation.

        Raises ValueError where it consists of words, or of the names of more than two classes.
        """
        target = self._target()
        if not np.issubdtype(target.dtype, np.number):
            word = shown(str(target[0]))
            raise ArgumentError("data", f"expected numbers to predict, got words such as {word} in {self.name}")
        classes = np.unique(target)
        if self.nominal and len(classes) > 2:
            raise ArgumentError(
                "data",
                f"expected numbers to predict, got the {len(classes)} classes of {self.name}; "
                "try model mlp, or deep_linear_network",
            )
        if len(classes) == 1:
            raise ArgumentError("data", f"expected different numbers to predict, got {target[0]:g} only in {self.name}")
        return standardized(torch.as_tensor(target, dtype=torch.float64)[:, None])[:, 0]

    def classes(self, number: int | None = None) -> tuple[torch.Tensor, int]:
        """The target (n,) as class numbers 0, 1, …, in the order of the names, and how many classes there are.

        Raises ValueError where it holds numbers that are not whole, one class only, or not `number` of them.
        """
        target = self._target()
        if np.issubdtype(target.dtype, np.number) and (target != np.round(target)).any():
            fraction = target[target != np.round(target)][0]
            raise ArgumentError(
                "data",
                f"expected classes to predict (words or whole numbers), got {fraction:g} in {self.name}; "
                "try model linear_regression, or mlp with loss squared_error",
            )
        names, index = np.unique(target, return_inverse=True)
        if len(names) < 2 or number not in (None, len(names)):
            expected = "at least two classes" if number is None else f"{number} classes"
            raise ArgumentError(
                "data",
                f"expected {expected} to predict, got {len(names)} in {self.name}: {shown(names.tolist())}"
                + ("; try model mlp" if len(names) > 2 else ""),
            )
        return torch.as_tensor(index, dtype=torch.int64), len(names)

    def _target(self) -> np.ndarray:
        if self.target is None:
            raise ArgumentError("data", f"expected a column to predict, got none in {self.name}; try target: COLUMN")
        return self.target


def load_dataset(name: str) -> Dataset:
    """One of the data sets of scikit-learn: breast_cancer, digits, iris, wine.

    Raises ValueError for an unknown name, and where scikit-learn is not installed.
    """
    one_of("data", name, DATASETS)
    try:
        from sklearn import datasets
    except ImportError:
        raise ArgumentError(
            "data", f"{name} comes with scikit-learn, which is not installed; try pip install 'sam_sde[data]'"
        ) from None
    bunch = getattr(datasets, DATASETS[name])()
    features = torch.as_tensor(bunch.data, dtype=torch.float64)
    prepared = centred(features) / LARGEST_PIXEL if name == "digits" else standardized(features)
    return Dataset(name, prepared, bunch.target, nominal=True)


def centred(features: torch.Tensor) -> torch.Tensor:
    """Each column (n, features) less its mean."""
    return features - features.mean(0)


def standardized(features: torch.Tensor) -> torch.Tensor:
    """Each column (n, features) less its mean, over its standard deviation; 0 where it never changes."""
    difference = centred(features)
    deviation = difference.square().mean(0).sqrt()
    changes = deviation > 1e-12 * features.abs().amax(0)
    return torch.where(changes, difference / torch.where(changes, deviation, 1.0), 0.0)
