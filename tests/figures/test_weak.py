"""The figure of weak errors: panels, styles, and errors that may be zero."""

import pandas as pd
import pytest

from sam_sde.figures.weak import draw_weak, weak_styles
from sam_sde.jobs.tables import ABLATION
from tests.figures.samples import legend_of

ARMS = ["SGD", "SAM", "SAM" + ABLATION]


def errors(arms=ARMS, names=("loss", "x0", "norm"), low=0.5):
    """Errors of order 1, whose intervals begin at `low` of them."""
    rows = [(arm, lr, name, lr, low * lr, 2 * lr) for arm in arms for name in names for lr in (0.1, 0.05, 0.025)]
    return pd.DataFrame(rows, columns=["arm", "lr", "test_function", "error", "error_low", "error_high"])


def test_an_ablation_has_the_colour_of_its_arm_and_another_line():
    styles = weak_styles(ARMS)
    assert styles[ARMS[2]]["color"] == styles["SAM"]["color"] != styles["SGD"]["color"]
    assert styles[ARMS[2]]["linestyle"] != styles["SAM"]["linestyle"]


def test_there_is_a_panel_for_each_test_function_and_one_legend():
    figure = draw_weak(errors())
    assert [axes.get_title() for axes in figure.axes[:3]] == ["loss", "x0", "norm"]
    assert list(legend_of(figure)) == [*ARMS, "slope 1", "slope 2"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("low", [0.5, 0.0])
def test_errors_that_may_be_zero_can_be_drawn(low, tmp_path):
    figure = draw_weak(errors(low=low))
    marks = [y for line in figure.axes[0].lines[:3] for y in line.get_ydata() if y == y]
    assert len(marks) == (9 if low else 0)
    figure.savefig(tmp_path / "weak.png")
