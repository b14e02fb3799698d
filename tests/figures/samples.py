"""Small results to draw, and what can be read off a figure."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sam_sde.jobs.landscape import landscape_tables
from sam_sde.jobs.record import make_record
from sam_sde.jobs.results import write_result
from sam_sde.jobs.tables import by_arm
from sam_sde.regions import Ball
from sam_sde.statistics import Outcome, Sample, outcome_words, summary_table, survival_curve
from sam_sde.surfaces import beale

EIGHT = ["SGD", "SAM", "USAM", "DNSAM", "SAM ρ=0.1", "costs $5 or $6", "_hidden", "NA"]
CONFIG = {"arms": {"SGD": {"kind": "sgd"}}}


def results(means, *, n_paths=200, t_max=4.0, failed=0.0, seed=0):
    """Survival, summary and paths of arms with exponential times of these means (infinite: no escape)."""
    generator = np.random.default_rng(seed)
    samples = {}
    for arm, mean in means.items():
        times = 0.1 + generator.exponential(mean, n_paths) if np.isfinite(mean) else np.full(n_paths, np.inf)
        outcome = np.where(times <= t_max, Outcome.ESCAPED, Outcome.CENSORED)
        outcome[generator.random(n_paths) < failed] = Outcome.FAILED
        samples[arm] = Sample(np.minimum(times, t_max), outcome, t_max, lr=0.01)
    curves = {arm: survival_curve(sample) for arm, sample in samples.items()}
    paths = [
        pd.DataFrame({"arm": arm, "outcome": outcome_words(sample.outcome), "time": sample.times})
        for arm, sample in samples.items()
    ]
    return (
        by_arm(curves),
        summary_table(samples).assign(dt_change=math.nan, dt_change_low=math.nan, dt_change_high=math.nan),
        pd.concat(paths, ignore_index=True),
    )


def walks(arms, start=(0.0, 1.0), *, paths=2, steps=50, size=0.02):
    generator = np.random.default_rng(1)
    frames = []
    for arm in arms:
        for path in range(paths):
            states = np.cumsum(np.vstack([start, generator.normal(0, size, (steps, 2))]), axis=0)
            columns = {"arm": arm, "path": path, "time": 0.01 * np.arange(steps + 1)}
            frames.append(pd.DataFrame(columns | {"x0": states[:, 0], "x1": states[:, 1]}))
    return pd.concat(frames, ignore_index=True)


def write_escape(folder, survival, summary, paths=None, sample_paths=None, *, interrupted=False):
    """A folder as `sam-sde escape` leaves it, on the Beale function, without figures."""
    frames = {"summary": summary, "survival": survival}
    if paths is not None:
        paths = paths.assign(path=0, steps=paths["time"] / 0.01, x0=0.0)
        frames["paths"] = paths[["arm", "path", "outcome", "time", "steps", "x0"]]
    if sample_paths is not None:
        frames["sample_paths"] = sample_paths
        frames |= dict(landscape_tables(sample_paths, beale(), Ball([0, 1], 0.5)))
    unfinished = {"SAM": "interrupted before it began"} if interrupted else {}
    record = make_record("escape", CONFIG, folder, wall_time=1.0, interrupted=interrupted, unfinished=unfinished)
    write_result(frames.items(), record, folder)


def legend_of(figure: Figure) -> dict[str, str]:
    """The colour beside each label."""
    (legend,) = figure.legends
    colors = [to_hex(line.get_color()).upper() for line in legend.get_lines()]
    return dict(zip([text.get_text() for text in legend.get_texts()], colors, strict=True))
