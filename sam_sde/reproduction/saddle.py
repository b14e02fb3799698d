"""The saddle (x² - y²)/2 at which several statements compare escape times, and SGD and SAM there."""

from sam_sde.dynamics import SAM, SGD
from sam_sde.noise import IsotropicNoise
from sam_sde.regions import Ball
from sam_sde.surfaces.separable import quadratic
from sam_sde.theory.exact import exact_escape_times

LR, BATCH, RADIUS = 0.01, 32, 0.5
EIGENVALUES = [1.0, -1.0]


def saddle(rho: float, *, lr: float = LR, batch_size: int = BATCH, dim: int = 2, **options):
    """SAM, or SGD for ρ = 0, at the saddle; in one dimension at the unstable axis alone."""
    surface, noise = quadratic(EIGENVALUES[-dim:]), IsotropicNoise(1.0)
    options = {"lr": lr, "batch_size": batch_size, **options}
    return SAM(surface, noise, rho=rho, **options) if rho else SGD(surface, noise, **options)


def place(dim: int = 2) -> dict:
    return {"start": [0.0] * dim, "region": Ball([0.0] * dim, RADIUS)}


def exact_time(dynamics) -> float:
    return exact_escape_times(dynamics, **place(dynamics.dim)).mean_time
