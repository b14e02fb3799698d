"""CSV files: the numbers that stand in them, and one clear message where a reader would have to guess."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from sam_sde.surfaces import load_csv

TABLE = "size,weight,colour,kind,price\n1,10,red,0,1.5\n2,20,blue,1,2.5\n3,60,red,1,9\n"


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
        (
            TABLE,
            "price",
            "csv: expected numbers in column 'colour' of file.csv, got 'red' in row 1; leave the column out",
        ),
        (TABLE, "prise", "target: no column 'prise' in file.csv; did you mean 'price'?"),
        ("a,b\n1,2\n,3\n", "b", "csv: 1 values are missing in column 'a' of file.csv, first in row 2"),
        ("a,b\n1,2\n2,\n", "b", "csv: 1 values are missing in column 'b'"),
        ("a,b\n1,2\n", "b", "csv: expected at least two rows"),
        ("b\n1\n2\n", "b", "csv: expected at least two rows and a column of features"),
        ("a,b\n1,2\ninf,3\n", "b", "csv: expected finite numbers in file.csv"),
        ("", None, "csv: expected a table in"),
        ("a,b\n1,2\n1,2,3,4\n", None, "csv: expected a table in"),
    ],
)
def test_a_bad_csv_file_is_refused(text, target, message, csv):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        load_csv("file.csv", target, csv(text))


def test_a_missing_csv_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"csv: cannot read .*none\.csv: No such file .* starts at /"):
        load_csv("none.csv", None, tmp_path)


FRAME = pd.DataFrame({"size": [1.0, 2.0, 4.0], "weight": [5.0, 3.0, 4.0], "kind": ["a", "b", "a"]})


def test_a_table_is_the_same_with_an_index_and_without_names(csv):
    """Against pandas, which wrote it."""
    expected = load_csv("file.csv", "kind", csv(FRAME.to_csv(index=False)))
    values = FRAME[["size", "weight"]].to_numpy()
    np.testing.assert_allclose(expected.features, (values - values.mean(0)) / values.std(0))
    for text, target, options in (
        (FRAME.to_csv(), "kind", {"index": True}),
        (FRAME.to_csv(index_label="row"), "kind", {"index": True}),
        (FRAME.to_csv().removeprefix(","), "kind", {"index": True}),  # as R writes it
        (FRAME.to_csv(index=False, header=False), "x2", {"header": False}),
        (FRAME.to_csv(header=False), "x2", {"header": False, "index": True}),
        (FRAME.to_csv(index=False).replace(",", ", "), "kind", {}),
        ("\ufeff" + FRAME.to_csv(index=False), "kind", {}),
    ):
        data = load_csv("file.csv", target, csv(text), **options)
        torch.testing.assert_close(data.features, expected.features, atol=0, rtol=0)
        assert list(data.target) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("5.1,3.5,a\n4.9,3.0,b\n4.7,3.2,a\n", {}, "names of columns in the first row of file.csv, got the number "
         "'5.1'; if the file has no names, give header: false"),
        ("a,b,1e-3\n4.9,3.0,1\n4.7,3.2,2\n", {}, "got the number '1e-3'; if the file has no names, give header: false"),
        (FRAME.to_csv(), {}, "column 1 of file.csv has no name; if it only labels the rows, as pandas writes it, give "
         "index: true, or leave it out"),
        (FRAME.rename_axis("Unnamed: 0").to_csv(), {}, "column 1 of file.csv has the name 'Unnamed: 0', "),
        ("," + FRAME.rename_axis("Unnamed: 0").to_csv().replace("\n", "\n0,", 3), {"index": True},
         "column 2 of file.csv has the name 'Unnamed: 0', which pandas gives where there is none; give it a name"),
        (FRAME.to_csv().removeprefix(","), {}, "the rows of file.csv have 4 values under 3 names; name each column, or "
         "give index: true"),
        ("a,b\n1,2,\n3,4,\n", {}, "the rows of file.csv have 3 values under 2 names"),
        ("a,b\n1,2,3,4\n1,2,3,4\n", {"index": True}, "the rows of file.csv have 4 values under 2 names"),
        ("a,,b\n1,2,3\n4,5,6\n", {}, "column 2 of file.csv has no name; give it a name, or leave it out"),
        ("b,a,b\n1,2,3\n4,5,6\n", {}, "2 columns of file.csv have the name 'b'; rename them"),
        ("a,b\n1,2\nNA,3\n", {}, "expected numbers in column 'a' of file.csv, got 'NA' in row 2"),
        ("a,b\n1,2\n2, \n", {}, "1 values are missing in column 'b' of file.csv, first in row 2"),
    ],
)  # fmt: skip
def test_what_a_reader_would_guess_is_refused(text, options, message, csv):
    with pytest.raises(ValueError, match="^csv: .*" + re.escape(message)):
        load_csv("file.csv", None, csv(text), **options)


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "n/a", "-nan", "<NA>"])
def test_a_class_may_have_a_name_that_others_take_for_a_missing_value(word, csv):
    data = load_csv("file.csv", "kind", csv(f"size,kind\n1,{word}\n2,wild\n3,{word}\n"))
    index, number = data.classes(2)
    assert number == 2
    assert index[0] == index[2] != index[1]


@pytest.mark.parametrize("word", ["NA", "None", "nan"])
def test_among_numbers_it_is_neither_a_class_nor_a_number(word, csv):
    with pytest.raises(ValueError, match=f"got numbers and '{word}' in row 2; leave these rows out, or write all"):
        load_csv("file.csv", "kind", csv(f"size,kind\n1,0\n2,{word}\n3,1\n"))


def test_the_classes_of_a_long_file_are_those_of_a_short_one(csv):
    """A reader that looks at pieces takes numbers for numbers in one and for words in another."""
    rows = ["1,1.50"] * 300_000 + ["2,word", "3,1.50"]
    assert load_csv("file.csv", "kind", csv("size,kind\n" + "\n".join(rows))).classes()[1] == 2


@pytest.mark.parametrize("name", ["header", "index"])
def test_the_switches_are_true_or_false(name, csv):
    with pytest.raises(ValueError, match=f"^{name}: expected True or False, got 1"):
        load_csv("file.csv", None, csv(TABLE), **{name: 1})
