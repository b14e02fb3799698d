"""The page as a file: whole, escaped, and in an order that a reader without eyes can follow."""

import json
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from sam_sde.errors import InputError
from sam_sde.report.folder import write_report
from tests.report.samples import CONFIG, Parsed, write_run

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><h1>x",
    "{{ 7 * 7 }} {% raw %}",
    "<b>bold</b> & 'quoted'",
    "%{x} %{customdata[0]}",
]


def page_of(folder, means, **options) -> Parsed:
    write_run(folder, means, **options)
    return Parsed(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return page_of(folder, {"SGD": 0.5, "SAM": 1.5}, checked=True, warnings=["SAM: look at `rmst`", "a < b"])


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    config = {**CONFIG, "surface": {"expression": "<script>alert(2)</script> x**2 </script>"}}
    return page_of(
        tmp_path_factory.mktemp("nasty"),
        {"SGD": 0.5} | dict.fromkeys(NASTY, 1.0),
        config=config,
        warnings=["<img src=x onerror=alert(3)>"],
        unfinished={"<i>USAM</i>": "<u>no</u>"},
    )


def test_the_verdict_comes_before_everything_but_the_heading(page):
    told = " ".join(page.text.split())
    told = told[told.index("Skip to the content") :]
    heading, verdict = "How long do SGD and SAM stay?", "SAM (ρ = 0.02) stays "
    assert told.index(heading) < told.index(verdict) < told.index("in the ball of radius 0.5 around (0, 1)")
    assert "95 % interval" in told[told.index(verdict) :][:100]


def test_all_that_is_needed_to_repeat_it_is_there(page):
    for words in ("sam-sde escape config.yaml", "n_paths: 200", "{name: beale}", "torch", "seed", "12.3 seconds"):
        assert words in page.text


def test_the_error_budget_has_both_errors_where_the_step_was_checked(page, nasty):
    assert "± 0.020" in page.text
    assert "--check-dt" not in page.text
    assert "--check-dt" in nasty.text


def test_the_bundle_stands_once_and_nothing_is_asked_for(page):
    assert len(page.scripts) == 3
    assert sum(script.count("plotly.js v") for script in page.scripts) == 1
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_links_lead_somewhere_and_names_are_unique(page):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    for link in page.all("a"):
        assert link["href"][1:] in names
    for _, attributes in page.elements:
        assert attributes.get("aria-labelledby", names[0]) in names


def test_headings_landmarks_and_tables_are_in_order(page):
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    for landmark in ("header", "nav", "main"):
        assert len(page.all(landmark)) == 1
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("caption")) == len(page.all("table")) >= 5
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert page.all("a")[0]["class"] == "skip"


def test_every_figure_says_what_it_shows(page):
    assert {figure["data-figure"] for figure in page.all("figure")} == {"survival", "surface"}
    assert all(figure["aria-label"].endswith(".") for figure in page.all("figure"))


def test_no_string_of_a_configuration_is_markup(nasty, page):
    assert len(nasty.scripts) == len(page.scripts)
    tags = {tag for tag, _ in nasty.elements}
    assert tags == {tag for tag, _ in page.elements}
    assert not tags & {"img", "b", "i", "u"}
    assert all(not name.startswith("on") for _, attributes in nasty.elements for name in attributes)
    for name in NASTY:
        assert name in nasty.text
    assert "49" not in nasty.text.split("{{ 7 * 7 }}")[0][-30:]
    figures = json.loads(nasty.scripts[0])["figures"]
    names = {trace["name"] for figure in figures.values() for trace in figure["data"] if trace.get("name")}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in names
    assert not any("<" in name for name in names)


def test_one_arm_has_a_page_without_a_comparison(tmp_path):
    page = page_of(tmp_path, {"SGD": 0.5})
    assert "How long does SGD stay?" in page.text
    assert "Compared with" not in page.text
    assert re.search(r"SGD stays 0\.\d+ on average", page.text)


def test_what_did_not_end_is_told(nasty):
    assert "<i>USAM</i> did not end: <u>no</u>." in nasty.text


def test_a_folder_without_results_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no whole result of `sam-sde escape`: no run\.json; run `sam-sde escape"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", ["summary", "survival", "comparison", "sample_paths", "landscape"])
def test_a_changed_table_is_named_and_nothing_is_written(tmp_path, table):
    write_run(tmp_path, {"SGD": 0.5, "SAM": 1.5})
    path = tmp_path / f"{table}.csv"
    first, rest = path.read_text().split("\n", 1)
    path.write_text(first.replace("arm", "name").replace("loss", "name") + "\n" + rest)
    with pytest.raises(InputError, match=rf"{table}\.csv has no column (arm|loss)"):
        write_report(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=rf"names {table}\.csv, which is not there"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_an_arm_without_a_summary_is_named(tmp_path):
    write_run(tmp_path, {"SGD": 0.5, "SAM": 1.5})
    path = tmp_path / "summary.csv"
    path.write_text("\n".join(path.read_text().split("\n")[:2]) + "\n")
    with pytest.raises(InputError, match=r"summary\.csv has no row for the arm 'SAM' of survival\.csv"):
        write_report(tmp_path)


def test_a_record_without_a_key_is_named(tmp_path):
    write_run(tmp_path, {"SGD": 0.5})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({key: each for key, each in json.loads(path.read_text()).items() if key != "seed"}))
    with pytest.raises(InputError, match=r"run\.json has no seed; run `sam-sde escape"):
        write_report(tmp_path)


def test_a_new_result_takes_the_page_of_the_earlier_one_away(tmp_path):
    write_run(tmp_path, {"SGD": 0.5})
    assert write_report(tmp_path).exists()
    write_run(tmp_path, {"SGD": 0.6})
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_is_named_with_what_installs_it(package):
    code = f"""
import sys
sys.modules[{package!r}] = None
from sam_sde.cli import app
app(["report", "."])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    words = f'error: a report needs {package}, which is not installed; try pip install "sam_sde[report]"'
    assert (done.returncode, done.stderr.strip()) == (2, words)
