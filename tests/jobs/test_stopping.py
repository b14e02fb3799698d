"""t_max and n_paths from a pilot: what was asked for is met, and what is found is unbiased."""

import math

import numpy as np
import pandas as pd
import pytest

import sam_sde as ss

# Escape times of Brownian motion from the middle of an interval of half width h: mean h²/(2D), variance 2/3 of its
# square, whose noise is D = lr σ²/(2B).
LR, HALF_WIDTH = 0.01, 0.06
MEAN = HALF_WIDTH**2 / LR
CONFIG = {
    "surface": {"expression": "0 * x", "dim": 1},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": LR},
    "arms": {"SGD": {"kind": "sgd"}},
    "escape": {"start": [0], "region": {"kind": "slab", "centre": [0], "direction": [1], "half_width": HALF_WIDTH}},
    "run": {"n_paths": 100_000, "dt": 0.04, "engine": "torchsde", "device": "cpu"},  # the bridge is exact at any step
}


def study(seeds, out=None, n_paths=100_000, relative_error=None, **escape):
    run = CONFIG["run"] | {"n_paths": n_paths} | ({"relative_error": relative_error} if relative_error else {})
    config = CONFIG | {"escape": CONFIG["escape"] | escape, "run": run, "sweep": {"run.seed": list(range(seeds))}}
    return ss.sweep(config, out, workers=1)


@pytest.fixture(scope="module")
def of_twenty_seeds():
    return study(20, t_max=10.0, relative_error=0.03)


def test_the_standard_error_is_the_one_that_was_asked_for(of_twenty_seeds):
    """To within what a pilot of 1,000 paths can tell: its standard deviation has an error of 3.4 %."""
    table = of_twenty_seeds
    relative = (table["rmst_high"] - table["rmst_low"]) / (2 * 1.96) / table["rmst"]
    needed = (math.sqrt(2 / 3) / 0.03) ** 2
    assert np.allclose(relative, 0.03, rtol=0.25)
    assert abs(relative.mean() - 0.03) < 0.03 * 0.05
    assert abs(table["n_paths"].mean() / needed - 1) < 4 * 2 * 0.034 / math.sqrt(len(table))


def test_what_is_found_is_unbiased(of_twenty_seeds):
    table = of_twenty_seeds
    assert abs(table["rmst"].mean() / MEAN - 1) < 4 * 0.03 / math.sqrt(len(table))
    assert table["rmst"].std() / MEAN == pytest.approx(0.03, rel=4 / math.sqrt(2 * len(table)))


def test_n_paths_is_the_most(tmp_path):
    table = study(1, tmp_path, n_paths=200, t_max=10.0, relative_error=0.01)
    assert list(table["n_paths"]) == [200]
    warnings = ss.load(tmp_path).record["warnings"]
    assert sum("more than run.relative_error; raise run.n_paths" in sentence for sentence in warnings) == 1


def test_shards_and_their_merge_choose_the_same(tmp_path):
    import yaml
    from typer.testing import CliRunner

    from sam_sde.cli import app

    config = CONFIG | {"escape": CONFIG["escape"] | {"t_max": 1.0, "most_censored": 0.3, "t_max_ceiling": 2.0}}
    config |= {"run": CONFIG["run"] | {"relative_error": 0.2}, "sweep": {"run.seed": [0, 1]}}
    whole = ss.sweep(config, workers=1)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    out = ["--out", str(tmp_path / "out")]
    for command in (["sweep", "--shard", "1/2"], ["sweep", "--shard", "2/2"], ["merge"]):
        last = [str(tmp_path / "out")] if command == ["merge"] else [str(tmp_path / "config.yaml"), *out]
        result = CliRunner().invoke(app, [*command, *last])
        assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(ss.load(tmp_path / "out").tables["summary"], whole, check_dtype=False)


def test_fresh_pilots_are_computed_again(tmp_path):
    config = CONFIG | {"escape": CONFIG["escape"] | {"t_max": 1.0}, "sweep": {"run.seed": [0]}}
    config["run"] = CONFIG["run"] | {"n_paths": 30, "relative_error": 0.9}
    for fresh in (False, False, True):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
        ss.sweep(config, tmp_path, workers=1, fresh=fresh)
        after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
        assert len(after) > 1
        assert all((after[path] > time) == fresh for path, time in before.items())


@pytest.mark.parametrize(("ceiling", "expected"), [(100.0, 2.0), (0.9, 0.9)])
def test_t_max_is_doubled_until_few_are_left_inside_or_to_the_ceiling(ceiling, expected, tmp_path):
    """4/π exp(-π² t/(8 MEAN)) are left inside."""
    table = study(1, tmp_path, n_paths=2000, t_max=0.25, most_censored=0.02, t_max_ceiling=ceiling)
    assert set(table["t_max"]) == {expected}
    left = 4 / math.pi * math.exp(-(math.pi**2) * expected / (8 * MEAN))
    assert np.allclose(1 - table["fraction_escaped"], left, atol=4 * math.sqrt(left / 2000))
    warnings = ss.load(tmp_path).record["warnings"]
    assert any("raise escape.t_max_ceiling" in sentence for sentence in warnings) == (ceiling == 0.9)


def test_an_escape_run_chooses_and_records_the_same(tmp_path):
    import json

    import yaml
    from typer.testing import CliRunner

    from sam_sde.cli import app

    config = CONFIG | {"run": CONFIG["run"] | {"relative_error": 0.05}}
    config["escape"] = CONFIG["escape"] | {"t_max": 0.25, "most_censored": 0.02, "t_max_ceiling": 100.0}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    result = CliRunner().invoke(app, ["escape", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    table = ss.sweep(config | {"sweep": {"run.seed": [0]}}, workers=1)
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert list(summary["n_paths"]) == list(table["n_paths"])
    np.testing.assert_allclose(summary["rmst"], table["rmst"], rtol=1e-6)
    chosen = json.loads((tmp_path / "out" / "run.json").read_text())["chosen"]
    assert {arm: (each["t_max"], each["n_paths"]) for arm, each in chosen.items()} == {
        row.arm: (row.t_max, row.n_paths) for row in table.itertuples()
    }


def test_a_condition_whose_pilot_fails_costs_the_others_nothing(tmp_path, monkeypatch):
    from sam_sde.escape import work

    integrate = work.integrate_block

    def block(run, *arguments):
        if run.problem.stream.seed == 1:
            raise RuntimeError("of mine")
        return integrate(run, *arguments)

    monkeypatch.setattr(work, "integrate_block", block)
    with pytest.raises(RuntimeError, match="of mine"):
        study(3, tmp_path, n_paths=200, t_max=10.0, relative_error=0.1)
    results = ss.load(tmp_path)
    assert list(results.tables["summary"]["run.seed"]) == list(results.tables["conditions"]["run.seed"]) == [0, 2]
    assert results.record["unfinished"] == {"run.seed = 1, SGD, pilot": "failed with RuntimeError: of mine"}
