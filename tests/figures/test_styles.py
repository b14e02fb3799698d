"""Colours and lines: the same arm looks the same everywhere, and no two alike."""

import pytest
from matplotlib.colors import to_hex

from sam_sde.figures.styles import arm_styles
from sam_sde.figures.times import draw_escape_times, draw_survival
from sam_sde.regions import Ball
from sam_sde.surfaces import beale
from tests.figures.samples import EIGHT, legend_of, results, walks
from tests.figures.test_paths import picture

BLUE, VERMILLION = "#0072B2", "#D55E00"


@pytest.mark.parametrize(
    "arms", [["SGD", "SAM"], ["SAM", "other", "SGD"], ["DNSAM", "USAM", "SAM ρ=0.1", "SGD η=1"], EIGHT[::-1]]
)
def test_sgd_is_blue_and_sam_vermillion_whatever_else_there_is(arms):
    styles = arm_styles(arms)
    assert list(styles) == arms
    sgd = next(arm for arm in arms if arm.startswith("SGD"))
    sam = "SAM" if "SAM" in arms else "SAM ρ=0.1"
    assert (styles[sgd]["color"], styles[sam]["color"]) == (BLUE, VERMILLION)
    assert len({style["color"] for style in styles.values()}) == len(arms)
    assert len({str(style["linestyle"]) for style in styles.values()}) == len(arms)


@pytest.mark.parametrize("name", ["{} (discrete)", "discrete {}", "{}, Discrete"])
@pytest.mark.parametrize("arms", [["SGD", "SAM"], ["SAM ρ=0.1", "other", "SGD"]])
def test_a_discrete_arm_has_the_colour_of_its_sde_and_another_line(arms, name):
    alone = arm_styles(arms)
    discrete = [name.format(arm) for arm in arms]
    styles = arm_styles([*discrete, *arms])
    assert {arm: styles[arm] for arm in arms} == alone
    for arm, partner in zip(discrete, arms, strict=True):
        assert styles[arm]["color"] == styles[partner]["color"]
    assert len({str(style["linestyle"]) for style in styles.values()}) == 2 * len(arms)
    assert arm_styles(discrete)[discrete[0]]["color"] == alone[arms[0]]["color"]


def test_many_arms_differ_in_colour_or_line():
    styles = arm_styles([f"arm {i}" for i in range(40)])
    assert len({str(style) for style in styles.values()}) == 40


@pytest.mark.parametrize("arms", [["SGD", "SAM", "noise"], ["noise", "SAM", "SGD"]])
def test_an_arm_has_one_colour_in_all_figures(arms):
    survival, summary, paths = results(dict.fromkeys(arms, 1.0), failed=0.1)
    styles = arm_styles(arms)
    curves = legend_of(draw_survival(survival, summary))
    histograms = legend_of(draw_escape_times(paths, summary))
    panels = picture(walks(arms), beale(), Ball([0, 1], 0.5)).axes
    titles = {panel.get_title(): to_hex(panel.title.get_color()).upper() for panel in panels if panel.get_title()}
    for arm in arms:
        shown = [color for label, color in (curves | histograms | titles).items() if label.startswith(arm)]
        assert shown == [styles[arm]["color"]] * 3
