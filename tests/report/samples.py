"""Results that were never run, and a page read back."""

import copy
import math
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pandas as pd

from sam_sde.config.loading import set_value
from sam_sde.jobs.common import in_common
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import write_result
from sam_sde.jobs.tables import TABLES
from sam_sde.regions import Ball
from sam_sde.surfaces import beale
from tests.figures.samples import results, walks


def sweep_tables(grid: dict[str, list], t_max: float = 100.0) -> dict[str, pd.DataFrame]:
    """The tables of a sweep of SGD, whose mean is 1, and SAM, whose mean is the product of the numbers swept.

    Where that is above t_max hardly any path escapes.
    """
    conditions, summary, comparison = [], [], []
    for values in product(*grid.values()):
        at = dict(zip(grid, values, strict=True))
        conditions.append(at | {"condition": f"id{len(conditions)}"})
        ratio = 1.0
        for value in values:
            ratio *= value if isinstance(value, int | float) else 1.0
        few = ratio > t_max
        for arm, mean in {"SGD": 1.0, "SAM": min(ratio, t_max)}.items():
            left = 1 if few and arm == "SAM" else 100
            counts = {"n_paths": 100, "n_escaped": left, "n_censored": 100 - left, "fraction_escaped": left / 100}
            counts |= {"n_failed": 0, "t_max": t_max}
            times = {"rmst": mean, "rmst_low": 0.9 * mean, "rmst_high": 1.1 * mean}
            summary.append(at | {"arm": arm} | counts | times)
        mean = min(ratio, t_max)
        ratios = {"rmst_ratio": mean, "ratio_low": 0.9 * mean, "ratio_high": 1.1 * mean}
        comparison.append(at | {"arm": "SAM", "reference": "SGD", "p_adjusted": 1e-20, "curves_cross": False} | ratios)
    frames = {"conditions": conditions, "summary": summary, "comparison": comparison}
    return {name: pd.DataFrame(rows) for name, rows in frames.items()}


CONFIG = {
    "surface": {"name": "beale"},
    "noise": {"kind": "hessian", "at": [0.0, 1.0]},
    "optimizer": {"lr": 0.001, "batch_size": 32, "momentum": 0.0},
    "escape": {"start": [0.0, 1.0], "region": {"kind": "ball", "centre": [0.0, 1.0], "radius": 0.5}, "t_max": 4.0},
    "run": {"n_paths": 200, "seed": 7, "common_noise": False, "accuracy": None},
}


def comparison_of(summary: pd.DataFrame) -> pd.DataFrame:
    """Every arm beside the first, with intervals of a tenth."""
    (_, reference), *others = summary.iterrows()
    rows = []
    for _, arm in others:
        ratio = arm["rmst"] / reference["rmst"]
        known = {"arm": arm["arm"], "reference": reference["arm"], "rmst_ratio": ratio, "curves_cross": False}
        known |= {"ratio_low": 0.9 * ratio, "ratio_high": 1.1 * ratio, "p_adjusted": 1e-20}
        rows.append(dict.fromkeys(TABLES["comparison"].columns, math.nan) | known)
    return pd.DataFrame(rows)


def write_run(folder: Path, means: dict[str, float], *, config=(), checked=False, unfinished=(), warnings=()) -> None:
    """A folder as `sam-sde escape` leaves it, of arms with exponential times of these means, on the Beale function."""
    survival, summary, _ = results(means)
    if checked:
        summary = summary.assign(dt_change=-0.02, dt_change_low=-0.03, dt_change_high=-0.01)
    frames = {"summary": summary, "survival": survival}
    if len(means) > 1:
        frames["comparison"] = comparison_of(summary)
    frames["sample_paths"] = walks(means)
    frames |= dict(landscape_tables(frames["sample_paths"], beale(), Ball([0, 1], 0.5)))
    arms = {arm: {"kind": "sgd"} if arm == "SGD" else {"kind": "sam", "rho": 0.02} for arm in means}
    record = make_record(
        "escape", CONFIG | {"arms": arms} | dict(config), folder, wall_time=12.3, unfinished=dict(unfinished)
    )
    record |= {"seed": 7, "engine": "torchsde", "engines": dict.fromkeys(means, "torchsde"), "device": "cpu"}
    record |= {"workers": 1, "block_size": 200, "dt": dict.fromkeys(means, 0.001), "accuracy": {}}
    record |= {"path_steps": 10**6, "warnings": list(warnings)}
    write_result(frames.items(), record, folder)


def write_sweep(
    folder: Path, grid: dict[str, list], *, frames=None, keys=None, config=(), unfinished=(), warnings=()
) -> None:
    """A folder as `sam-sde sweep` leaves it, of the tables of `sweep_tables` or others; keys: their columns."""
    frames = {f"sweep_{name}": frame for name, frame in (frames or sweep_tables(grid)).items()}
    full = {name: frame.reindex(columns=[*(keys or grid), *TABLES[name].columns]) for name, frame in frames.items()}
    document = CONFIG | {"arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.02}}} | dict(config)
    rows = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    configs = []
    for row in rows:
        configs.append(copy.copy(document))
        for key, value in row.items():
            set_value(configs[-1], key, value, key)
    record = make_record("sweep", document | {"sweep": grid}, folder, wall_time=12.3, unfinished=dict(unfinished))
    record |= {"keys": list(grid), "in_common": in_common(configs), "engines": ["torchsde"], "conditions": len(rows)}
    record |= {"blocks_computed": 3, "warnings": list(warnings)}
    write_result(full.items(), record, folder)


class Parsed(HTMLParser):
    """A page read by the standard parser: its elements in order, and all text outside of scripts and styles."""

    VOID = ("meta", "link", "br", "line", "img")

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.inside: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.inside.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag, tag

    def handle_data(self, data):
        if "script" in self.inside:
            self.scripts[-1] += data
        elif "style" not in self.inside:
            self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]
