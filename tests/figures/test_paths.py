"""Sample paths over a landscape: boundary, contours, marks, and pictures of every kind."""

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet

from sam_sde.errors import InputError
from sam_sde.figures.paths import contour_levels, draw_sample_paths
from sam_sde.jobs.landscape import landscape_tables
from sam_sde.regions import Ball, LevelSet, LossBelow
from sam_sde.surfaces import LossSurface, beale, muller_brown
from tests.figures.samples import legend_of, walks

WIDE = Ball([0, 1], 0.5)
EVERYWHERE = LevelSet(lambda w: -1 + 0 * w.sum())


def picture(paths, surface, region):
    return draw_sample_paths(paths, *(frame for _, frame in landscape_tables(paths, surface, region)))


def boundary_of(axes) -> np.ndarray:
    """The vertices of the contour of the region's level 0."""
    (boundary,) = [
        artist for artist in axes.collections if isinstance(artist, QuadContourSet) and list(artist.levels) == [0.0]
    ]
    return boundary.get_paths()[0].vertices


def test_the_boundary_drawn_is_the_zero_level_of_the_region():
    figure = picture(walks(["SGD", "SAM"]), beale(), Ball([0, 1], 0.5))
    for panel in figure.axes[:2]:
        distance = np.linalg.norm(boundary_of(panel) - [0, 1], axis=1)
        np.testing.assert_allclose(distance, 0.5, atol=3e-4)
        assert panel.get_aspect() == 1


def test_contours_at_quantiles_are_distinct_and_follow_a_large_range():
    generator = np.random.default_rng(0)
    levels = contour_levels(10 ** generator.uniform(-6, 6, 10_000))
    assert (np.diff(levels) > 0).all()
    assert levels[0] < 1e-4
    assert levels[-1] > 1e4
    assert len(contour_levels(np.full(100, 3.0))) <= 1
    assert len(contour_levels(np.empty(0))) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("surface", "region", "paths"),
    [
        pytest.param(LossSurface(lambda w: 0 * w.sum(), 2), WIDE, walks(["SGD"]), id="constant loss"),
        pytest.param(LossSurface(lambda w: w.log().sum(), 2), WIDE, walks(["SGD"]), id="loss undefined in view"),
        pytest.param(beale(), Ball([0, 1], 0.5), walks(["SGD"], steps=0), id="paths of one state"),
        pytest.param(beale(), EVERYWHERE, walks(["SGD"], steps=0, paths=1), id="one state and no boundary"),
        pytest.param(beale(), Ball([5, 5], 0.1), walks(["SGD"]), id="start outside of the region"),
        pytest.param(
            muller_brown(), LossBelow(muller_brown(), -20.0), walks(["SGD"], (-0.56, 1.44)), id="curved region"
        ),
    ],
)
def test_unusual_pictures_can_be_drawn(tmp_path, surface, region, paths):
    picture(paths, surface, region).savefig(tmp_path / "picture.png")


def test_the_legend_names_only_what_is_in_the_picture():
    full = picture(walks(["SGD"]), beale(), Ball([0, 1], 0.5))
    assert list(legend_of(full)) == ["start", "end", "region's boundary", "saddle"]
    assert list(legend_of(picture(walks(["SGD"], (2.0, 2.0)), beale(), EVERYWHERE))) == ["start", "end"]


def test_the_order_of_the_rows_of_a_landscape_does_not_count(tmp_path):
    paths = walks(["SGD"], steps=5)
    (_, landscape), (_, points) = landscape_tables(paths, beale(), WIDE)
    drawn = []
    for rows in (landscape, landscape.sample(frac=1, random_state=0)):
        draw_sample_paths(paths, rows, points).savefig(tmp_path / "picture.png", metadata={"Software": None})
        drawn.append((tmp_path / "picture.png").read_bytes())
    assert drawn[0] == drawn[1]


def test_what_cannot_be_drawn_is_refused():
    paths = walks(["SGD"])
    (_, landscape), (_, points) = landscape_tables(paths, beale(), WIDE)
    with pytest.raises(InputError, match="no finite states"):
        draw_sample_paths(paths.assign(x0=np.nan), landscape, points)
    for rows in (landscape[:-1], landscape[:1]):
        with pytest.raises(InputError, match="no grid of points"):
            draw_sample_paths(paths, rows, points)
