"""The CSV files: what is written is read again as it was, and whatever else lies there is named."""

import subprocess
import sys

import pandas as pd
import pytest

from sam_sde.errors import InputError
from sam_sde.jobs.record import RECORDS
from sam_sde.jobs.tables import TABLES, WORDS, by_arm, tables_of

NAMES = ["1", "1.0", "NA", "None", "true", "nan", "[bold]SGD, lr", ' ρ "$0.1$"']


def rows(table, words=NAMES):
    """Rows whose words are all the names above, and whose numbers are 0.1, 1.1, …"""
    columns = [*table.columns, *(["x0", "x1"] if table.coordinates else [])]
    return pd.DataFrame(
        {column: words if column in WORDS else [0.1 + i for i in range(len(words))] for column in columns}
    )


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_read_as_it_was_written_and_names_stay_text(table, tmp_path):
    frame = rows(table)
    table.write(frame, tmp_path)
    read = table.read(tmp_path)
    pd.testing.assert_frame_equal(read, frame)
    for column in set(table.columns) & set(WORDS):
        assert [*read[column]] == NAMES


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_one_name_that_looks_like_a_number_stays_text(table, tmp_path):
    table.write(rows(table, ["1"]), tmp_path)
    assert all(table.read(tmp_path)[column].item() == "1" for column in set(table.columns) & set(WORDS))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_other_columns_are_not_written(table, tmp_path):
    for frame in (rows(table).assign(more=1), rows(table).iloc[:, :-1], rows(table).iloc[:, ::-1]):
        if table.coordinates and list(frame.columns[-1:]) == ["x0"] and frame.columns[0] == table.columns[0]:
            continue  # one coordinate is as good as two
        if list(frame.columns) == list(rows(table).columns):
            continue  # one column backwards
        with pytest.raises(ValueError, match=f"{table.file}: expected the columns"):
            table.write(frame, tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_only_some_tables_may_have_no_rows(table, tmp_path):
    empty = rows(table, [])
    if table.may_be_empty:
        table.write(empty, tmp_path)
        assert table.read(tmp_path).empty
        return
    with pytest.raises(ValueError, match="no rows"):
        table.write(empty, tmp_path)
    empty.to_csv(tmp_path / table.file, index=False)
    with pytest.raises(InputError, match=f"{table.file} has no rows; run `sam-sde {table.command} CONFIG"):
        table.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no survival\.csv; run `sam-sde escape CONFIG --out .*` first$"),
        ("", r"^cannot read .*survival\.csv: .* again$"),
        (b"\xff\xfe\xff", r"^cannot read .*survival\.csv"),
        ("arm,time,survival,low,high\nSGD,0,1,1,1\n", r"survival\.csv has no column at_risk; got arm, time"),
        ("arm,time,survival,low,high,at_risk\nSGD,0,one,1,1,5\n", "other things than numbers in the column survival"),
        ("arm,time,survival,low,high,at_risk\n,0,1,1,1,5\n", "has a row without arm"),
        ('arm,time,survival,low,high,at_risk\n"SGD,0,1,1,1,5\n', r"^cannot read .*survival\.csv"),
    ],
    ids=["no file", "empty file", "no text", "column", "word", "no name", "open quote"],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(content, message, tmp_path):
    if content is not None:
        (tmp_path / "survival.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        TABLES["survival"].read(tmp_path)


def test_numbers_that_are_not_known_are_read_as_not_known(tmp_path):
    frame = rows(TABLES["summary"], ["SGD", "SAM"])
    frame.loc[0, "median"] = float("nan")
    frame["mean_time"] = float("nan")
    TABLES["summary"].write(frame, tmp_path)
    pd.testing.assert_frame_equal(TABLES["summary"].read(tmp_path), frame)


def test_names_are_those_of_the_files_and_every_table_belongs_to_a_command():
    assert all(table.file == f"{name.removeprefix('sweep_')}.csv" for name, table in TABLES.items())
    assert {name for command in RECORDS for name in tables_of(command)} == set(TABLES)


def test_the_values_of_swept_keys_stand_first(tmp_path):
    table, frame = TABLES["sweep_summary"], rows(TABLES["summary"], ["SGD", "SAM"])
    frame.insert(0, "arms.SAM.rho", [0.1, 0.2])
    frame.insert(1, "escape.region", ["NA", "1"])
    table.write(frame, tmp_path)
    read = table.read(tmp_path)
    assert table.keys(read) == ["arms.SAM.rho", "escape.region"]
    assert list(read["arms.SAM.rho"]) == [0.1, 0.2]
    assert list(read["escape.region"]) == ["NA", "1"]


def test_arms_stand_below_each_other_in_their_order():
    frame = by_arm({"b": pd.DataFrame({"x": [1, 2]}), "a": pd.DataFrame({"x": [3]})})
    assert frame.to_dict("list") == {"arm": ["b", "b", "a"], "x": [1, 2, 3]}


def test_tables_are_known_without_torch():
    code = "import sys, sam_sde.jobs.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
