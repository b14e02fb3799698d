"""Folders and files: there and whole, or not at all."""

import pytest

from sam_sde.errors import InputError
from sam_sde.files import make_folder, write_text, write_whole


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"^--out: cannot write to .*file.out: Not a directory; choose another folder$"
    ):
        make_folder(tmp_path / "file" / "out")


def test_after_a_failure_the_old_file_is_there_and_no_half_of_the_new_one(tmp_path):
    path = tmp_path / "file.txt"
    write_text("old", path)

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(InputError, match=r"^cannot write .*file\.txt: disk full$"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*file\.txt: No such file or directory"):
        write_text("", tmp_path / "none" / "file.txt")
