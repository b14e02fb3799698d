"""Contours need no fine grid here."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def few_points():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sam_sde.jobs.landscape.GRID", 31)
        yield
