"""Data sets: prepared features, targets that fit, and one clear message where they do not."""

import sys

import numpy as np
import pytest
import torch

from sam_sde.surfaces import DATASETS, Dataset, load_csv, load_dataset, logistic_regression, mlp

SIZES = {"breast_cancer": (569, 30, 2), "digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3)}
TABLE = "size,weight,colour,kind,price\n1,10,red,0,1.5\n2,20,blue,1,2.5\n3,60,red,1,9\n"


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


@pytest.fixture
def csv(tmp_path):
    def write(text):
        (tmp_path / "file.csv").write_text(text)
        return tmp_path

    return write


def test_a_csv_file_gives_standardized_features_and_its_target(csv):
    folder = csv("size,constant,kind\n1,7,b\n2,7,a\n3,7,b\n")
    data = load_csv("file.csv", "kind", folder)
    root = 1.5**0.5
    torch.testing.assert_close(data.features, torch.tensor([[-root, 0], [0, 0], [root, 0]], dtype=torch.float64))
    index, number = data.classes(2)
    assert (index.tolist(), number) == ([1, 0, 1], 2)
    assert load_csv("file.csv", None, csv("size\n1\n2\n")).target is None
    numbers = load_csv("file.csv", "price", csv("size,price\n1,5\n2,7\n")).numbers()
    torch.testing.assert_close(numbers, torch.tensor([-1.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (TABLE, "price", "csv: expected numbers in column 'colour' of file.csv, got 'red'; leave it out"),
        (TABLE, "prise", "target: no column 'prise' in file.csv; did you mean 'price'?"),
        ("a,b\n1,2\n,3\n", "b", "csv: 1 values are missing in column 'a' of file.csv, first in row 2"),
        ("a,b\n1,2\n2,\n", "b", "csv: 1 values are missing in column 'b'"),
        ("a,b\n1,2\n", "b", "csv: expected at least two rows"),
        ("b\n1\n2\n", "b", "csv: expected at least two rows and a column of features"),
        ("a,b\n1,2\ninf,3\n", "b", "csv: expected finite numbers in file.csv"),
        ("", None, "csv: expected a table with a header"),
        ("a,b\n1,2\n1,2,3,4\n", None, "csv: expected a table with a header"),
    ],
)
def test_a_bad_csv_file_is_refused(text, target, message, csv):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        load_csv("file.csv", target, csv(text))


def test_a_missing_csv_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"csv: cannot read .*none\.csv: No such file .* starts at /"):
        load_csv("none.csv", None, tmp_path)


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
