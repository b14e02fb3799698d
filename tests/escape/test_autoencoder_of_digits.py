"""Escape of a linear autoencoder of digits from the origin, as an SDE and as the algorithm, and where it ends."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import sam_sde as ss
from sam_sde.surfaces import Dataset, linear_autoencoder

HIDDEN, FEATURES, SAMPLES = 2, 6, 200
LR, BATCH, RHO = 0.03, 12, 0.025
DISTANCE = 1.0
N_PATHS = 150


def projected():
    """The first principal components of the first images, scaled to a variance of 1 along the first."""
    pixels = load_digits().data[:SAMPLES] / 16
    pixels = pixels - pixels.mean(0)
    u, s, _ = np.linalg.svd(pixels, full_matrices=False)
    return (u * s)[:, :FEATURES] / (s[0] / SAMPLES**0.5)


@pytest.fixture(scope="module")
def surface():
    return linear_autoencoder(Dataset("digits", torch.from_numpy(projected())), hidden=HIDDEN)


def escape(surface, kind, engine, region, t_max, n_paths=N_PATHS, **options):
    optimizer = kind(surface, ss.EmpiricalNoise(surface), lr=LR, batch_size=BATCH, **options)
    return ss.escape_times(
        optimizer,
        start=ss.NormalStart([0.0] * surface.dim, 0.02),
        region=region,
        t_max=t_max,
        n_paths=n_paths,
        seed=0,
        arm=engine,
        engine=engine,
        crossing="none",
        device="cpu",
    )


@pytest.mark.slow
def test_sam_escapes_later_and_the_sde_takes_as_long_as_the_algorithm(surface):
    region = ss.UnstableDistance(surface, [0.0] * surface.dim, DISTANCE)
    times = {}
    for name, kind, options in (("SGD", ss.SGD, {}), ("SAM", ss.SAM, {"rho": RHO})):
        results = [escape(surface, kind, engine, region, 20.0, **options) for engine in ("torchsde", "discrete")]
        assert all((result.outcome == ss.Outcome.ESCAPED).all() for result in results)
        sde, discrete = times[name] = [result.times for result in results]
        error = np.hypot(sde.std(), discrete.std()) / N_PATHS**0.5
        assert 4 * error < 0.1 * discrete.mean()  # so that a tenth is told from chance
        assert abs(sde.mean() - discrete.mean()) < 0.1 * discrete.mean()
    for sgd, sam in zip(times["SGD"], times["SAM"], strict=True):
        assert sam.mean() - sgd.mean() > 4 * np.hypot(sam.std(), sgd.std()) / N_PATHS**0.5


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torchsde", "discrete"])
def test_sgd_finds_the_loss_of_principal_component_analysis(surface, engine):
    s = np.linalg.svd(projected(), compute_uv=False)
    left_out = (s[HIDDEN:] ** 2).sum() / (2 * SAMPLES)
    saddle = (s**2).sum() / (2 * SAMPLES)
    # Noise keeps the loss above the minimum, less than the second component would take from it.
    near = left_out + 0.05 * (saddle - left_out)
    assert near < left_out + 0.5 * s[HIDDEN - 1] ** 2 / (2 * SAMPLES)
    result = escape(surface, ss.SGD, engine, ss.LossAbove(surface, near), 40.0, n_paths=20)
    assert (result.outcome == ss.Outcome.ESCAPED).all()
    losses = surface.value(torch.as_tensor(result.exit_points, dtype=torch.float64))
    assert (losses >= left_out).all()
