"""The phase portrait: panels, marks and the tints of the basins."""

import numpy as np
import pandas as pd
import pytest

from sam_sde.errors import InputError
from sam_sde.figures.portrait import draw_portrait

SIDE = np.linspace(-1, 1, 9)
X, Y = (each.ravel() for each in np.meshgrid(SIDE, SIDE))
POINTS = pd.DataFrame({"point": [0, 1], "kind": ["saddle", "minimum"], "x0": [0.0, 1.0], "x1": [0.0, 0.5]})
STALLS = pd.DataFrame({"arm": ["SAM"], "x0": [0.0], "x1": [0.5]})


def frames(arms, ends=("minimum", "saddle", "lost")):
    fields, starts = [], []
    for arm in arms:
        fields.append(pd.DataFrame({"arm": arm, "x0": X, "x1": Y, "loss": X, "velocity0": -X, "velocity1": Y}))
        kinds = np.resize(ends, len(X))
        numbers = np.where(kinds == "minimum", 1, np.where(kinds == "saddle", 0, np.nan))
        starts.append(pd.DataFrame({"arm": arm, "kind": kinds, "point": numbers, "x0": X, "x1": Y}))
    return pd.concat(fields), pd.concat(starts)


def labels(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arms", [["SGD"], ["SGD", "SAM"], ["SGD", "SAM", "USAM $"]])
def test_there_is_a_panel_for_each_arm_and_a_legend_of_what_is_shown(arms, tmp_path):
    figure = draw_portrait(*frames(arms), POINTS, STALLS)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == [arm.replace("$", r"\$") for arm in arms]
    assert labels(figure) == ["minimum", "saddle", "stall", "w0 at rest", "w1 at rest", "trapped", "lost"]
    figure.savefig(tmp_path / "portrait.png", dpi=30)


def test_minima_have_a_tint_each_and_what_traps_has_that_of_sam():
    field, starts = frames(["SGD"])
    shades = {}
    for number in (1, 2):
        mesh = draw_portrait(field, starts.replace({"point": {1: number}}), POINTS, STALLS).axes[0].collections[0]
        shades[number] = [tuple(mesh.cmap(mesh.norm(value))) for value in mesh.get_array().ravel()[:3]]
    assert shades[1][0] != shades[2][0]
    assert shades[1][1:] == shades[2][1:]
    assert len(set(shades[1])) == 3


def test_a_field_that_is_no_number_somewhere_can_be_drawn(tmp_path):
    field, starts = frames(["SGD"], ends=("moving",))
    field.loc[:3, ["velocity0", "velocity1"]] = np.nan
    figure = draw_portrait(field, starts, POINTS[:0], STALLS[:0])
    assert labels(figure) == ["w0 at rest", "w1 at rest", "still moving"]
    figure.savefig(tmp_path / "portrait.png", dpi=30)


def test_what_is_no_grid_is_refused():
    field, starts = frames(["SGD"])
    with pytest.raises(InputError, match="no grid"):
        draw_portrait(field[:-1], starts, POINTS, STALLS)
