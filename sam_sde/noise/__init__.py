"""Models of gradient noise: the covariance Σ(w) of one sample's gradient."""

from sam_sde.noise.base import Noise
from sam_sde.noise.constant import ConstantNoise, IsotropicNoise, NoNoise
from sam_sde.noise.empirical import EmpiricalNoise
from sam_sde.noise.hessian import FrozenHessianNoise, HessianNoise, hessian_noise

# What a configuration can name.
NOISES = {
    "none": NoNoise,
    "isotropic": IsotropicNoise,
    "constant": ConstantNoise,
    "hessian": hessian_noise,
    "empirical": EmpiricalNoise,
}

__all__ = [
    "NOISES",
    "ConstantNoise",
    "EmpiricalNoise",
    "FrozenHessianNoise",
    "HessianNoise",
    "IsotropicNoise",
    "NoNoise",
    "Noise",
]
