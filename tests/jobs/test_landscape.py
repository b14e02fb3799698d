"""The view of a picture, and the tables of what lies beneath its paths."""

import numpy as np
import pytest
import torch

from sam_sde.jobs import landscape as module
from sam_sde.jobs.landscape import critical_points, landscape, landscape_tables, view_of
from sam_sde.jobs.tables import TABLES
from sam_sde.regions import Ball, Box, LevelSet, Slab
from sam_sde.surfaces import LossSurface, beale
from tests.figures.samples import walks

BALL = Ball([0, 1], 0.5)


@pytest.mark.parametrize(
    ("region", "low", "high"),
    [
        pytest.param(Ball([0, 1], 0.5), (-0.5, 0.5), (0.5, 1.5), id="ball much larger than the paths"),
        pytest.param(Box([-0.1, 0.0], [0.1, 1.01]), (-0.1, 0.0), (0.1, 1.01), id="long box, start near a face"),
        pytest.param(Slab([0, 1], [1, 0], 0.5), (-0.5, 1.0), (0.5, 1.0), id="slab without an end"),
    ],
)
def test_the_view_holds_the_paths_and_the_region_and_little_more(region, low, high):
    paths = walks(["SGD"], steps=20, size=0.001)
    for side, coordinate in zip(view_of(paths, region), ("x0", "x1"), strict=True):
        i = int(coordinate[1])
        assert side[0] < min(low[i], paths[coordinate].min())
        assert side[1] > max(high[i], paths[coordinate].max())
        assert side[1] - side[0] < 1.5 * max(np.subtract(high, low))


def test_the_far_branches_of_an_open_region_do_not_widen_the_view():
    """y x² < 1 with y > 0 is left at (1, 1), and at x = ±10 along y = 0.01, where the opposite rays meet it too."""
    region = LevelSet(lambda w: w[1] * w[0] ** 2 - 1)
    (left, right), _ = view_of(walks(["SGD"], start=(0.0, 0.01), steps=20, size=0.01), region)
    assert right - left < 5


def test_states_that_are_not_finite_have_no_place_in_the_view():
    paths = walks(["SGD"])
    failed = paths.copy()
    failed.loc[30:, "x0"] = np.inf
    assert np.isfinite(view_of(failed, BALL)).all()


def test_the_grid_holds_the_loss_and_the_level_at_its_points():
    frame = landscape(((-0.6, 0.6), (0.3, 1.7)), beale(), BALL)
    assert len(frame) == module.GRID**2
    assert (frame["x0"].min(), frame["x0"].max(), frame["x1"].min(), frame["x1"].max()) == (-0.6, 0.6, 0.3, 1.7)
    points = frame[["x0", "x1"]].to_numpy()
    np.testing.assert_allclose(frame["loss"], beale().value(torch.from_numpy(points)), rtol=1e-6)
    np.testing.assert_allclose(frame["level"], np.linalg.norm(points - [0, 1], axis=1) - 0.5, rtol=1e-6, atol=1e-8)


def test_known_points_have_kind_place_and_loss():
    frame = critical_points(beale())
    assert [*frame["point"]] == [0, 1, 2]
    assert [*frame["kind"]] == ["minimum", "saddle", "saddle"]
    np.testing.assert_allclose(
        frame.loc[:1, ["x0", "x1", "loss"]], [[3.0, 0.5, 0.0], [0.0, 1.0, 14.203125]], atol=1e-12
    )


def test_files_are_short_and_hold_what_was_computed(tmp_path):
    for surface in (beale(), LossSurface(lambda w: w.sin().sum(), 2), LossSurface(lambda w: w.log().sum(), 2)):
        for name, frame in landscape_tables(walks(["SGD"]), surface, BALL, "trajectories_"):
            TABLES[name].write(frame, tmp_path)
            assert (tmp_path / TABLES[name].file).stat().st_size < 1.5e6
            read = TABLES[name].read(tmp_path)
            numbers = frame.columns.drop("kind", errors="ignore")
            np.testing.assert_array_equal(read[numbers], frame[numbers].to_numpy(float))
