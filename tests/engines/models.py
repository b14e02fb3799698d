"""Optimizers and regions of every kind, in two dimensions, and a small loss over data."""

import torch

import sam_sde as ss
from sam_sde.surfaces import beale, double_well, quadratic

K = {"lr": 0.01, "batch_size": 4}
SADDLE = quadratic([1.0, -1.0])
OBLIQUE = ss.ConstantNoise([[2.0, 0.5], [0.5, 1.0]])
OPTIMIZERS = {
    "SGD": ss.SGD(SADDLE, ss.IsotropicNoise(1.0), **K),
    "SGD, drift of order 2": ss.SGD(beale(), OBLIQUE, drift_order=2, **K),
    "SGD, noise of the Hessian": ss.SGD(beale(), ss.HessianNoise(beale()), **K),
    "SGD, momentum, schedule": ss.SGD(
        double_well(), OBLIQUE, momentum=0.9, weight_decay=0.1, lr_schedule=ss.CosineSchedule(1.0, low=0.1), **K
    ),
    "SAM": ss.SAM(beale(), OBLIQUE, rho=0.1, **K),
    "SAM, expansion": ss.SAM(beale(), OBLIQUE, rho=0.1, drift="expansion", **K),
    "SAM, same batch": ss.SAM(beale(), ss.HessianNoise(beale()), rho=0.1, ascent="same", **K),
    "SAM, independent batch": ss.SAM(beale(), OBLIQUE, rho=0.1, ascent="independent", **K),
    "USAM, total": ss.USAM(beale(), OBLIQUE, rho=0.1, drift="total", **K),
}
REGIONS = {
    "ball": ss.Ball([0, 0], 1.0),
    "slab": ss.Slab([0, 0], [1, 2], 0.5),
    "box": ss.Box([-1, -2], [1, 2]),
    "unstable distance": ss.UnstableDistance(SADDLE, [0, 0], 0.5),
    "level set": ss.LevelSet(lambda w: w.square().sum() - w.prod() - 1),
    "loss": ss.LossBelow(beale(), 1.0),
}

GENERATOR = torch.Generator().manual_seed(0)
DATA = (torch.randn(15, 3, generator=GENERATOR).double(), torch.randn(15, generator=GENERATOR).double())


def sample_loss(w, sample):
    x, y = sample
    return ((w[:3] * x).sum().tanh() * w[3] - y) ** 2


OVER_DATA = ss.FiniteSum(sample_loss, DATA, dim=4)
