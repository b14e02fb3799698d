"""What every optimizer has as a stochastic differential equation, in torchsde's protocol."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import TypeVar, Union

import torch

from sam_sde.dynamics.minibatch import Minibatch
from sam_sde.errors import ArgumentError, InputError
from sam_sde.purity import called_twice

# What an algorithm has beside its step: the gradients of minibatches are made from it.
MAKES_MINIBATCHES = ("surface", "noise", "batch_size", "ascent", "micro_batch")

Time = Union[float, "torch.Tensor"]
Chosen = TypeVar("Chosen")


def times(t: Time, x: torch.Tensor) -> torch.Tensor:
    """One time for all states x (paths, …) as dynamics are told it: (paths, 1), in the dtype and on the device of x."""
    if isinstance(t, torch.Tensor):
        return t.to(x).expand(len(x), 1)
    return x.new_full((len(x), 1), t)


class Dynamics(abc.ABC):
    """dx = f(t, x) dt + g(t, x) dW in Itô's sense, with t = lr · steps; x is the weights w, or weights and velocity.

    A subclass gives the drift `f`, and the diffusion either as `g` or as the two products `g_prod` and
    `g_transpose_prod`; with those two no matrix is ever formed. One that is an algorithm too gives its `step`.

    Shapes: states x (paths, state_dim) with the weights first, z (paths, channels), and the time t always a tensor
    (paths, 1) of the dtype and on the device of x, since paths are asked about at different times: `torch.exp(-t) * x`,
    `torch.where(t < 1, a, b)`, and `torch.exp(-t)[..., None] * matrix` for a `g` that is a matrix. None of the methods
    may write into its arguments. The optimizers of this package take a number for t as well.

    Attributes
        dim: number of weights.
        state_dim: number of coordinates of a state, `dim` where it has no velocity.
        channels: number of independent Brownian motions.
        lr: learning rate η, the time of one step of the optimizer.
        noise_type: "additive" (g (paths, state_dim, channels) does not depend on x), "diagonal" (g is (paths,
            state_dim)) or "general".
    """

    sde_type = "ito"
    noise_type = "general"
    dim: int
    channels: int
    lr: float

    @property
    def state_dim(self) -> int:
        return self.dim

    @property
    def parts(self) -> list[Dynamics]:
        """The optimizers that this one is made of: itself alone, but for a switch."""
        return [self]

    def active(self, t: float) -> Dynamics:
        """The one of `parts` that takes the step which begins at time t."""
        return self

    def choose(self, t: Time, of: Callable[[Dynamics], Chosen]) -> Chosen:
        """`of` the optimizer that is active at time t, tensors or a tuple of them; see `Switch`."""
        return of(self)

    @property
    def draws_velocity(self) -> bool:
        """Whether `initial_state` needs random numbers."""
        return False

    def initial_state(self, w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The state (paths, state_dim) of paths that start at the weights w (paths, dim).

        z (paths, channels) are standard normals, for a velocity that is drawn.
        """
        return w

    def weights(self, state: torch.Tensor) -> torch.Tensor:
        """The weights (…, dim) of states (…, state_dim)."""
        return state[..., : self.dim]

    @abc.abstractmethod
    def f(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        """Drift (paths, state_dim)."""

    def g_prod(self, t: Time, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """g(t, x) z (paths, state_dim)."""
        factor = self.g(t, x)
        return factor * z if self.noise_type == "diagonal" else torch.einsum("pij,pj->pi", factor, z)

    def g_transpose_prod(self, t: Time, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """g(t, x)ᵀ d (paths, channels): its square is the variance along d that a crossing needs."""
        factor = self.g(t, x)
        return factor * direction if self.noise_type == "diagonal" else torch.einsum("pij,pi->pj", factor, direction)

    def covariance(self, t: Time, x: torch.Tensor) -> torch.Tensor:
        """g gᵀ (paths, state_dim, state_dim), the covariance of the noise for a unit of time.

        Where there is no `g` it takes a product with each unit vector of the state.
        """
        if not hasattr(self, "g"):
            units = torch.eye(self.state_dim, dtype=x.dtype, device=x.device)
            factor = torch.stack([self.g_transpose_prod(t, x, unit.expand_as(x)) for unit in units], dim=1)
        elif self.noise_type == "diagonal":
            factor = torch.diag_embed(self.g(t, x))
        else:
            factor = self.g(t, x)
        return factor @ factor.mT

    def step(self, t: Time, state: torch.Tensor, minibatches: Iterable[Minibatch]) -> torch.Tensor:
        """One step of the algorithm itself from `state` (paths, state_dim) at time t; to the next state.

        The state comes in float64, so that small steps far from zero are not lost; the gradients of `minibatches`, one
        or the micro-batches of the step, are in the dtype of the run. Raises ValueError where no algorithm is known.
        """
        raise self._no_algorithm(["step"])

    def check_algorithm(self) -> None:
        """Raises ValueError where this is no algorithm: it has no `step`, or nothing to make minibatches from."""
        missing = [] if type(self).step is not Dynamics.step else ["step"]
        missing += [name for name in MAKES_MINIBATCHES if not hasattr(self, name)]
        if missing:
            raise self._no_algorithm(missing)

    def _no_algorithm(self, missing: list[str]) -> ArgumentError:
        return ArgumentError(
            "engine",
            f"no algorithm is known of {type(self).__name__}, which has no {', no '.join(missing)}; "
            "try an engine for SDEs such as 'torchsde', or derive it from SGD",
        )

    def check_sde(self) -> None:
        """Raises ValueError where this has what only an algorithm has: an SDE knows nothing of it."""
        return

    def largest_variance(self) -> float | None:
        """A bound on |gᵀd|² over all t, x and unit directions d of the weights, where one is known.

        It saves work far from a boundary.
        """
        return None

    def check_schedules(self, t_max: float) -> None:
        """Raises ValueError where something that changes with time has no valid value up to t_max."""
        return

    def check_start(self, w: torch.Tensor) -> None:
        """Raises ValueError where the dynamics cannot start from the weights w (paths, dim)."""
        z = uneven(w, self.channels)
        state = self.initial_state(w, z)
        self.check_method("f", state)
        self.check_method("g_prod", state, z)
        t = times(0.0, state)
        if not torch.isfinite(self.f(t, state)).all():
            raise ArgumentError("start", "the drift there is not finite")
        if not torch.isfinite(self.g_prod(t, state, z)).all():
            raise ArgumentError("start", "the noise there is not finite")

    def check_method(self, name: str, state: torch.Tensor, *others: torch.Tensor) -> None:
        """Tries the method `name`, which takes (t, state, *others), on two paths in `state` (paths, state_dim).

        Raises ValueError where it fails, writes into its arguments, gives something else at the second call, or no
        tensor of the right shape and dtype.
        """
        two = torch.arange(2, device=state.device).clamp(max=len(state) - 1)
        state, others = state[two], [other[two] for other in others]
        expected = (2, self.channels) if name == "g_transpose_prod" else tuple(state.shape)
        who = f"{type(self).__name__}.{name}"
        try:
            result = called_twice("dynamics", who, getattr(self, name), times(0.0, state), state, *others)
        except InputError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise ArgumentError(
                "dynamics",
                f"{who} failed on two paths with {type(error).__name__}: {said}; the time t is a tensor (paths, 1) of "
                "the dtype of the states: try torch.exp(-t), torch.where(t < 1, a, b), t[..., None] beside a matrix",
            ) from error
        got = (tuple(result.shape), result.dtype) if isinstance(result, torch.Tensor) else type(result).__name__
        if got != (expected, state.dtype):
            raise ArgumentError(
                "dynamics", f"expected {expected} numbers of {state.dtype} from {who} for two paths, got {got}"
            )


def covers(one: object, method: str, *parts: str) -> bool:
    """Whether a method that does at once what `parts` do one by one still does: none was written anew in a subclass."""
    classes = type(one).__mro__
    place = {name: next(i for i, each in enumerate(classes) if name in vars(each)) for name in (method, *parts)}
    return all(place[method] <= place[part] for part in parts)


def uneven(w: torch.Tensor, channels: int) -> torch.Tensor:
    """A value of the noise (paths, channels) that probes it: all alike would be none for an empirical covariance."""
    return torch.cos(torch.arange(1, channels + 1, device=w.device)).to(w).expand(len(w), -1)
