"""Sharpness-aware minimization: SAM, USAM, DNSAM and any perturbation of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch

from sam_sde import checks
from sam_sde.dynamics.base import Time
from sam_sde.dynamics.gradient import GradientDynamics
from sam_sde.dynamics.minibatch import Minibatch
from sam_sde.dynamics.perturbations import (
    Custom,
    Normalized,
    NormalizedByFullGradient,
    Perturbation,
    Unnormalized,
)
from sam_sde.dynamics.schedules import check_schedule, factor_at, require_schedule
from sam_sde.errors import ArgumentError
from sam_sde.noise import Noise
from sam_sde.parameters import Count, NonNegative, TimeFunction
from sam_sde.purity import called_twice
from sam_sde.surfaces import LossSurface

Ascent = Literal["full", "same", "independent"]
Drift = Literal["stop_gradient", "total", "expansion"]
ASCENTS, DRIFTS = get_args(Ascent), get_args(Drift)


class _Ascent(NamedTuple):
    """What drift and noise both need: the gradient, tr Σ/B, the factor of ρ then, and the perturbed weights."""

    gradient: torch.Tensor
    spread: torch.Tensor
    factor: float | torch.Tensor
    perturbed: torch.Tensor


class PerturbedSGD(GradientDynamics):
    """dw = b(w) dt + √(η/B) G(w) dW for `w ← w - η g(w + p)`, with t = η · steps and w^p = w + p(∇ℓ(w)).

    drift
        "stop_gradient" (the algorithm): b = -∇ℓ(w^p), and for `ascent="same"` also -(c/2B) ∇tr Σ with Dp ≈ c·I.
        "total": b = -∇_w[ℓ(w^p)], the derivative through p as well (Kim et al., arXiv 2301.06308, Theorem 2).
        "expansion": b = -(∇ℓ + H p(∇ℓ)), the first order in p: for USAM -∇(ℓ + (ρ/2)‖∇ℓ‖²), for SAM and DNSAM
        -∇(ℓ + ρ‖∇ℓ‖) (Monzio Compagnoni et al., arXiv 2301.08203).
    ascent: the batch that p is made from, with L Lᵀ = Σ
        "full": G = L(w^p).
        "same" as the descent: G = L(w^p) + H(w^p) Dp L(w).
        "independent" of it: G = [L(w^p), H(w^p) Dp L(w)], with twice the Brownian motions.
    The last two noises are first order in ξ, the gradient noise, about the mean perturbation; "total" and
    "expansion" accept the full ascent only.

    perturbation: p, a torch function of ONE gradient (dim,). With an ascent other than "full" its mean is taken
        to be p(∇ℓ), and with "same" the noise must be constant, since ∇tr Σ enters by a coefficient that is not
        known for it.
    rho_schedule: a factor of p that changes with time, a `Schedule` or any elementwise torch function of t with
        values of 0 or more; default 1. Weight decay enters at w, and never p. For the other options see
        `GradientDynamics`.
    micro_batch: number of samples m that have a p of their own (m-SAM): the batch is split into B/m parts, each with an
        ascent "same", and their gradients are averaged. Default None: one p for the batch. The discrete engine alone
        knows it.

    Raises
        ValueError: an unknown ascent or drift, a combination that is not defined, or what SGD refuses.
    """

    def __init__(
        self,
        surface: LossSurface,
        noise: Noise,
        *,
        perturbation: Callable | Perturbation,
        ascent: Ascent = "full",
        drift: Drift = "stop_gradient",
        rho_schedule: TimeFunction | None = None,
        micro_batch: Count | None = None,
        **options,
    ):
        super().__init__(surface, noise, **options)
        self.rho_schedule = require_schedule("rho_schedule", rho_schedule)
        self.ascent = checks.one_of("ascent", ascent, ASCENTS)
        self.drift = checks.one_of("drift", drift, DRIFTS)
        self.perturbation = perturbation if isinstance(perturbation, Perturbation) else Custom(perturbation)
        if drift != "stop_gradient" and ascent != "full":
            raise ArgumentError("drift", f"{drift!r} is defined for ascent 'full' only, got ascent {ascent!r}")
        if ascent == "same" and isinstance(self.perturbation, Custom) and not noise.additive:
            raise ArgumentError("ascent", "'same' with a perturbation of one's own needs constant noise")
        if self.is_exact:
            self._check_exact_perturbation(rho_schedule)
        self.micro_batch = None if micro_batch is None else self._checked_micro_batch(micro_batch)
        if ascent != "full":
            self.noise_type = "general"
        if ascent == "independent":
            self.channels = max(2 * noise.channels(surface.dim), self.dim if self.is_exact else 0)
        if self.drift_order == 2 and rho_schedule is not None:
            raise ArgumentError(
                "drift_order", "2 is known for plain steps only, not with rho_schedule; try drift_order 1"
            )

    def _check_exact_perturbation(self, rho_schedule: TimeFunction | None) -> None:
        if not isinstance(self.perturbation, Unnormalized):
            raise ArgumentError(
                "sde",
                "'exact' is for what is linear on a quadratic, SGD and USAM, not for another perturbation; "
                "try sde 'usual'",
            )
        for what, is_given in {
            "rho_schedule": rho_schedule is not None,
            "drift": self.drift != "stop_gradient",
        }.items():
            if is_given:
                raise ArgumentError("sde", f"'exact' is a model of the algorithm, without {what}; try sde 'usual'")

    def descent_curvature(self, w: torch.Tensor) -> torch.Tensor:
        """H(1+ρH) + κ for p = ρ g, with the Hessian H at w: with that at w^p it would not be symmetric."""
        if not isinstance(self.perturbation, Unnormalized):
            return super().descent_curvature(w)
        hessian = self.surface.hessian(w)
        return super().descent_curvature(w) + self.perturbation.rho * hessian @ hessian

    def _checked_micro_batch(self, micro_batch: int) -> int:
        if self.batch_size % checks.whole("micro_batch", micro_batch, low=1):
            raise ArgumentError(
                "micro_batch", f"expected a divisor of batch_size = {self.batch_size}, got {micro_batch}"
            )
        if self.ascent != "same":
            raise ArgumentError(
                "micro_batch", f"expected ascent 'same' with it, for each part has its own ascent, got {self.ascent!r}"
            )
        return micro_batch

    def _ascend(self, t: Time, w: torch.Tensor) -> _Ascent:
        gradient = self.surface.gradient(w)
        full = self.ascent == "full"
        spread = gradient.new_zeros(()) if full else self.minibatch_variance * self.noise.trace(w)[:, None]
        factor = factor_at(self.rho_schedule, t, w)
        return _Ascent(gradient, spread, factor, w + factor * self.perturbation(gradient, spread))

    def perturbed(self, t: Time, w: torch.Tensor) -> torch.Tensor:
        """w^p = w + p(∇ℓ(w)) (paths, dim) at time t."""
        return self._ascend(t, w).perturbed

    def _descend(self, w: torch.Tensor, ascent: _Ascent) -> torch.Tensor:
        gradient, spread, factor, perturbed = ascent
        if self.drift == "expansion":
            return gradient + self.surface.hessian_product(w, perturbed - w)
        descent = self.surface.gradient(perturbed)
        if self.drift == "total":
            chain = factor * self.perturbation.transposed_derivative(gradient, spread, descent)
            return descent + self.surface.hessian_product(w, chain)
        if self.ascent == "same" and not self.noise.additive:
            gain = factor * self.perturbation.gain(gradient, spread)
            return descent + (0.5 * self.minibatch_variance * gain) * self.noise.trace_gradient(w)
        return descent

    def _diffuse(self, w: torch.Tensor, ascent: _Ascent, z: torch.Tensor) -> torch.Tensor:
        descent_z, ascent_z = (z, z) if self.ascent != "independent" else z.chunk(2, dim=-1)
        noise = self.noise.product(ascent.perturbed, descent_z)
        if self.ascent == "full":
            return noise
        shift = self.perturbation.derivative(ascent.gradient, ascent.spread, self.noise.product(w, ascent_z))
        return noise + self.surface.hessian_product(ascent.perturbed, ascent.factor * shift)

    def _check_gradients(self, w: torch.Tensor) -> None:
        super()._check_gradients(w)
        gradient = self.surface.gradient(w)
        try:
            shape = called_twice("perturbation", "it", self.perturbation, gradient, gradient.new_zeros(())).shape
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError("perturbation", f"failed at the start, {type(error).__name__}: {error}") from error
        if shape != w.shape:
            raise ArgumentError(
                "perturbation", f"expected a vector of shape ({self.dim},) for one gradient, got {tuple(shape[1:])}"
            )

    def check_schedules(self, t_max: float) -> None:
        super().check_schedules(t_max)
        check_schedule("rho_schedule", self.rho_schedule, t_max)

    def descent(self, t: Time, w: torch.Tensor) -> torch.Tensor:
        return self._descend(w, self._ascend(t, w))

    def descent_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        if self.noise_type == "additive":
            return self.noise.product(w, z)
        return self._diffuse(w, self._ascend(t, w), z)

    def descent_and_noise(self, t: Time, w: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both at the cost of one ascent."""
        ascent = self._ascend(t, w)
        if self.ascent == "full" and self.drift == "stop_gradient":
            return self.gradient_and_noise(ascent.perturbed, z)
        return self._descend(w, ascent), self._diffuse(w, ascent, z)

    def transposed_noise(self, t: Time, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        if self.noise_type == "additive":
            return self.noise.transposed_product(w, direction)
        ascent = self._ascend(t, w)
        descent_z = self.noise.transposed_product(ascent.perturbed, direction)
        if self.ascent == "full":
            return descent_z
        shift = ascent.factor * self.surface.hessian_product(ascent.perturbed, direction)
        shift = self.perturbation.transposed_derivative(ascent.gradient, ascent.spread, shift)
        ascent_z = self.noise.transposed_product(w, shift)
        return descent_z + ascent_z if self.ascent == "same" else torch.cat([descent_z, ascent_z], dim=-1)

    def minibatch_gradient(self, t: Time, w: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
        """The gradient at w + p, with p from the gradient of the ascent's batch."""
        ascend = {"full": minibatch.full, "same": minibatch.descent, "independent": minibatch.ascent}[self.ascent]
        perturbation = self.perturbation.of_minibatch(ascend(w), lambda: minibatch.full(w))
        return minibatch.descent(w + factor_at(self.rho_schedule, t, w) * perturbation)

    def check_algorithm(self) -> None:
        if self.drift != "stop_gradient":
            raise ArgumentError(
                "drift",
                f"{self.drift!r} is a model of the algorithm; engine 'discrete' runs the algorithm itself, "
                "try drift 'stop_gradient'",
            )
        super().check_algorithm()

    def _largest_noise(self) -> float | None:
        return super()._largest_noise() if self.ascent == "full" else None


class USAM(PerturbedSGD):
    """Unnormalized SAM: p = ρ g. See `PerturbedSGD` for the equation, `ascent` and `drift`.

    On a quadratic with eigenvalue λ the drift is -λ(1+ρλ)w: a saddle attracts iff ρ > 1/|λ| for every negative λ
    (Kim et al., Theorem 1); the noise's factor is 1 (full), 1+ρλ (same) or √(1+(ρλ)²) (independent), exactly.
    """

    def __init__(self, surface: LossSurface, noise: Noise, *, rho: NonNegative, **options):
        super().__init__(surface, noise, perturbation=Unnormalized(rho), **options)
        self.rho = self.perturbation.rho


class SAM(PerturbedSGD):
    """SAM as it is run (Foret et al., ICLR 2021): p = ρ g/‖g‖, and 0 where g = 0.

    See `PerturbedSGD` for the equation, `ascent` and `drift`. With the ascent "same" or "independent" p is
    ρ (g+ξ)/‖g+ξ‖, whose mean and noise are closed by ‖g+ξ‖ → m = √(‖g‖² + tr Σ/B):
    p = ρ g/m and Dp = (ρ/m)(I - g gᵀ/m²).

    Against the minibatch's SAM gradient over ξ ~ N(0, Σ/B) (Monte Carlo, λ = ±2) drift and standard deviation are
    accurate to a tenth of the largest standard deviation (a fifth for strongly anisotropic noise in two dimensions)
    while ρ‖H‖ is at most about half of √(tr Σ/B), and better in higher dimension; they are exact for
    ‖∇ℓ‖ ≫ √(tr Σ/B). Along the gradient the standard deviation may come out a quarter too small. Where ρ‖H‖ is
    several times √(tr Σ/B) only the order of magnitude is right.
    """

    def __init__(self, surface: LossSurface, noise: Noise, *, rho: NonNegative, **options):
        super().__init__(surface, noise, perturbation=Normalized(rho), **options)
        self.rho = self.perturbation.rho


class DNSAM(PerturbedSGD):
    """SAM with the ascent divided by the norm of the full gradient: p = ρ (g + ξ)/‖∇ℓ‖ (Monzio Compagnoni et al.).

    See `PerturbedSGD` for the equation, `ascent` and `drift`. It has no value where ∇ℓ = 0; with the ascent "full"
    it is SAM.

    Raises
        ValueError: started where the gradient is zero.
    """

    def __init__(self, surface: LossSurface, noise: Noise, *, rho: NonNegative, **options):
        full = options.get("ascent", "full") == "full"
        perturbation = Normalized(rho) if full else NormalizedByFullGradient(rho)
        super().__init__(surface, noise, perturbation=perturbation, **options)
        self.rho = self.perturbation.rho

    def _check_gradients(self, w: torch.Tensor) -> None:
        super()._check_gradients(w)
        if (self.surface.gradient(w) == 0).all(-1).any():
            raise ArgumentError(
                "start",
                "DNSAM divides by the full gradient's norm, which is zero there; "
                "start beside the critical point, or use SAM",
            )
