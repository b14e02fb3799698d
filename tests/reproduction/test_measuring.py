"""What a statement has measured when it is ended in any way is not measured again, whoever shares the work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from sam_sde.escape import work
from sam_sde.reproduction import kept
from sam_sde.reproduction.measuring import Bench, times_of
from sam_sde.reproduction.run import Reproduction
from sam_sde.reproduction.saddle import place, saddle
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import Judgement, Row, Statement

THIN = Size("thin")
BLOCKS = 8  # of two arms with two models and two blocks each


def measure(bench):
    options = {**place(), "t_max": 0.4, "n_paths": 70, "block_size": 40}
    rows = []
    for discrete in (False, True):
        for rho in (0.0, 0.02):
            found = bench.followed(saddle(rho), arm=f"SAM {rho}", discrete=discrete, **options)
            rows.append({"rho": rho, **times_of(found), "last": found.exit_points[-1, 0]})
    return {"times": pd.DataFrame(rows), "table": bench.once("table", counted)}


TABLES = []


def counted():
    TABLES.append(1)
    return pd.DataFrame({"third": [1 / 3]})


STATEMENT = Statement(
    "followed", "a paper", "a claim", "a run", "a rule", measure, lambda tables: Judgement([Row("", "", 1.0, True)], "")
)


@pytest.fixture
def computed(monkeypatch):
    """The blocks that are computed; from `ends_at` on they raise `error`."""

    class Computed(list):
        ends_at, error = None, None

    blocks, integrate = Computed(), work.integrate_block

    def integrated(run, first, *arguments):
        if len(blocks) == blocks.ends_at:
            raise blocks.error
        blocks.append((run.problem.stream.arm, run.engine, first))
        return integrate(run, first, *arguments)

    monkeypatch.setattr(work, "integrate_block", integrated)
    TABLES.clear()
    return blocks


def run(out, executor=None):
    reproduction = Reproduction([STATEMENT], THIN, out, executor=executor)
    reproduction.execute(lambda line: None)
    return reproduction


def tables_in(out):
    return {name: (out / "followed" / f"{name}.csv").read_bytes() for name in ("times", "table")}


@pytest.mark.parametrize("error", [RuntimeError("of the test"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("ends_at", [1, 5])
def test_what_has_ended_is_not_computed_again(computed, tmp_path, error, ends_at):
    computed.ends_at, computed.error = ends_at, error
    assert not run(tmp_path / "broken").judged
    computed.ends_at = None
    assert run(tmp_path / "broken").judged
    assert len(computed) == len(set(computed)) == BLOCKS
    run(tmp_path / "whole")
    assert tables_in(tmp_path / "broken") == tables_in(tmp_path / "whole")


def test_tables_computed_as_a_whole_are_kept_and_read_to_the_last_digit(tmp_path):
    TABLES.clear()
    for _ in range(2):
        table = Bench(THIN, tmp_path, "key").once("table", counted)
        assert table["third"].item() == 1 / 3
    Bench(THIN, tmp_path, "another key").once("table", counted)
    assert len(TABLES) == 2


def test_what_was_kept_on_the_way_is_removed_in_the_end(tmp_path):
    run(tmp_path)
    assert {path.name for path in (tmp_path / "followed").iterdir()} == {"times.csv", "table.csv", "tables.json"}


def test_an_executor_computes_the_same_tables(computed, tmp_path):
    run(tmp_path / "alone")
    with ThreadPoolExecutor(2) as executor:
        run(tmp_path / "shared", executor)
    assert tables_in(tmp_path / "alone") == tables_in(tmp_path / "shared")


def test_two_arms_of_one_name_are_an_error(tmp_path):
    bench = Bench(THIN, tmp_path)
    options = {**place(), "t_max": 0.02, "n_paths": 2, "discrete": True}
    bench.followed(saddle(0.0), arm="SGD", **options)
    with pytest.raises(ValueError, match="two of the name 'SGD, algorithm'"):
        bench.followed(saddle(0.0), arm="SGD", **options)


def test_an_edit_during_a_run_changes_no_key(tmp_path, monkeypatch):
    kept.read_code([STATEMENT])
    monkeypatch.setattr(Path, "read_text", lambda *arguments, **options: "edited")
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"edited")
    key = kept.Kept(tmp_path, STATEMENT, THIN).key
    monkeypatch.undo()
    assert kept.Kept(tmp_path, STATEMENT, THIN).key == key
