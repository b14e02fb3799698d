"""Optimizers as stochastic differential equations: drift and diffusion in torchsde's protocol."""

from sam_sde.dynamics.base import Dynamics, GradientDynamics
from sam_sde.dynamics.sam import ASCENTS, DNSAM, DRIFTS, SAM, USAM, PerturbedSGD
from sam_sde.dynamics.sgd import SGD

__all__ = ["ASCENTS", "DNSAM", "DRIFTS", "SAM", "SGD", "USAM", "Dynamics", "GradientDynamics", "PerturbedSGD"]
