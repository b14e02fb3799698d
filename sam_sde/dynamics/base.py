"""What every optimizer has as a stochastic differential equation, in torchsde's protocol."""

import abc

import torch

from sam_sde import checks
from sam_sde.noise import Noise
from sam_sde.surfaces import LossSurface, require_surface


class Dynamics(abc.ABC):
    """dw = f(t, w) dt + g(t, w) dW in Itô's sense, with t = lr · steps.

    A subclass gives the drift `f`, and the diffusion either as `g` or as the two products `g_prod` and
    `g_transpose_prod`; with those two no matrix is ever formed. Shapes: w (paths, dim), z (paths, channels).

    Attributes
        dim: number of coordinates.
        channels: number of independent Brownian motions.
        lr: learning rate η, the time of one step of the optimizer.
        noise_type: "additive" (g does not depend on w), "diagonal" (g is (paths, dim)) or "general".
    """

    sde_type = "ito"
    noise_type = "general"
    dim: int
    channels: int
    lr: float

    @abc.abstractmethod
    def f(self, t: float, w: torch.Tensor) -> torch.Tensor:
        """Drift (paths, dim)."""

    def g_prod(self, t: float, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """g(t, w) z (paths, dim)."""
        factor = self.g(t, w)
        return factor * z if self.noise_type == "diagonal" else torch.einsum("pij,pj->pi", factor, z)

    def g_transpose_prod(self, t: float, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """g(t, w)ᵀ d (paths, channels): its square is the variance along d that a crossing needs."""
        factor = self.g(t, w)
        return factor * direction if self.noise_type == "diagonal" else torch.einsum("pij,pi->pj", factor, direction)

    def largest_variance(self) -> float | None:
        """A bound on |gᵀd|² over all t, w and unit d, where one is known: it saves work far from a boundary."""
        return None

    def check_start(self, w: torch.Tensor) -> None:
        """Raises ValueError where the dynamics cannot start from w (paths, dim)."""
        drift = self.f(0.0, w)
        if drift.shape != w.shape or not torch.isfinite(drift).all():
            raise ValueError(f"start: the drift there is not finite or not of shape {tuple(w.shape)}")
        if not torch.isfinite(self.g_prod(0.0, w, w.new_ones(len(w), self.channels))).all():
            raise ValueError("start: the noise there is not finite")


class GradientDynamics(Dynamics):
    """An optimizer on a surface, with gradient noise: what SGD and the variants of SAM share.

    Raises
        ValueError: lr is not above 0, batch_size is not a whole number above 0, momentum is not 0 (it is not
            available), or the noise is made for another number of coordinates.
    """

    def __init__(self, surface: LossSurface, noise: Noise, *, lr: float, batch_size: int = 1, momentum: float = 0.0):
        if not isinstance(noise, Noise):
            raise ValueError(f"noise: expected a Noise such as IsotropicNoise(sigma), got {checks.shown(noise)}")
        self.surface = require_surface(surface)
        self.noise = noise
        self.lr = checks.positive("lr", lr)
        self.batch_size = checks.whole("batch_size", batch_size, low=1)
        if checks.real("momentum", momentum) != 0.0:
            raise ValueError(f"momentum: not available yet, expected 0, got {momentum!r}")
        if noise.dim not in (None, surface.dim):
            raise ValueError(f"noise: made for {noise.dim} coordinates, but the surface has {surface.dim}")
        self.dim = surface.dim
        self.channels = noise.channels(surface.dim)
        self.noise_type = "additive" if noise.additive else "general"

    @property
    def noise_scale(self) -> float:
        """√(η/B): the diffusion is this times the factor of one sample's covariance."""
        return (self.lr / self.batch_size) ** 0.5

    def largest_variance(self) -> float | None:
        largest = self.noise.largest_variance()
        return None if largest is None else self.noise_scale**2 * largest

    def check_start(self, w: torch.Tensor) -> None:
        self.surface.check_at(w)
        super().check_start(w)
