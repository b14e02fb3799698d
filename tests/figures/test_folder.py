"""The figures of a folder: which are drawn, as what files, and what is said of a folder that is not whole."""

import subprocess
import sys

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sam_sde.errors import InputError
from sam_sde.figures.folder import DRAW, METADATA, draw_result, redraw
from sam_sde.jobs.tables import FIGURE_KINDS, TABLES
from tests.figures.samples import EIGHT, results, walks, write_escape


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arms", [["SGD", "SAM"], EIGHT], ids=["two arms", "eight arms"])
def test_every_figure_is_written_as_png_and_pdf(tmp_path, arms):
    write_escape(tmp_path, *results({arm: 0.5 + i for i, arm in enumerate(arms)}), walks(arms))
    others = set(tmp_path.iterdir())
    written = draw_result(tmp_path, "escape")
    names = [f"{name}.{kind}" for name in ("survival", "escape_times", "sample_paths") for kind in ("png", "pdf")]
    assert written == [tmp_path / name for name in names]
    assert set(tmp_path.iterdir()) == others | set(written)  # no temporary file is left
    for path in written:
        assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")


def test_every_figure_that_a_table_names_can_be_drawn():
    assert {table.figure for table in TABLES.values() if table.figure} == set(DRAW)
    assert set(METADATA) == set(FIGURE_KINDS)


def test_only_what_there_is_data_for_is_drawn(tmp_path):
    survival, summary, _ = results({"SGD": 0.5})
    write_escape(tmp_path, survival, summary)
    assert redraw(tmp_path) == ([tmp_path / "survival.png", tmp_path / "survival.pdf"], [])


def test_drawing_again_gives_the_same_bytes_and_changes_no_settings(tmp_path):
    survival, summary, _ = results({"SGD": 0.5}, n_paths=20)
    write_escape(tmp_path, survival, summary, sample_paths=walks(["SGD"], steps=5))
    settings = dict(matplotlib.rcParams)
    first = {path: path.read_bytes() for path in draw_result(tmp_path, "escape")}
    assert {path: path.read_bytes() for path in redraw(tmp_path)[0]} == first
    assert dict(matplotlib.rcParams) == settings


def test_an_interrupted_run_is_drawn_and_told(tmp_path):
    survival, summary, _ = results({"SGD": 0.5})
    write_escape(tmp_path, survival, summary, interrupted=True)
    written, (note,) = redraw(tmp_path)
    assert len(written) == 2
    assert note == f"{tmp_path / 'run.json'} is of a run that did not end: SAM: interrupted before it began"


def test_a_folder_without_results_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"holds no results; run `sam-sde escape CONFIG --out .*` first$"):
        redraw(tmp_path)


def test_tables_without_their_record_are_not_drawn(tmp_path):
    write_escape(tmp_path, *results({"SGD": 0.5}), walks(["SGD"]))
    (tmp_path / "run.json").unlink()
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"no whole result of `sam-sde escape`: no run\.json"):
        redraw(tmp_path)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "broken", ["survival.csv", "summary.csv", "paths.csv", "sample_paths.csv", "landscape.csv", "critical_points.csv"]
)
def test_a_broken_file_is_named_and_nothing_is_written(tmp_path, broken):
    write_escape(tmp_path, *results({"SGD": 0.5}), walks(["SGD"]))
    before = set(tmp_path.iterdir())
    frame = pd.read_csv(tmp_path / broken)
    first = frame.columns[0]
    frame.rename(columns={first: "name"}).to_csv(tmp_path / broken, index=False)
    with pytest.raises(InputError, match=rf"{broken} has no column {first}; got name"):
        redraw(tmp_path)
    (tmp_path / broken).write_text("")
    with pytest.raises(InputError, match=rf"^cannot read .*{broken}"):
        redraw(tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_an_arm_without_a_summary_is_named(tmp_path):
    survival, summary, _ = results({"SGD": 0.5, "SAM": 1.0})
    write_escape(tmp_path, survival, summary[:1])
    with pytest.raises(InputError, match=r"summary\.csv has no row for the arm 'SAM'"):
        redraw(tmp_path)


def test_a_figure_that_cannot_be_saved_leaves_no_file(tmp_path, monkeypatch):
    write_escape(tmp_path, *results({"SGD": 0.5}))
    before = set(tmp_path.iterdir())

    def fail(figure, path, **options):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(InputError, match=r"^cannot write .*survival\.png: disk full$"):
        redraw(tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_figures_are_drawn_without_torch():
    code = "import sys, sam_sde.figures.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
