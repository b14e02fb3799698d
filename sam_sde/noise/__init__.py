"""Models of gradient noise: the covariance Σ(w) of one sample's gradient."""

from sam_sde.noise.base import Noise
from sam_sde.noise.constant import ConstantNoise, IsotropicNoise, NoNoise
from sam_sde.noise.empirical import SAMPLINGS, EmpiricalNoise
from sam_sde.noise.hessian import FrozenHessianNoise, HessianNoise

__all__ = [
    "SAMPLINGS",
    "ConstantNoise",
    "EmpiricalNoise",
    "FrozenHessianNoise",
    "HessianNoise",
    "IsotropicNoise",
    "NoNoise",
    "Noise",
]
