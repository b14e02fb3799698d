"""A folder of results holds those of one run, whole, whatever happens while they are written."""

import errno
import itertools
import json
import os
import signal
import sys
import threading
import time

import pandas as pd
import pytest

from sam_sde.errors import InputError
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import Destination, read_record, settle, write_result

CONFIG = {"surface": {"name": "beale"}, "arms": {"SGD ρ": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.1}}}
ERRORS = pd.DataFrame([("SGD", 0.1, "loss", 1.0, 0.5, 2.0)])
ERRORS.columns = ["arm", "lr", "test_function", "error", "error_low", "error_high"]
ORDERS = pd.DataFrame([("SGD", "loss", 1.0, 0.5, 2.0)])
ORDERS.columns = ["arm", "test_function", "order", "order_low", "order_high"]
FRAMES = {"weak": ERRORS, "weak_order": ORDERS}


def record(folder, number=1, **options):
    return make_record("weak", CONFIG, folder, wall_time=number, **options)


def write(folder, frames=FRAMES, number=1):
    """The result number so-many: the record has it, and each table."""
    numbered = {name: frame.assign(arm=f"SGD {number}") for name, frame in frames.items()}
    return write_result(numbered.items(), record(folder, number), folder)


def numbers(folder):
    """The record's number, and those of its tables."""
    found = read_record(folder, "weak")
    return {found["wall_time"], *(int(pd.read_csv(folder / name)["arm"][0][4:]) for name in found["tables"])}


def test_the_tables_and_the_record_that_lists_them_are_written(tmp_path):
    files = write(tmp_path)
    assert [path.name for path in files] == ["weak.csv", "weak_order.csv", "weak.json"]
    assert {*tmp_path.iterdir()} == {*files}
    assert read_record(tmp_path, "weak")["tables"] == ["weak.csv", "weak_order.csv"]


def test_what_an_earlier_result_left_is_removed_and_what_others_left_is_not(tmp_path):
    write(tmp_path)
    for name in ("weak.png", "weak.pdf", "run.json", "summary.csv", "notes.txt"):
        (tmp_path / name).write_text("")
    write(tmp_path, {"weak": ERRORS})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"weak.csv", "weak.json", "run.json", "summary.csv", "notes.txt"}


def test_where_not_all_can_be_written_the_earlier_result_is_as_it_was(tmp_path):
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def frames():
        yield "weak", ERRORS.assign(error=7.0)
        raise error

    for error in (MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_result(frames(), record(tmp_path), tmp_path)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_on_a_full_disk_the_earlier_result_is_as_it_was_and_one_line_says_so(tmp_path, monkeypatch):
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place in ("pandas.DataFrame.to_csv", "pathlib.Path.write_text", "pathlib.Path.mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(InputError, match=f"No space left on device.* {tmp_path} held before is as it was$"):
                write(tmp_path, number=2)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def killed_at(event, function):
    """Calls the function in a process that is killed when it has made so many changes to files; whether it was."""
    child = os.fork()
    if child == 0:
        changes = itertools.count()

        def kill(name, arguments):
            writes = name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (writes or name in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")) and next(changes) == event:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        function()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_process_that_is_killed_at_any_time_leaves_one_whole_result(tmp_path):
    """Wherever it is cut off, the folder reads as the earlier result or as the later one; it may be cut off again."""
    seen = []
    for event in itertools.count():
        folder = tmp_path / str(event)
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        write(folder)
        (folder / "weak.png").write_text("of run 1")
        was_killed = killed_at(event, lambda: write(folder, {"weak": ERRORS}, number=2))  # noqa: B023
        if (folder / "weak.json").exists():  # whoever looks at once, without reading it with `read_record`
            number = json.loads((folder / "weak.json").read_text())["wall_time"]
            assert (folder / "weak.csv").read_text().count(f"SGD {number}") == 1
            assert (folder / "weak.png").exists() == (folder / "weak_order.csv").exists() == (number == 1)
        killed_at(event % 3, lambda: settle(folder))  # noqa: B023
        found = numbers(folder)
        assert found in ({1}, {2})
        seen += found
        assert (folder / "notes.txt").read_text() == "mine"
        assert (folder / "weak.png").exists() == (found == {1})
        write(folder, number=3)
        assert {path.name for path in folder.iterdir()} == {"weak.csv", "weak_order.csv", "weak.json", "notes.txt"}
        if not was_killed:
            break
    assert seen == sorted(seen)
    assert {1, 2} == set(seen)
    assert event > 12


def test_a_partial_result_takes_the_place_of_nothing(tmp_path):
    """It lies in the folder where nothing was, else in one inside, which a whole result removes."""
    partial = record(tmp_path, 1, unfinished={"SAM": "not ended yet"})
    first = Destination(tmp_path, "weak")
    first.write(FRAMES.items(), partial)
    assert first.written == tmp_path
    first.write(FRAMES.items(), record(tmp_path, 2))
    assert first.written == tmp_path
    assert read_record(tmp_path, "weak")["wall_time"] == 2
    assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize("earlier", [{}, {"SAM": "failed"}], ids=["whole", "partial"])
def test_an_earlier_result_stays_until_a_later_one_is_whole(earlier, tmp_path):
    Destination(tmp_path, "weak").write(FRAMES.items(), record(tmp_path, 1, unfinished=earlier))
    later = Destination(tmp_path, "weak")
    for _ in range(2):
        later.write(FRAMES.items(), record(tmp_path, 2, unfinished={"SAM": "not ended yet"}))
        assert later.written == tmp_path / "partial"
        assert (read_record(tmp_path, "weak")["wall_time"], read_record(later.written, "weak")["wall_time"]) == (1, 2)
    (later.written / "notes.txt").write_text("mine")
    later.write(FRAMES.items(), record(tmp_path, 3))
    assert later.written == tmp_path
    assert read_record(tmp_path, "weak")["wall_time"] == 3
    assert [path.name for path in (tmp_path / "partial").iterdir()] == ["notes.txt"]


def test_what_cannot_be_kept_on_the_way_is_a_warning(tmp_path, monkeypatch):
    destination = Destination(tmp_path, "weak")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    with pytest.warns(UserWarning, match="^not kept on the way: cannot write .*No space left on device"):
        destination.keep(FRAMES.items(), record(tmp_path, unfinished={"SAM": "not ended yet"}))
    assert destination.told == "nothing was written"


def test_an_interrupt_waits_until_the_tables_are_written(tmp_path):
    destination = Destination(tmp_path, "weak")

    def frames():
        yield "weak", ERRORS
        os.kill(os.getpid(), signal.SIGINT)
        yield "weak_order", ORDERS

    with pytest.raises(KeyboardInterrupt):
        destination.write(frames(), record(tmp_path))
    assert read_record(tmp_path, "weak")["tables"] == ["weak.csv", "weak_order.csv"]
    assert destination.told == f"what had ended is in {tmp_path}, and `sam-sde plot {tmp_path}` draws it"


def test_one_process_at_a_time_writes_into_a_folder(tmp_path):
    """The later one waits until the record of the earlier one is there."""
    reader, writer = os.pipe()

    def slowly():
        def frames():
            yield "weak", ERRORS
            os.write(writer, b"!")
            time.sleep(0.3)

        done.append(write_result(frames(), record(tmp_path, 2), tmp_path))

    done = []
    thread = threading.Thread(target=slowly)
    thread.start()
    os.read(reader, 1)
    write(tmp_path, number=3)
    thread.join()
    assert done
    assert numbers(tmp_path) == {3}


def test_a_file_whose_place_is_taken_by_a_folder_is_named(tmp_path):
    (tmp_path / "weak.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write into .*weak\.csv.*; remove what is in the way$"):
        write(tmp_path)
    (tmp_path / "weak.csv").rmdir()
    assert numbers(tmp_path) == {1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("{}", "KeyError: 'tables'"),
        ("[]", "TypeError"),
        ('{"config_hash": "", "config": [], "tables": []}', "TypeError"),
        ('{"config_hash": "", "config": {"arms": []}, "tables": []}', "AttributeError"),
    ],
)
def test_a_file_that_is_no_record_is_named(content, reason, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=rf"run\.json is no record of a result \({reason}.*; run `sam-sde escape"):
        read_record(tmp_path)


def test_a_record_that_does_not_fit_says_what_does_not(tmp_path):
    write(tmp_path)
    (tmp_path / "weak_order.csv").unlink()
    with pytest.raises(InputError, match=r"weak\.json names weak_order\.csv, which is not there"):
        read_record(tmp_path, "weak")
    path = tmp_path / "weak.json"
    path.write_text(path.read_text().replace("beale", "himmelblau"))
    with pytest.raises(InputError, match="config_hash is not that of the configuration"):
        read_record(tmp_path, "weak")
