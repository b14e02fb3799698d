"""Data sets: prepared features, targets that fit, and one clear message where they do not."""

import sys

import numpy as np
import pytest
import torch

from sam_sde.surfaces import DATASETS, Dataset, load_dataset, logistic_regression, mlp

SIZES = {"breast_cancer": (569, 30, 2), "digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3)}


@pytest.mark.parametrize("name", DATASETS)
def test_the_data_sets_have_their_known_sizes_and_prepared_features(name):
    data = load_dataset(name)
    n, features, classes = SIZES[name]
    assert data.features.shape == (n, features)
    assert data.classes()[1] == classes
    torch.testing.assert_close(data.features.mean(0), torch.zeros(features, dtype=torch.float64), atol=1e-9, rtol=0)
    deviation = data.features.std(0, correction=0)
    if name == "digits":
        assert 0.97 < (data.features.amax(0) - data.features.amin(0)).max() <= 1.0
    else:
        torch.testing.assert_close(deviation, torch.ones_like(deviation))


def dataset(target, nominal=False):
    return Dataset("own.csv", torch.zeros(4, 2, dtype=torch.float64), np.array(target), nominal)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: dataset([0.5, 1.0, 2.0, 1.0]).classes(), "expected classes to predict .* got 0.5 in own.csv"),
        (lambda: dataset([1, 1, 1, 1]).classes(), "expected at least two classes to predict, got 1"),
        (
            lambda: dataset([0, 1, 2, 2]).classes(2),
            r"expected 2 classes .* got 3 .*\[0, 1, 2\]; try model mlp",
        ),
        (lambda: dataset(["a", "b", "a", "b"]).numbers(), "expected numbers to predict, got words such as 'a'"),
        (lambda: dataset([0, 1, 2, 2], nominal=True).numbers(), "got the 3 classes of own.csv"),
        (lambda: dataset([2, 2, 2, 2]).numbers(), "expected different numbers to predict"),
        (lambda: Dataset("own.csv", torch.zeros(4, 2)).classes(), "expected a column to predict, got none"),
        (lambda: logistic_regression(load_dataset("iris")), "data: expected 2 classes to predict, got 3 in iris"),
        (lambda: mlp(load_dataset("wine"), loss="squared_error"), "data: expected numbers to predict"),
        (lambda: load_dataset("digit"), "data: unknown value 'digit'; did you mean 'digits'"),
    ],
)
def test_targets_that_do_not_fit_the_loss_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_without_scikit_learn_a_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"data: digits comes with scikit-learn, .* pip install 'sam_sde\[data\]'"):
        load_dataset("digits")
