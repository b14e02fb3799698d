"""What SGD and the variants of SAM share: a surface, gradient noise, and how the weights follow a noisy direction."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge, Le

from sam_sde import checks
from sam_sde.dynamics.base import Dynamics, Time, covers, times, uneven
from sam_sde.dynamics.exact_steps import check_exact_options, check_exact_start, exact_drift, exact_noise
from sam_sde.dynamics.minibatch import Minibatch, mean
from sam_sde.dynamics.motion import MOMENTUM_MODELS, VELOCITIES, FirstOrder, HeavyBall, InitialVelocity, MomentumModel
from sam_sde.dynamics.schedules import check_schedule, factor_at, require_schedule
from sam_sde.errors import ArgumentError
from sam_sde.noise import EmpiricalNoise, Noise
from sam_sde.parameters import Count, NonNegative, Positive, TimeFunction
from sam_sde.surfaces import LossSurface, require_surface

# Which SDE stands for the algorithm.
SDE = Literal["usual", "exact"]
SDES = get_args(SDE)


class GradientDynamics(Dynamics):
    """An optimizer on a surface with gradient noise: what SGD and the variants of SAM share.

    A subclass says in which direction a minibatch of B samples descends, d(t, w) - G(t, w) z/√B with z standard
    normal, and here the weights follow it, with the learning rate η u(t), t = η · steps, momentum γ and weight
    decay κ, which adds κw to d as torch.optim.SGD does:

        γ = 0           dw = -u d dt + u √(η/B) G dW
        "underdamped"   dw = -u v dt, dv = (d - (1-γ) v)/η dt - √(1/(ηB)) G dW, the state being (w, v), and v the
                        momentum buffer of `v ← γ v + g, w ← w - η u v`
        "overdamped"    its limit for η‖H‖ ≪ (1-γ)², dw = -u/(1-γ) d dt + u/(1-γ) √(η/B) G dW: SGD of the effective
                        learning rate η/(1-γ) in its own time

    momentum: γ in [0, 1), default 0. momentum_model: "underdamped" (default) or "overdamped".
    initial_velocity: v(0) = 0 for "zero" (default); "equilibrium" draws it from the law in which it settles while the
        weights stay at the start, N(d/(1-γ), G Gᵀ/(2B(1-γ))). Only an underdamped path has a velocity.
    nesterov: True for Nesterov's momentum, `w ← w - η u (g + γ v)`, which the discrete engine alone knows.
    weight_decay: κ ≥ 0, default 0.
    lr_schedule: u, a `Schedule` or any elementwise torch function of time with values of 0 or more; default 1.
    drift_order: 2 for the drift b - (η/2)(∇b) b in the place of b, default 1; without momentum and schedules. It makes
        the SDE a weak approximation of order 2 of `w ← w + η (b + ξ)`, Cov ξ = C: the increment of a step has the
        means η b and η² (C + b bᵀ), those of the SDE in the time η differ by O(η³) each. The covariance stays ηC(w),
        however it depends on w: its derivatives, and those of b in it, enter the second moments at η³ only (Li, Tai
        and E, JMLR 20:40, 2019, Theorem 9: for SGD the drift is -∇(ℓ + (η/4)‖∇ℓ‖²)). Exact moments of linear
        regressions with empirical noise have the order 2 with it, and 1 with another covariance.
    sde: "exact" for the SDE whose mean and covariance at the times k η are those of the algorithm on quadratics with
        constant noise, however near ηλ is to 1; default "usual". In one dimension the drift is -aw, a = -ln(1-ηλ)/η,
        and the noise rate 2aη²c²/(1-(1-ηλ)²), see `sam_sde.dynamics.exact_steps`; for USAM λ(1+ρλ) stands in the place
        of λ. On other losses λ is that of the Hessian where a path is; the drift of SGD is then of order 2 as well.
        Refused where ηλ reaches 1 at the start, for no flow turns round or stops as a step does; a path that comes
        there fails. Also refused: momentum (of which no SDE has the moments: the noise of a step is of rank one in w
        and v), schedules, drift_order 2, noise that commutes too little with H (the covariance would be negative), and
        over 100 weights. It costs eigenvectors of H on each path and step, and wants a `dt` that is short beside 1/a.

    Attributes
        ascent, micro_batch: which batch a perturbation of the weights is made from, and of how many samples; see
            `PerturbedSGD`, and "full" and None for others.

    Raises
        ValueError: a value out of its range, Nesterov's momentum with γ = 0, drift_order 2 with momentum or a schedule,
            or the noise is made for another number of coordinates.
    """

    def __init__(
        self,
        surface: LossSurface,
        noise: Noise,
        *,
        lr: Positive,
        batch_size: Count = 1,
        momentum: NonNegative = 0.0,
        momentum_model: MomentumModel = "underdamped",
        initial_velocity: InitialVelocity = "zero",
        nesterov: bool = False,
        weight_decay: NonNegative = 0.0,
        lr_schedule: TimeFunction | None = None,
        drift_order: Annotated[int, Ge(1), Le(2)] = 1,
        sde: SDE = "usual",
    ):
        if not isinstance(noise, Noise):
            raise ArgumentError("noise", f"expected a Noise such as IsotropicNoise(sigma), got {checks.shown(noise)}")
        self.surface = require_surface(surface)
        self.noise = noise
        self.lr = checks.positive("lr", lr)
        self.batch_size = checks.whole("batch_size", batch_size, low=1)
        if not 0.0 <= checks.real("momentum", momentum) < 1.0:
            raise ArgumentError(
                "momentum", f"expected a number from 0 to below 1, got {checks.shown(momentum)}; try 0.9"
            )
        self.momentum = float(momentum)
        self.momentum_model = checks.one_of("momentum_model", momentum_model, MOMENTUM_MODELS)
        self.initial_velocity = checks.one_of("initial_velocity", initial_velocity, VELOCITIES)
        self.nesterov = checks.boolean("nesterov", nesterov)
        if nesterov and not self.momentum:
            raise ArgumentError("nesterov", "expected a momentum above 0 with it, got 0; try momentum 0.9")
        self.weight_decay = checks.non_negative("weight_decay", weight_decay)
        self.lr_schedule = require_schedule("lr_schedule", lr_schedule)
        self.drift_order = checks.whole("drift_order", drift_order, low=1, high=2)
        if drift_order == 2 and (self.momentum or lr_schedule is not None):
            what = "momentum" if self.momentum else "lr_schedule"
            raise ArgumentError("drift_order", f"2 is known for plain steps only, not with {what}; try drift_order 1")
        self.sde = checks.one_of("sde", sde, SDES)
        if self.is_exact:
            check_exact_options(self, lr_schedule)
        if noise.dim not in (None, surface.dim):
            raise ArgumentError("noise", f"made for {noise.dim} coordinates, but the surface has {surface.dim}")
        self.dim = surface.dim
        self.channels = noise.channels(surface.dim)
        self.noise_type = "additive" if noise.additive else "general"
        if self.is_exact:
            self.channels, self.noise_type = max(self.channels, self.dim), "general"
        motion = HeavyBall if self.momentum > 0 and momentum_model == "underdamped" else FirstOrder
        self._motion = motion(self.dim, self.lr, self.momentum, self.lr_schedule, self.noise_scale)

    @property
    def is_exact(self) -> bool:
        """Whether its SDE is the one that is exact on quadratics."""
        return self.sde == "exact"

    ascent = "full"
    micro_batch: int | None = None

    @abc.abstractmethod
    def descent(self, t: Time, w: torch.Tensor) -> torch.Tensor:
        """d(t, w) (paths, dim), without weight decay."""

    @abc.abstractmethod
    def descent_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """G(t, w) z (paths, dim) for z (paths, channels)."""

    @abc.abstractmethod
    def transposed_noise(self, t: Time, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """G(t, w)ᵀ a (paths, channels) for a direction a (paths, dim)."""

    def descent_and_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """d(t, w) and G(t, w) z, for subclasses where both cost less together."""
        return self.descent(t, w), self.descent_noise(t, w, z)

    def _descent_and_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        together = covers(self, "descent_and_noise", "descent", "descent_noise")
        return self.descent_and_noise(t, w, z) if together else (self.descent(t, w), self.descent_noise(t, w, z))

    def gradient_and_noise(self, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """∇ℓ(w) and the noise's L(w) z, of the samples of data with one pass through their losses."""
        of_samples = type(self.noise) is EmpiricalNoise and self.noise.surface is self.surface
        if of_samples and covers(self.surface, "weighted_gradients", "weighted_gradient", "gradient"):
            return self.noise.gradient_and_product(w, z)
        return self.surface.gradient(w), self.noise.product(w, z)

    def perturbed(self, t: Time, w: torch.Tensor) -> torch.Tensor:
        """w^p (paths, dim): where the descent takes its gradient at time t. Here w itself."""
        return w

    @property
    def minibatch_variance(self) -> float:
        """What makes Σ the covariance of a minibatch's gradient: 1/B where its samples are independent."""
        return self.noise.minibatch_factor(self.batch_size) / self.batch_size

    @property
    def noise_scale(self) -> float:
        """√(η/B) for independent samples: the diffusion is this times the factor of one sample's covariance."""
        return (self.lr * self.minibatch_variance) ** 0.5

    @property
    def state_dim(self) -> int:
        return self._motion.state_dim

    @property
    def draws_velocity(self) -> bool:
        return self.state_dim != self.dim and self.initial_velocity == "equilibrium"

    def initial_state(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        if self.state_dim == self.dim:
            return w
        if self.initial_velocity == "zero":
            return torch.cat([w, torch.zeros_like(w)], dim=-1)
        descent, noise = self._descent_and_noise(times(0.0, w), w, z)
        return torch.cat([w, self._motion.equilibrium(self._decayed(descent, w), noise)], dim=-1)

    def f(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        return self._to_order(t, x, self._first_order(t, x))

    def descent_curvature(self, w: torch.Tensor) -> torch.Tensor:
        """The derivative (paths, dim, dim) of what is descended, weight decay included, as if H were the same all over.

        Here H + κ.
        """
        decay = self.weight_decay * torch.eye(self.dim, dtype=w.dtype, device=w.device)
        return self.surface.hessian(w) + decay

    def _first_order(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        w = self.weights(x)
        if self.is_exact:
            return -exact_drift(self.descent_curvature(w), self._decayed(self.descent(t, w), w), self.lr)
        return self._motion.drift(t, x, self._decayed(self.descent(t, w), w))

    def _to_order(self, t: Time, x: torch.Tensor, drift: torch.Tensor) -> torch.Tensor:
        """The drift of the order asked for, from b = `drift`: itself, or b - (η/2)(∇b) b."""
        if self.drift_order == 1:
            return drift
        # Reverse over reverse: (∇b) v is the transpose of u ↦ (∇b)ᵀ u. Forward mode takes ten times as long.
        _, transposed = torch.func.vjp(lambda x: self._first_order(t, x), x)
        _, along = torch.func.vjp(lambda u: transposed(u)[0], torch.zeros_like(x))
        return drift - 0.5 * self.lr * along(drift)[0]

    def g_prod(self, t: Time, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        if self.is_exact:
            return (exact_noise(self, t, x) @ z[:, : self.dim, None])[..., 0]
        return self._motion.diffuse(t, self.descent_noise(t, self.weights(x), z))

    def g_transpose_prod(self, t: Time, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        if self.is_exact:
            along = (exact_noise(self, t, x) @ direction[..., None])[..., 0]
            return torch.nn.functional.pad(along, (0, self.channels - self.dim))
        return self.transposed_noise(t, self.weights(x), self._motion.transposed(t, direction))

    def f_and_g_prod(self, t: Time, x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The drift and g z, at the cost of `descent_and_noise`."""
        if self.is_exact:
            return self.f(t, x), self.g_prod(t, x, z)
        w = self.weights(x)
        descent, noise = self._descent_and_noise(t, w, z)
        drift = self._motion.drift(t, x, self._decayed(descent, w))
        return self._to_order(t, x, drift), self._motion.diffuse(t, noise)

    def step(self, t: Time, state: torch.Tensor, minibatches: Iterable[Minibatch]) -> torch.Tensor:
        """One step of the algorithm from `state` (paths, state_dim) at time t, with the conventions of torch.optim.SGD.

        With g the `mean_gradient`, κ the weight decay, γ the momentum and η u(t) the learning rate:

            g ← g + κ w;  v ← γ v + g;  w ← w - η u v,  or  w ← w - η u (g + γ v) for Nesterov's momentum

        The state is (w, v), or w without momentum.
        """
        w = self.weights(state)
        gradient = self._decayed(self.mean_gradient(t, w, minibatches), w)
        lr = self.lr * factor_at(self.lr_schedule, t, w)
        if not self.momentum:
            return w - lr * gradient
        velocity = self.momentum * state[..., self.dim :] + gradient
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return torch.cat([w - lr * direction, velocity], dim=-1)

    def mean_gradient(self, t: Time, w: torch.Tensor, minibatches: Iterable[Minibatch]) -> torch.Tensor:
        """What a step descends, without weight decay: the mean of the gradients of its minibatches (paths, dim)."""
        return mean(self._mean_of_parts(t, w, minibatch) for minibatch in minibatches)

    def _mean_of_parts(self, t: Time, w: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
        parts = minibatch.parts
        if parts == 1:
            return self.minibatch_gradient(t, w, minibatch)
        if isinstance(t, torch.Tensor) and t.ndim:
            t = t.repeat(parts, 1)
        return self.minibatch_gradient(t, w.repeat(parts, 1), minibatch).unflatten(0, (parts, -1)).mean(0)

    def minibatch_gradient(self, t: Time, w: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
        """A minibatch's gradient (paths, dim) where the optimizer takes it: here at w itself."""
        return minibatch.descent(w)

    def check_algorithm(self) -> None:
        super().check_algorithm()
        if self.drift_order != 1:
            raise ArgumentError(
                "drift_order",
                "2 is a model of the algorithm; engine 'discrete' runs the algorithm itself, try drift_order 1",
            )
        if self.is_exact:
            raise ArgumentError(
                "sde", "'exact' is a model of the algorithm; engine 'discrete' runs the algorithm itself, leave it out"
            )
        if self.momentum and self.momentum_model != "underdamped":
            raise ArgumentError(
                "momentum_model",
                f"{self.momentum_model!r} is a model of the algorithm; engine 'discrete' runs the "
                "algorithm itself, leave momentum_model out",
            )

    def check_sde(self) -> None:
        for option in ("nesterov", "micro_batch"):
            if getattr(self, option):
                raise ArgumentError(option, "no SDE of it is known; run the algorithm itself, engine 'discrete'")

    def _decayed(self, descent: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return descent + self.weight_decay * w if self.weight_decay else descent

    def largest_variance(self) -> float | None:
        return None if self.is_exact else self._motion.largest_variance(self._largest_noise())

    def _largest_noise(self) -> float | None:
        """A bound on |G(t, w)ᵀ a|² over all t, w and unit a, where one is known."""
        return self.noise.largest_variance()

    def check_schedules(self, t_max: float) -> None:
        check_schedule("lr_schedule", self.lr_schedule, t_max)

    def check_start(self, w: torch.Tensor) -> None:
        self._check_gradients(w)
        if self.is_exact:
            check_exact_start(self, w)
        super().check_start(w)
        self._check_moving(w)

    def _check_gradients(self, w: torch.Tensor) -> None:
        """Raises ValueError where the loss, or what is made of its gradient, is not as steps need it."""
        self.surface.check_at(w)

    def _check_moving(self, w: torch.Tensor) -> None:
        """Raises ValueError where noise was asked for, yet neither it nor the descent would move any path."""
        if self.noise.largest_variance() == 0.0 or self.noise_scale == 0.0:
            return
        descent, noise = self._descent_and_noise(times(0.0, w), w, uneven(w, self.channels))
        if not self._decayed(descent, w).any() and not noise.any():
            raise ArgumentError(
                "start",
                "drift and noise both vanish there, so that nothing would ever move; "
                "try to start beside it, with start: {normal: {mean: ..., std: 0.01}}",
            )
