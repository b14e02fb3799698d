"""Most of the time goes into pixels that no test looks at."""

import pytest


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 50)
    monkeypatch.setattr("sam_sde.jobs.landscape.GRID", 101)
