"""Escapes that are rare, and known otherwise."""

import math

import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic

LR, BATCH_SIZE = 0.1, 4


class Below(ss.Region):
    """w₀ < at, in any number of coordinates."""

    slope = 1.0

    def __init__(self, at: float):
        self.at = float(at)  # a whole number would be compiled anew for each

    def levels(self, w):
        return w[:, :1] - self.at

    def normal(self, w, face):
        return torch.zeros_like(w).index_fill(1, torch.zeros(1, dtype=torch.int64, device=w.device), 1.0)


def ornstein_uhlenbeck(lr: float = LR, **options) -> ss.SGD:
    """dw = -w dt + √2 dW: of stationary variance 1."""
    noise = ss.IsotropicNoise(math.sqrt(2 * BATCH_SIZE / lr))
    return ss.SGD(quadratic([1.0]), noise, lr=lr, batch_size=BATCH_SIZE, **options)


def saddle_sam(rho: float, **options) -> ss.SAM:
    """At the saddle (x² - y²)/2, with noise of variance rate 0.01/32."""
    options = {"lr": 0.01, "batch_size": 32} | options
    return ss.SAM(quadratic([1.0, -1.0]), ss.IsotropicNoise(1.0), rho=rho, **options)
