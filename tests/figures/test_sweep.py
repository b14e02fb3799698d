"""Figures of a sweep: which there are, and what stands beside their axes and colours."""

import math

import pandas as pd
import pytest

from sam_sde.figures.sweep import draw_sweep

X, Y, LINKED = "optimizer.batch_size", "arms.SAM.rho", "optimizer.lr"


def drawn(keys, ratio=1.2):
    """The figure of a sweep over these keys, of which LINKED goes with X."""
    rows = [{X: x, Y: y, LINKED: 1 / x, "mean": ratio if x > 8 else 1.0} for x in (8, 16) for y in (0.1, 0.2)]
    counts = {"n_censored": 0, "fraction_escaped": 1.0}
    summary = [
        {key: row[key] for key in keys} | {"arm": arm, "rmst": mean, "rmst_low": mean, "rmst_high": mean} | counts
        for row in (rows if Y in keys else rows[::2])
        for arm, mean in {"SGD": 1.0, "SAM": row["mean"]}.items()
    ]
    comparison = [{key: row[key] for key in keys} | {"arm": "SAM", "reference": "SGD"} for row in rows]
    means = [row["mean"] for row in rows]
    ratios = pd.DataFrame(comparison).assign(rmst_ratio=means, ratio_low=means, ratio_high=means)
    return draw_sweep(pd.DataFrame(summary), ratios, keys)


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ([X], [X, "mean escape time, t = lr · steps"]),
        ([X, LINKED], [f"{X}\nwith {LINKED}", "mean escape time, t = lr · steps"]),
        ([X, Y], [X, Y]),
        ([X, LINKED, Y], [f"{X}\nwith {LINKED}", Y]),
    ],
)
def test_axes_are_named_after_the_keys_and_those_that_go_with_them(keys, labels):
    axes = drawn(keys).axes[0]
    assert [axes.get_xlabel(), axes.get_ylabel()] == labels


@pytest.mark.parametrize("ratio", [1.02, 1.1, 1.3, 4, 1e3])
def test_colours_have_the_ratios_that_they_stand_for(ratio):
    figure = drawn([X, Y], ratio)
    figure.canvas.draw()
    bar = figure.axes[-1].yaxis
    labels = [float(tick.label1.get_text()) for tick in bar.get_major_ticks()]

    assert labels == pytest.approx([math.exp(place) for place in bar.get_majorticklocs()], rel=0.005)
    assert len(set(labels)) == len(labels)
