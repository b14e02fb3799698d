"""The page of a sweep: its question, which tables and figures it has, and how much of them."""

import json

import pytest

from sam_sde.report.sweep_page import MOST_ROWS, MOST_UNFINISHED, MOST_WARNINGS, sweep_page
from tests.report.samples import sweep_tables, write_sweep

RHO, BATCH, DT = "arms.SAM.rho", "optimizer.batch_size", "run.dt"


def page_of(folder, grid, **options):
    write_sweep(folder, grid, **options)
    return sweep_page(folder)


def test_the_question_says_which_keys_take_which_values(tmp_path):
    page = page_of(tmp_path, {RHO: [0.5, 2.0], BATCH: [4, 1, 2, 8, 16, 32]})
    asked, grid, how, followed = page.question
    assert page.heading == "How long do SGD and SAM stay, under 12 conditions?"
    assert asked.startswith("How long do SGD and SAM (ρ = 0.5 or 2) stay in the ball of radius 0.5 around (0, 1)")
    assert grid == f"It is asked under 12 conditions, by `{RHO}` (0.5 and 2) and `{BATCH}` (1 to 32)."
    assert how.endswith("the learning rate is 0.001 and the batch size 1 to 32.")
    assert followed.startswith(
        "100 paths of each arm were followed to t_max = 100, paths of the optimizer's stochastic"
    )


def test_a_key_that_only_follows_another_one_is_told_as_such(tmp_path):
    grid = {RHO: [0.5, 2.0]}
    frames = {
        name: frame.assign(follower=frame[RHO]).rename(columns={"follower": DT})
        for name, frame in sweep_tables(grid).items()
    }
    for name, frame in frames.items():
        frames[name] = frame[[RHO, DT, *frame.columns.drop([RHO, DT])]]
    page = page_of(tmp_path, grid, frames=frames, keys=[RHO, DT])
    assert page.question[1] == f"It is asked under 2 conditions, by `{RHO}` (0.5 and 2); `{DT}` changes with them."
    assert page.parts[0].name == "times"


def test_an_arm_that_some_conditions_have_not_is_told_by_its_name(tmp_path):
    write_sweep(tmp_path, {RHO: [0.5, 2.0]})
    record = json.loads((tmp_path / "sweep.json").read_text())
    record["in_common"]["arms"]["SAM"] = {"varies": [{"kind": "sam", "rho": 0.5}, None]}
    (tmp_path / "sweep.json").write_text(json.dumps(record))
    assert sweep_page(tmp_path).question[0].startswith("How long do SGD and SAM stay in the ball")


@pytest.mark.parametrize(
    ("keys", "parts"),
    [([RHO], ["times", "ratios"]), ([RHO, BATCH], ["ratio-0", "times"]), ([RHO, BATCH, DT], ["ratios", "times"])],
)
def test_figures_come_first_and_every_table_has_its_keys(tmp_path, keys, parts):
    page = page_of(tmp_path, {key: [1, 2] for key in keys})
    assert [part.name for part in page.parts] == parts
    assert [part.drawing is not None for part in page.parts] == [len(keys) < 3, False]
    for part in page.parts:
        (table,) = part.tables
        assert table.columns[: len(keys) + 1] == (*(key.partition(".")[2] for key in keys), "arm")
        assert len(table.rows) == 2 ** len(keys) * (2 if part.name == "times" else 1)


def test_no_more_is_shown_than_can_be_read_and_the_rest_is_named(tmp_path):
    unfinished = {f"rho = {i}, SAM": "interrupted" for i in range(MOST_UNFINISHED + 2)}
    warnings = [f"warning {i}" for i in range(MOST_WARNINGS + 3)]
    page = page_of(tmp_path, {RHO: [1.0 + i for i in range(MOST_ROWS + 1)]}, unfinished=unfinished, warnings=warnings)
    times, ratios, missing = page.parts
    assert [len(part.tables[0].rows) for part in page.parts] == [MOST_ROWS, MOST_ROWS, MOST_UNFINISHED]
    assert times.sentences == [f"The table has the first {MOST_ROWS} rows; {MOST_ROWS + 2} more are in `summary.csv`."]
    assert ratios.sentences[0] == f"The table has the first {MOST_ROWS} rows; 1 more are in `comparison.csv`."
    assert missing.sentences == ["2 more are in `sweep.json`, under `unfinished`."]
    assert (len(page.warnings), page.warnings_elsewhere) == (MOST_WARNINGS, 3)
    assert page.verdicts[-1] == f"{MOST_UNFINISHED + 2} results are missing, listed under “What did not end”."


def test_one_arm_is_compared_with_none(tmp_path):
    frames = sweep_tables({RHO: [1.0, 2.0]})
    summary = frames["summary"].query("arm == 'SAM'")
    page = page_of(tmp_path, {RHO: [1.0, 2.0]}, frames={"conditions": frames["conditions"], "summary": summary})
    assert [part.name for part in page.parts] == ["times"]
    assert page.verdicts[0] == "The largest time is at SAM.rho = 2: SAM stays 2.0 on average, 95 % interval 1.8–2.2."
