"""The discrete algorithm beside its SDE at the same time: differences of expectations, with their errors.

The algorithm is the discrete engine's. The SDE is integrated here, for a weak error can be measured only by an
integrator whose own is smaller: each step of length η is the noise of half of it, the flow of the drift (Kutta's method
of order 3), and the noise of the other half (Strang's splitting), each with the factor that the weights then have. As
the noise is of size √η itself, the error of expectations is O(η³), beside the O(η) or O(η²) that is to be measured.

Two devices make the standard errors small. With Gaussian gradient noise the algorithm and the SDE share their normals,
so that the differences are those of pairs. And each path has a control: what its own noise would have done to the test
function to first order about the path without noise. Its mean is exactly zero, and most of the spread is its.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sam_sde.checks import shown
from sam_sde.dynamics import Dynamics, GradientDynamics, PerturbedSGD, WithSGDNoise, times
from sam_sde.dynamics.exact_steps import largest_step
from sam_sde.dynamics.schedules import factor_at
from sam_sde.engines import ENGINES, Integration, integrate
from sam_sde.engines.brownian import KeyedBrownian
from sam_sde.engines.discrete.minibatches import Minibatches
from sam_sde.errors import ArgumentError
from sam_sde.escape.driver import resolve_device
from sam_sde.escape.start import Start, as_start, start_states
from sam_sde.noise import EmpiricalNoise
from sam_sde.parameters import Point
from sam_sde.random import Purpose, Stream
from sam_sde.statistics.weak_order import absolute_interval, controlled_mean, fitted_order
from sam_sde.weak.observables import OBSERVABLES, Observable, observable

ALGORITHM = ENGINES["discrete"]
# What changes at the end of a step, a step schedule say, is not seen before.
INSIDE = 1.0 - 1e-3
# lr · λ, up to which the steps resolve the SDE that is exact on quadratics: its own error may be zero.
MOST_RESOLVED = 0.3
# Of the samples of the descent, and of an independent ascent.
_PURPOSES = (Purpose.MINIBATCH, Purpose.ASCENT_MINIBATCH)


@dataclass(frozen=True)
class WeakComparison:
    """An algorithm and SDEs of it, to be compared at time t = steps · lr from the same start.

    algorithm: what the discrete engine runs. models: SDEs by name, all with the lr of the algorithm; the first one is
        of its own noise, and the controls are made with it.

    Raises
        ValueError: t is no whole number of steps, the algorithm is none for the discrete engine, an option has no SDE,
            or nothing can start there.
    """

    algorithm: Dynamics
    models: dict[str, Dynamics]
    start: Start
    t: float
    stream: Stream
    device: torch.device

    def __post_init__(self):
        lr = self.algorithm.lr
        if abs(self.t / lr - self.n_steps) > 1e-9 * self.n_steps or self.n_steps < 1:
            raise ArgumentError(
                "t",
                f"expected a whole number of steps of lr = {lr:g}, got {self.t / lr:.6g} of them; "
                "try learning rates that divide t",
            )
        self._own_model.check_sde()
        ALGORITHM.check(self._steps)
        self.algorithm.check_schedules(self.t)
        start = self.start.points(torch.zeros(1, dtype=torch.int64, device=self.device), self.stream)
        self.algorithm.check_start(start)
        self._own_model.check_start(start)
        self._check_resolved(start)

    def _check_resolved(self, start: Tensor) -> None:
        """Raises ValueError where steps of lr are too long to integrate the SDE that is exact on quadratics."""
        for model in self.models.values():
            if not isinstance(model, GradientDynamics) or not model.is_exact:
                continue
            largest = largest_step(model, start)
            if largest > MOST_RESOLVED:
                raise ArgumentError(
                    "lrs",
                    f"at {model.lr:g} lr · λ is {largest:.2g}, and above {MOST_RESOLVED:g} the error of "
                    "integration by such steps hides that of the exact SDE; try smaller ones",
                )

    @property
    def n_steps(self) -> int:
        return round(self.t / self.algorithm.lr)

    @property
    def _own_model(self) -> Dynamics:
        return next(iter(self.models.values()))

    @property
    def _steps(self) -> Integration:
        return Integration(dynamics=self.algorithm, stream=self.stream, dt=self.algorithm.lr)

    @torch.no_grad()
    def differences(self, observables: Sequence[Observable], n_paths: int) -> dict[str, list[tuple[float, float]]]:
        """For each model E g(w_k) - E g(W_t) and its standard error, for each test function g.

        Raises ValueError where a path became NaN or infinite.
        """
        responses = self._responses(observables)
        blocks = [self._block(paths, observables, responses) for paths in self._paths(n_paths)]
        controls = np.concatenate([controls for _, controls in blocks])
        return {
            name: [
                controlled_mean(np.concatenate([values[name][:, i] for values, _ in blocks]), controls[:, i])
                for i in range(len(observables))
            ]
            for name in self.models
        }

    def _paths(self, n_paths: int) -> Iterator[Tensor]:
        numbers = max(self.algorithm.state_dim, self._own_model.channels)
        size = ALGORITHM.block_size(numbers, n_paths, self.device.type == "cuda")
        return iter(torch.arange(n_paths, device=self.device).split(size))

    def _block(self, paths: Tensor, observables: Sequence[Observable], responses: list[Tensor]):
        """g(w) - g(W) of each model (paths, observables), and the controls (paths, observables, 2)."""
        start = self._start(paths)
        algorithm = self._values(self._algorithm_ends(start, paths), observables, "the algorithm")
        differences = {}
        for name, model in self.models.items():
            values = self._values(self._sde_ends(model, start, paths), observables, name)
            differences[name] = (algorithm - values).cpu().numpy()
        controls = [self._brownian_control(paths, responses), self._minibatch_control(paths, responses)]
        return differences, torch.stack(controls, dim=-1).cpu().numpy()

    def _start(self, paths: Tensor) -> Tensor:
        return start_states(self.start, self.algorithm, self.stream, paths, torch.float64)

    def _values(self, state: Tensor, observables: Sequence[Observable], who: str) -> Tensor:
        w = self.algorithm.weights(state)
        failed = int((~torch.isfinite(w).all(-1)).sum())
        if failed:
            raise ArgumentError(
                "lrs",
                f"at {self.algorithm.lr:g} paths of {who} became NaN or infinite, {failed} of {len(w)}; "
                "try smaller learning rates",
            )
        return torch.stack([observable.value(w) for observable in observables], dim=-1)

    def _algorithm_ends(self, state: Tensor, paths: Tensor) -> Tensor:
        return integrate(ALGORITHM.prepare(self._steps, state), self._steps, state, paths, 0, self.n_steps)

    def _halves(self, paths: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Normals (paths, channels) of the halves of each step; (z₁ + z₂)/√2 are those of the algorithm's own step."""
        brownian = KeyedBrownian(self.stream, paths, self._own_model.channels, torch.float64, 0)
        for step in range(self.n_steps):
            z, integral = brownian(step, step + 1, return_U=True)
            other = 12**0.5 * (integral - 0.5 * z)
            yield 0.5**0.5 * (z + other), 0.5**0.5 * (z - other)

    def _sde_ends(self, model: Dynamics, state: Tensor, paths: Tensor) -> Tensor:
        if model.state_dim != state.shape[-1]:  # of the overdamped limit
            state = model.weights(state)
        lr, size = model.lr, (0.5 * model.lr) ** 0.5
        for step, (first, second) in enumerate(self._halves(paths)):
            state = state + size * model.g_prod(times(step * lr, state), state, first)
            state = _flow(model, step * lr, state, lr)
            state = state + size * model.g_prod(times((step + INSIDE) * lr, state), state, second)
        return state

    def _responses(self, observables: Sequence[Observable]) -> list[Tensor]:
        """What each normal of each step does to the observables at the end, (observables, channels) for a step.

        It is the first order about the path without noise, up to a common factor.
        """
        model, lr = self._own_model, self.algorithm.lr
        mean = self.start.mean[None].to(self.device)
        path = [model.initial_state(mean, mean.new_zeros(1, model.channels))]
        for step in range(self.n_steps):
            path.append(path[-1] + lr * model.f(times(step * lr, path[-1]), path[-1]))
        slope = torch.cat([observable.gradient(model.weights(path[-1])) for observable in observables])
        responses = []
        for step in reversed(range(self.n_steps)):
            part, w = model.active(step * lr), model.weights(path[step]).expand(len(slope), -1)
            factor = factor_at(part.lr_schedule, step * lr, w)
            responses.append(factor * part.transposed_noise(times(step * lr, w), w, slope))
            turn = part.surface.hessian_product(w, slope) + part.weight_decay * slope
            slope = slope - (lr * factor / (1.0 - part.momentum)) * turn
        return [torch.nan_to_num(response, 0.0, 0.0, 0.0) for response in reversed(responses)]

    def _brownian_control(self, paths: Tensor, responses: list[Tensor]) -> Tensor:
        """Σ over steps of the responses to the normals (paths, observables)."""
        steps = zip(self._halves(paths), responses, strict=True)
        return sum((first + second)[:, : response.shape[1]] @ response.T for (first, second), response in steps)

    def _minibatch_control(self, paths: Tensor, responses: list[Tensor]) -> Tensor:
        """The same for the samples that the algorithm draws: a channel belongs to a sample, and the mean of a response
        over the samples is zero. Without data there are none, and the control is zero.
        """
        control = torch.zeros(len(paths), responses[0].shape[0], dtype=torch.float64, device=paths.device)
        drawn: dict[Dynamics, Minibatches] = {}
        for step, response in enumerate(responses):
            part = self.algorithm.active(step * self.algorithm.lr)
            noise = part.noise
            if not isinstance(noise, EmpiricalNoise):
                continue
            if part not in drawn:
                drawn[part] = Minibatches(self.stream, paths, noise.n_samples, part.batch_size, noise.sampling)
            of_batch = zip(response.split(noise.n_samples, dim=1), _PURPOSES, strict=False)
            for of_samples, purpose in of_batch:
                control += of_samples[:, drawn[part].numbers(step, purpose)].mean(-1).T
        return control


def _flow(model: Dynamics, t: float, x: Tensor, dt: float) -> Tensor:
    """The drift alone from t to t + dt, by Kutta's method of order 3."""
    k1 = model.f(times(t, x), x)
    k2 = model.f(times(t + 0.5 * dt, x), x + 0.5 * dt * k1)
    k3 = model.f(times(t + INSIDE * dt, x), x + dt * (2.0 * k2 - k1))
    return x + (dt / 6.0) * (k1 + 4.0 * k2 + k3)


def with_sgd_noise(model: Dynamics) -> WithSGDNoise | None:
    """The SDE of a variant of SAM with SGD's covariance; None where it has that, or is no single optimizer."""
    if not isinstance(model, PerturbedSGD) or (model.ascent == "full" and model.noise.additive):
        return None
    return WithSGDNoise(model)


def weak_errors(
    optimizer: Callable[[float], Dynamics],
    *,
    start: Point | Start,
    t: float,
    lrs: Sequence[float],
    test_functions: Sequence[str] = OBSERVABLES,
    n_paths: int = 20_000,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> pd.DataFrame:
    """How far the SDE's mean of a function of the weights is from the algorithm's at time t = lr · steps.

    optimizer: from a learning rate to the optimizer. lrs: learning rates that divide t. test_functions: "loss",
        "squared_norm", "gradient_norm", "x0", "x1", …

    Returns a row for each learning rate and function: lr, test_function, error |E g(w) - E g(W)|, error_low,
    error_high (95 %). `weak_orders` gives the power of lr with which they vanish.

    Raises
        ArgumentError: t is no whole number of steps, an option has no SDE or is no algorithm, a path became infinite.
    """
    rows = []
    for lr in lrs:
        dynamics = optimizer(lr)
        if not isinstance(dynamics, Dynamics) or dynamics.lr != lr:
            raise ArgumentError(
                "optimizer", f"expected an optimizer of the learning rate {lr:g}, got {shown(dynamics)}"
            )
        compared = WeakComparison(
            dynamics,
            {"SDE": dynamics},
            as_start(start, dynamics.dim),
            t,
            Stream(seed, repr(lr)),
            resolve_device(device),
        )
        functions = [observable(name, dynamics.surface) for name in test_functions]
        differences = compared.differences(functions, n_paths)["SDE"]
        rows += [(lr, g.name, *absolute_interval(*found)) for g, found in zip(functions, differences, strict=True)]
    return pd.DataFrame(rows, columns=["lr", "test_function", "error", "error_low", "error_high"])


def weak_orders(errors: pd.DataFrame) -> pd.DataFrame:
    """The fitted order of each test function in `weak_errors`, with its 95 % interval; empty where none shows."""
    rows = []
    for name, of_one in errors.groupby("test_function", sort=False):
        columns = (of_one[column].to_numpy() for column in ("lr", "error", "error_low", "error_high"))
        rows.append((name, *fitted_order(*columns)))
    return pd.DataFrame(rows, columns=["test_function", "order", "order_low", "order_high"])
