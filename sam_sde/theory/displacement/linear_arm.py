"""An optimizer near a critical point, along eigenvectors of the Hessian: each of them moves by itself.

Along an eigenvector with eigenvalue λ a minibatch's direction is D x + κ(u·w*) - √V z for the coordinate x = u·(w-w*),
with κ the weight decay, V = c² uᵀΣu/B and

    SGD, or any ρ = 0                      D = λ + κ              c² = 1
    USAM, full-batch ascent                D = λ(1+ρλ) + κ        c² = 1
    USAM, the same batch                   D = λ(1+ρλ) + κ        c² = (1+ρλ)²
    USAM, an independent batch             D = λ(1+ρλ) + κ        c² = 1+(ρλ)²
    drift "total", full-batch ascent       D = λ(1+ρλ)² + κ       c² = 1

The last one is the drift of Kim et al. (arXiv 2301.06308, Theorem 2), not that of the algorithm, which has 1+ρλ once.
"""

from dataclasses import dataclass

import numpy as np
import torch

from sam_sde.dynamics import SGD, ConstantSchedule, Dynamics, GradientDynamics, PerturbedSGD
from sam_sde.dynamics.perturbations import Custom, Unnormalized
from sam_sde.errors import ArgumentError
from sam_sde.theory.displacement.expansion import Expansion
from sam_sde.theory.displacement.propagation import through_sde, through_steps


@dataclass(frozen=True, eq=False)
class LinearArm:
    """What the equations along the directions (directions,) are made of; see the module.

    eigenvalues: λ. rho: ρ, 0 for SGD. curvature: D of the SDE. algorithm_curvature: that of the algorithm, whatever
    drift models it. gain: c². variance: V, of a minibatch. constant: κ(u·w*), where weight
    decay pulls. lr, momentum, nesterov, drift_order, weight_decay: as the optimizer has them. velocity: whether the SDE
    has one, and equilibrium: whether it is drawn at the start. is_exact: whether the SDE is that with the algorithm's
    moments.
    """

    eigenvalues: np.ndarray
    rho: float
    curvature: np.ndarray
    algorithm_curvature: np.ndarray
    gain: np.ndarray
    variance: np.ndarray
    constant: np.ndarray
    lr: float
    momentum: float
    nesterov: bool
    drift_order: int
    weight_decay: float
    velocity: bool
    equilibrium: bool
    is_exact: bool = False

    @property
    def is_corrected(self) -> bool:
        """Whether its SDE is as far from the usual one as the algorithm is: a formula of that is off by as much."""
        return self.is_exact or self.drift_order == 2

    def of_sde(self, times: np.ndarray, mean: np.ndarray, variance: float) -> np.ndarray:
        """E x² (times, directions) of the SDE at `times` (times,), t = lr · steps.

        mean (directions,), variance: of x at the start.
        """
        drift, noise = self._with_velocity() if self.velocity else self._without()
        return _second_moments(*through_sde(drift, noise, times), self._start(mean, variance, self.velocity))

    def of_algorithm(self, counts: np.ndarray, mean: np.ndarray, variance: float) -> np.ndarray:
        """E x² (times, directions) of the algorithm after `counts` (times,) steps."""
        heavy = self.momentum > 0
        step, noise = self._heavy_step() if heavy else self._plain_step()
        return _second_moments(*through_steps(step, noise, counts), self._start(mean, variance, heavy))

    def _start(self, mean: np.ndarray, variance: float, velocity: bool) -> np.ndarray:
        """E y yᵀ (directions, n, n) of y = (x, 1), or (x, v, 1), at the start."""
        of_x = _matrix([[mean**2 + variance, mean], [mean, 1.0]])
        if not velocity:
            return of_x
        damping = 1.0 - self.momentum
        slope, level = (self.curvature / damping, self.constant / damping) if self.equilibrium else (0.0, 0.0)
        spread = self.variance / (2.0 * damping) if self.equilibrium else 0.0
        follow = _matrix([[np.ones_like(mean), 0.0], [slope, level], [0.0, 1.0]])
        return follow @ of_x @ follow.mT + _matrix([[0.0 * mean, 0.0, 0.0], [0.0, spread, 0.0], [0.0, 0.0, 0.0]])

    def _without(self) -> tuple[np.ndarray, np.ndarray]:
        """dx = -(Dx + constant)/(1-γ) dt + √(ηV)/(1-γ) dW; with the drift of second order D + ηD²/2 for D.

        Of the exact SDE -ln(1-ηD)/η for D, and the noise that belongs to it, see `sam_sde.dynamics.exact_steps`.
        """
        if self.is_exact:
            step = self.lr * self.curvature
            logarithm = np.log1p(-step)
            stretch = np.divide(-logarithm, step, where=step != 0, out=np.ones_like(step))
            spread = np.divide(2.0 * logarithm, np.expm1(2.0 * logarithm), where=step != 0, out=np.ones_like(step))
            rate, level = stretch * self.curvature, stretch * self.constant
            noise = self.lr * self.variance * spread
            return _matrix([[-rate, -level], [0.0, 0.0]]), _matrix([[noise, 0.0], [0.0, 0.0]])
        damping = 1.0 - self.momentum
        order = 1.0 + 0.5 * self.lr * self.curvature * (self.drift_order == 2)
        rate, level = order * self.curvature / damping, order * self.constant / damping
        return _matrix([[-rate, -level], [0.0, 0.0]]), _matrix([[self.lr * self.variance / damping**2, 0.0], [0, 0]])

    def _with_velocity(self) -> tuple[np.ndarray, np.ndarray]:
        """dx = -v dt, dv = (Dx + constant - (1-γ)v)/η dt - √(V/η) dW."""
        lr, damping = self.lr, 1.0 - self.momentum
        drift = _matrix([[0.0, -1.0, 0.0], [self.curvature / lr, -damping / lr, self.constant / lr], [0.0, 0.0, 0.0]])
        return drift, _matrix([[0.0, 0.0, 0.0], [0.0, self.variance / lr, 0.0], [0.0, 0.0, 0.0]])

    def _plain_step(self) -> tuple[np.ndarray, np.ndarray]:
        """x ← x - η(Dx + constant + ξ)."""
        lr = self.lr
        step = _matrix([[1.0 - lr * self.algorithm_curvature, -lr * self.constant], [0.0, 1.0]])
        return step, _matrix([[lr**2 * self.variance, 0.0], [0.0, 0.0]])

    def _heavy_step(self) -> tuple[np.ndarray, np.ndarray]:
        """v ← γv + g, x ← x - ηv, or x ← x - η(g + γv) for Nesterov's, with g = Dx + constant + ξ."""
        lr, momentum, curvature = self.lr, self.momentum, self.algorithm_curvature
        reach = lr * (1.0 + momentum if self.nesterov else 1.0)  # how far g takes x
        kept = lr * (momentum**2 if self.nesterov else momentum)  # and the old velocity
        step = _matrix(
            [
                [1.0 - reach * curvature, -kept, -reach * self.constant],
                [curvature, momentum, self.constant],
                [0.0, 0.0, 1.0],
            ]
        )
        noise = np.array([[reach**2, -reach, 0.0], [-reach, 1.0, 0.0], [0.0, 0.0, 0.0]])
        return step, self.variance[:, None, None] * noise


def _second_moments(power: np.ndarray, covariance: np.ndarray, start: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        found = (power @ start @ power.mT + covariance)[..., 0, 0]
    return np.where(np.isfinite(found), found, np.nan)


def _matrix(rows: list[list]) -> np.ndarray:
    """Rows of numbers, or of arrays (directions,), as matrices (directions, n, m)."""
    entries = np.broadcast_arrays(*(np.asarray(entry, dtype=float) for row in rows for entry in row))
    return np.stack(entries, -1).reshape(*entries[0].shape, len(rows), len(rows[0]))


def linear_arm(dynamics: Dynamics, at: Expansion) -> LinearArm:
    """The equations of an optimizer along the directions of an expansion, its noise that of the critical point.

    Raises
        ArgumentError: there are none: normalized SAM, which jumps where the gradient vanishes, a perturbation of one's
            own, schedules, a switch, or no optimizer on a surface.
    """
    dynamics = _require_linear(dynamics)
    values, rho = at.eigenvalues, getattr(dynamics, "rho", 0.0)
    ascent = dynamics.ascent if rho else "full"
    drift = getattr(dynamics, "drift", "stop_gradient")
    stretch = 1.0 + rho * values
    gain = {"full": np.ones_like(values), "same": stretch**2, "independent": 1.0 + (rho * values) ** 2}[ascent]
    decay = dynamics.weight_decay
    return LinearArm(
        eigenvalues=values,
        rho=rho,
        curvature=values * (stretch**2 if drift == "total" else stretch) + decay,
        algorithm_curvature=values * stretch + decay,
        gain=gain,
        variance=dynamics.minibatch_variance * gain * _sample_variance(dynamics, at),
        constant=decay * (at.location @ at.eigenvectors),
        lr=dynamics.lr,
        momentum=dynamics.momentum,
        nesterov=dynamics.nesterov,
        drift_order=dynamics.drift_order,
        weight_decay=decay,
        velocity=dynamics.state_dim != dynamics.dim,
        equilibrium=dynamics.draws_velocity,
        is_exact=dynamics.is_exact,
    )


def _sample_variance(dynamics: GradientDynamics, at: Expansion) -> np.ndarray:
    """uᵀΣu (directions,) at the critical point."""
    units = torch.from_numpy(np.ascontiguousarray(at.eigenvectors.T))
    w = torch.from_numpy(at.location).expand(len(units), -1)
    return dynamics.noise.transposed_product(w, units).square().sum(-1).numpy()


def _require_linear(dynamics: Dynamics) -> GradientDynamics:
    if len(dynamics.parts) > 1:
        raise _not_linear("it is one optimizer first and another one later")
    if not isinstance(dynamics, SGD | PerturbedSGD):
        raise _not_linear(f"no linear equation is known of {type(dynamics).__name__}")
    schedules = [dynamics.lr_schedule, getattr(dynamics, "rho_schedule", ConstantSchedule())]
    if any(not isinstance(schedule, ConstantSchedule) or schedule.factor != 1 for schedule in schedules):
        raise _not_linear("its learning rate or radius changes with time")
    if isinstance(dynamics, SGD) or getattr(dynamics, "rho", None) == 0:
        return dynamics
    if isinstance(dynamics.perturbation, Custom):
        raise _not_linear("its perturbation is a function of one's own")
    if not isinstance(dynamics.perturbation, Unnormalized):
        raise _not_linear(
            f"its perturbation has the length ρ = {dynamics.rho:g} however small the gradient, so that it jumps there"
        )
    return dynamics


def _not_linear(why: str) -> ArgumentError:
    return ArgumentError("dynamics", f"not linear near the critical point, {why}; try SGD or USAM")
