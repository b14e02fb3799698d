"""The page as a file: whole, escaped, and in an order that a reader without eyes can follow."""

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise

import pytest

from sam_sde.errors import InputError
from sam_sde.report.folder import write_report
from tests.report.samples import CONFIG, Parsed, sweep_tables, write_run, write_sweep

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


def sweep_page_of(folder, grid, **options) -> Parsed:
    write_sweep(folder, grid, **options)
    return Parsed(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def escape(tmp_path_factory):
    warnings = ["SAM: look at `rmst`", "a < b"]
    return page_of(tmp_path_factory.mktemp("run"), {"SGD": 0.5, "SAM": 1.5}, checked=True, warnings=warnings)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    grid = {"arms.SAM.rho": [0.5, 1.0, 200.0], "optimizer.batch_size": [2, 4]}
    warnings = ["rho = 0.5: SAM: look at `rmst`"]
    return sweep_page_of(tmp_path_factory.mktemp("sweep"), grid, warnings=warnings, unfinished={"rho = 1, SAM": "no"})


NASTY_SURFACE = {"surface": {"expression": "<script>alert(2)</script> x**2 </script>"}}


@pytest.fixture(scope="module")
def nasty_escape(tmp_path_factory):
    return page_of(
        tmp_path_factory.mktemp("nasty"),
        {"SGD": 0.5} | dict.fromkeys(NASTY, 1.0),
        config=CONFIG | NASTY_SURFACE,
        warnings=["<img src=x onerror=alert(3)>"],
        unfinished={"<i>USAM</i>": "<u>no</u>"},
    )


@pytest.fixture(scope="module")
def nasty_sweep(tmp_path_factory):
    return sweep_page_of(
        tmp_path_factory.mktemp("nasty_sweep"),
        {"surface.expression": [*NASTY, "`code`"], 'arms."<b>SAM</b>".rho': [1.0, 2.0]},
        config=NASTY_SURFACE
        | {"arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam"}, "<b>SAM</b>": {"kind": "sam"}}},
        warnings=["<img src=x onerror=alert(3)>"],
        unfinished={"<i>USAM</i>": "<u>no</u>"},
    )


@pytest.fixture(scope="module", params=["escape", "sweep"])
def page(request):
    """Of either command."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["escape", "sweep"])
def pages(request):
    """Of either command: one page, and one in which every string is written to break it."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"nasty_{request.param}")


def test_the_verdict_comes_before_everything_but_the_heading(page):
    told = " ".join(page.text.split())
    told = told[told.index("Skip to the content") :]
    heading, verdict = "How long do SGD and SAM stay", "stays"
    assert told.index(heading) < told.index(verdict) < told.index("in the ball of radius 0.5 around (0, 1)")
    assert "95 % interval" in told[told.index(verdict) :][:300]


def test_all_that_is_needed_to_repeat_it_is_there(page):
    for words in (
        "config.yaml",
        "n_paths: 200",
        "{name: beale}",
        "torch",
        "seed",
        "12.3 seconds",
        shlex.join(sys.argv),
    ):
        assert words in page.text
    assert ("sam-sde sweep config.yaml" in page.text) == ("under 6 conditions" in page.text)
    assert ("sam-sde escape config.yaml" in page.text) == ("under 6 conditions" not in page.text)


def test_the_error_budget_has_both_errors_where_the_step_was_checked(escape, nasty_escape):
    assert "± 0.020" in escape.text
    assert "--check-dt" not in escape.text
    assert "--check-dt" in nasty_escape.text


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
    assert len(page.all("caption")) == len(page.all("table")) >= 4
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert page.all("a")[0]["class"] == "skip"


def test_every_figure_says_what_it_shows(escape, sweep):
    assert {figure["data-figure"] for figure in escape.all("figure")} == {"survival", "surface"}
    assert {figure["data-figure"] for figure in sweep.all("figure")} == {"ratio-0"}
    assert all(figure["aria-label"].endswith(".") for page in (escape, sweep) for figure in page.all("figure"))


def test_no_string_of_a_configuration_is_markup(pages):
    page, nasty = pages
    assert len(nasty.scripts) == len(page.scripts)
    tags = {tag for tag, _ in nasty.elements}
    assert tags <= {tag for tag, _ in page.elements}
    assert not tags & {"img", "b", "i", "u"}
    assert all(not name.startswith("on") for _, attributes in nasty.elements for name in attributes)
    for name in NASTY:
        assert name in nasty.text
    assert "49" not in nasty.text.split("{{ 7 * 7 }}")[0][-30:]


def test_names_in_figures_are_text_for_plotly_too(nasty_escape, nasty_sweep):
    figures = json.loads(nasty_escape.scripts[0])["figures"]
    names = {trace["name"] for figure in figures.values() for trace in figure["data"] if trace.get("name")}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in names
    assert not any("<" in name for name in names)
    ratios = json.loads(nasty_sweep.scripts[0])["figures"]["ratio-0"]["layout"]
    assert ratios["yaxis"]["title"]["text"] == 'arms."&lt;b&gt;SAM&lt;/b&gt;".rho'
    assert not any("<" in label for axis in ("xaxis", "yaxis") for label in ratios[axis]["ticktext"])


def test_one_arm_has_a_page_without_a_comparison(tmp_path):
    page = page_of(tmp_path, {"SGD": 0.5})
    assert "How long does SGD stay?" in page.text
    assert "Compared with" not in page.text
    assert re.search(r"SGD stays 0\.\d+ on average", page.text)


def test_what_did_not_end_is_told(nasty_escape, nasty_sweep):
    assert "<i>USAM</i> did not end: <u>no</u>." in nasty_escape.text
    assert "1 result is missing, listed under “What did not end”." in nasty_sweep.text
    assert re.search(r"<i>USAM</i>\s*<u>no</u>", nasty_sweep.text)


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


@pytest.mark.parametrize("key", ["command_line", "in_common", "engines", "warnings"])
def test_a_record_of_a_sweep_without_a_key_is_named(tmp_path, key):
    write_sweep(tmp_path, {"run.dt": [1.0, 2.0]})
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({name: each for name, each in json.loads(path.read_text()).items() if name != key}))
    with pytest.raises(InputError, match=rf"sweep\.json has no {key}; run `sam-sde sweep"):
        write_report(tmp_path)


def test_an_arm_of_a_condition_without_a_summary_is_named(tmp_path):
    frames = sweep_tables({"run.dt": [1.0, 2.0]})
    write_sweep(tmp_path, {"run.dt": [1.0, 2.0]}, frames=frames | {"summary": frames["summary"][:-1]})
    with pytest.raises(InputError, match=r"summary\.csv has no row for the arm 'SAM' of a row of comparison\.csv"):
        write_report(tmp_path)


def test_a_sweep_of_which_nothing_has_ended_says_what_to_do(tmp_path):
    conditions = {"conditions": sweep_tables({"run.dt": [1.0, 2.0]})["conditions"]}
    write_sweep(tmp_path, {"run.dt": [1.0, 2.0]}, frames=conditions, unfinished={"run.dt = 1.0, SGD": "interrupted"})
    with pytest.raises(InputError, match=r"no condition of the sweep in .* has ended; run `sam-sde sweep"):
        write_report(tmp_path)


def test_a_new_result_takes_the_page_of_the_earlier_one_away(tmp_path):
    write_run(tmp_path, {"SGD": 0.5})
    assert write_report(tmp_path).exists()
    write_run(tmp_path, {"SGD": 0.6})
    assert not (tmp_path / "report.html").exists()


def test_a_new_sweep_takes_the_page_of_the_earlier_one_away(tmp_path):
    write_sweep(tmp_path, {"run.dt": [1.0, 2.0]})
    assert write_report(tmp_path).exists()
    write_sweep(tmp_path, {"run.dt": [1.0]})
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
