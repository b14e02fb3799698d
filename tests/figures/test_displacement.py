"""The figure of displacement: panels, colours, and formulas inside and outside of their windows."""

import numpy as np
import pandas as pd
import pytest

from sam_sde.figures.displacement import draw_displacement
from sam_sde.figures.styles import arm_styles
from sam_sde.jobs.tables import TABLES
from tests.figures.samples import legend_of

ARMS = ["SGD", "USAM"]
TIME = np.geomspace(0.01, 1.0, 8)


def displacement(directions=(0, 1, 2), known=True):
    """Formulas that are right up to t = 0.2 and twice too large beyond."""
    frames = []
    for arm in ARMS:
        for direction in directions:
            late = TIME > 0.2
            numbers = {"exact": TIME, "discrete": TIME, "formula": TIME * (1 + late), "formula_valid": 1.0 - late}
            frame = pd.DataFrame({"time": TIME, "msd": TIME, "msd_low": 0.9 * TIME, "msd_high": 1.1 * TIME, **numbers})
            frame[list(numbers)] *= 1.0 if known else np.nan
            frames.append(frame.assign(arm=arm, direction=direction, eigenvalue=direction - 1.0))
    return pd.concat(frames, ignore_index=True)[list(TABLES["displacement"].columns)]


def test_the_outermost_directions_have_two_panels_each():
    figure = draw_displacement(displacement())
    assert [axes.get_title() for axes in figure.axes] == ["direction 0, λ = -1", "direction 2, λ = 1", "", ""]
    assert list(legend_of(figure))[:2] == ARMS


def test_a_formula_is_dotted_outside_of_its_window():
    below = draw_displacement(displacement(directions=(0,))).axes[1]
    color = arm_styles(ARMS)["SGD"]["color"]
    full, dotted = [line for line in below.lines if line.get_color() == color][:2]
    np.testing.assert_array_equal(np.isfinite(full.get_ydata()), TIME <= 0.2)
    assert set(dotted.get_ydata()[TIME > 0.2]) == {2.0}
    assert full.get_linestyle() == "-" != dotted.get_linestyle()


@pytest.mark.filterwarnings("error")
def test_arms_of_which_nothing_is_known_can_be_drawn(tmp_path):
    draw_displacement(displacement(known=False)).savefig(tmp_path / "displacement.png")


@pytest.mark.filterwarnings("error")
def test_a_single_time_can_be_drawn(tmp_path):
    frame = displacement()
    draw_displacement(frame[frame["time"] == TIME[0]]).savefig(tmp_path / "displacement.png")
