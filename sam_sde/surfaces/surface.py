"""A loss surface: a torch function of one weight vector, and its derivatives batched over paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sam_sde.checks import one_of, real, shown, vector, whole
from sam_sde.errors import ArgumentError
from sam_sde.layout import in_columns
from sam_sde.purity import called_twice

KINDS = ("minimum", "saddle", "maximum")

GRADIENTS_COMPARED = 8  # points at which a gradient that was given is held against that of the loss


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes; `kind` is minimum, saddle (degenerate ones too) or maximum."""

    location: tuple[float, ...]
    kind: str

    def __post_init__(self):
        one_of("kind of a critical point", self.kind, KINDS)
        object.__setattr__(self, "location", tuple(real("location", x) for x in self.location))


class LossSurface:
    """A loss ℓ(w) with its gradient ∇ℓ, Hessian H and products H v, for many weight vectors at once.

    `loss` is any differentiable torch function of ONE weight vector w of shape (dim,) that returns a scalar;
    the batching over paths is done here. The methods take states of shape (paths, dim) and keep their dtype
    and device, and do no checks: `check_at` does those once, at the start. All may be nested in `torch.func.vjp`
    along w, and all but `gradient` in any transform of `torch.func`; there use `torch.func.grad(surface.loss)`. A
    surface can be pickled where its `loss` can.

    `critical_points` are those that are known.
    gradient: ∇ℓ where it is known, a differentiable torch function from MANY weight vectors (paths, dim) to as many
        (paths, dim): for few paths several times as fast as the derivative by torch, with which it is compared.

    Raises ValueError for a loss that is not callable, or writes into w, draws random numbers or counts its calls; a dim
    below 1, and critical points that do not fit dim; a gradient that is not that of the loss.
    """

    def __init__(
        self,
        loss: Callable[[torch.Tensor], torch.Tensor],
        dim: int,
        *,
        name: str = "custom",
        critical_points: Sequence[CriticalPoint] = (),
        gradient: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ):
        if not callable(loss):
            raise ArgumentError("loss", f"expected a function of one weight vector, got {loss!r}")
        self.loss = loss
        self._known_gradient = (gradient, loss)  # of that loss, should another one be put in its place
        self.dim = whole("dim", dim, low=1)
        self.name = name
        self.critical_points = tuple(critical_points)
        for point in self.critical_points:
            vector(f"critical point of the surface {name!r}", point.location, self.dim)
        self._check_repeatable()
        self._check_gradient(_somewhere(self.dim)[None])
        self._slope_is_known = gradient is not None and self._has_slope(gradient, _somewhere(self.dim)[None])

    def __repr__(self) -> str:
        return f"LossSurface(name={self.name!r}, dim={self.dim})"

    # The transforms are made at every call: that takes 10 µs, an evaluation takes 300 µs or more, and a
    # surface that keeps no transformed functions can be pickled and copied as it is.

    def value(self, w: torch.Tensor) -> torch.Tensor:
        """ℓ(w): (paths, dim) to (paths,)."""
        return torch.func.vmap(self.loss)(w).to(w.dtype)

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        """∇ℓ(w): (paths, dim) to (paths, dim)."""
        known, loss = self._known_gradient
        if known is not None and loss is self.loss:
            return in_columns(known(w).to(w.dtype))
        if w.requires_grad or torch.compiler.is_compiling():  # it is differentiated again, or autograd cannot be seen
            return self._gradient_by_transforms(w)
        return self._gradient_by_autograd(w)

    def _gradient_by_autograd(self, w: torch.Tensor) -> torch.Tensor:
        # The paths do not interact, so the gradient of the sum holds theirs: twice as fast as vmap(grad(loss)).
        with torch.inference_mode(False), torch.enable_grad():
            leaf = (w.clone() if w.is_inference() else w.detach()).requires_grad_()
            return in_columns(torch.autograd.grad(torch.func.vmap(self.loss)(leaf).sum(), leaf)[0])

    def _gradient_by_transforms(self, w: torch.Tensor) -> torch.Tensor:
        # Not vmap(grad(loss)): its derivatives are wrong where torch's layer norm or instance norm is in the loss.
        return torch.func.grad(lambda w: torch.func.vmap(self.loss)(w).sum())(w)

    def hessian(self, w: torch.Tensor) -> torch.Tensor:
        """H(w) = ∇²ℓ(w): (paths, dim) to (paths, dim, dim)."""
        directions = torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
        if self._gradient_with_slope is not None:
            _, product = torch.func.vjp(lambda w: self._gradient_with_slope(w).to(w.dtype), w)
            return torch.func.vmap(lambda v: product(v.expand_as(w))[0], out_dims=1)(directions)

        def rows(point: torch.Tensor) -> torch.Tensor:
            # Reverse mode twice: four times as fast as torch.func.hessian, whose forward mode runs in Python.
            _, product = torch.func.vjp(torch.func.grad(self.loss), point)
            return torch.func.vmap(product)(directions)[0]

        return torch.func.vmap(rows)(w)

    def hessian_product(self, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """H(w) v without the matrix: two tensors (paths, dim) to (paths, dim)."""

        # Reverse over reverse gives Hᵀv = Hv, and is as much faster as it is for the Hessian.
        gradient = self._gradient_with_slope or self._gradient_by_transforms
        return torch.func.vjp(lambda w: gradient(w).to(w.dtype), w)[1](v)[0]

    @property
    def _gradient_with_slope(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """∇ℓ as it was given, where it belongs to the loss and its derivative is the Hessian."""
        known, loss = self._known_gradient
        return known if self._slope_is_known and loss is self.loss else None

    def finite_hessian(self, point: torch.Tensor, name: str) -> torch.Tensor:
        """H (dim, dim) at the point (dim,) which the argument `name` gave, after `check_at` there.

        Raises ArgumentError where it is not finite.
        """
        self.check_at(point[None], name)
        hessian = self.hessian(point[None])[0]
        if not torch.isfinite(hessian).all():
            raise ArgumentError(name, f"the Hessian at {shown(point.tolist())} is not finite")
        return hessian

    def check_at(self, w: torch.Tensor, name: str = "start") -> None:
        """Checks the loss at `w` (paths, dim), which the argument `name` gave: normally where paths start.

        Raises ArgumentError where w does not have dim coordinates, or the loss is not a finite scalar with a
        finite gradient at each of them, computed by torch from w without branches on its values.
        """
        if not isinstance(w, torch.Tensor) or w.ndim != 2 or not w.is_floating_point():
            got = f"{w.dtype}, {tuple(w.shape)}" if isinstance(w, torch.Tensor) else repr(w)
            raise ArgumentError(name, f"expected a floating point tensor of shape (paths, dim), got {got}")
        if w.shape[1] != self.dim:
            raise ArgumentError(name, f"expected {_count(self.dim, 'coordinate')}, got {w.shape[1]}")
        if w.shape[0] == 0:
            raise ArgumentError(name, "expected at least one path, got none")
        w = w.detach()
        _require_finite(name, "the point", w, w)
        self._check_gradient(w)
        self._check_one(w[0])
        self._check_batch(name, w)

    def _check_repeatable(self) -> None:
        """Raises ArgumentError where the loss writes into w or gives something else each time, at any point that does.

        It is asked before the loss is: one that writes would change what the caller holds. Where it fails here it may
        be defined elsewhere, and `check_at` looks again.
        """
        try:
            self._called_twice(_somewhere(self.dim))
        except ArgumentError:
            raise
        except Exception:
            return

    def _check_gradient(self, w: torch.Tensor) -> None:
        """Raises ArgumentError where the gradient that was given is another one than that of the loss, near w.

        Not at w itself, for rounding is all that is left of it at a critical point.
        """
        known, loss = self._known_gradient
        if known is None or loss is not self.loss:
            return
        w = w[:GRADIENTS_COMPARED].double()
        w = w + 1e-3 * (1.0 + w.abs()) * _somewhere(self.dim).to(w)
        try:
            expected = self._gradient_by_autograd(w)
        except Exception:  # the loss is not defined there, or is told of elsewhere
            return
        try:
            got = called_twice("gradient", "the gradient", known, w)
        except ArgumentError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())
            raise ArgumentError(
                "gradient", f"it raised {type(error).__name__}: {said} (it is called with many weights, (paths, dim))"
            ) from error
        if not isinstance(got, torch.Tensor) or got.shape != w.shape:
            raise ArgumentError("gradient", f"expected the shape {tuple(w.shape)} of w (paths, dim), got {shown(got)}")
        scale = expected.abs().amax(1, keepdim=True)
        other = ((got - expected).abs() > 1e-6 * scale).any(1).nonzero().flatten().tolist()
        if other:
            at, right, wrong = (shown(each[other[0]].tolist()) for each in (w, expected, got))
            raise ArgumentError("gradient", f"expected that of the loss, {right} at {at}, got {wrong}")

    def _has_slope(self, gradient: Callable[[torch.Tensor], torch.Tensor], w: torch.Tensor) -> bool:
        """Whether torch differentiates a gradient at w to the Hessian of the loss: not where it is made without it."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = w.clone().requires_grad_()
            try:
                slopes = torch.autograd.grad(torch.func.vmap(self.loss)(leaf).sum(), leaf, create_graph=True)[0]
                found = [torch.autograd.grad(each, leaf, w.sin())[0] for each in (slopes, gradient(leaf))]
            except Exception:  # it cannot be differentiated, or the loss is not defined there
                return False
        return torch.allclose(*found, rtol=1e-6, atol=0.0)

    def _called_twice(self, w: torch.Tensor) -> torch.Tensor:
        """The loss at one point w (dim,), without transforms."""
        with torch.inference_mode(False), torch.enable_grad():
            return called_twice("surface", "the loss", self.loss, w.clone().requires_grad_())

    def _check_one(self, w: torch.Tensor) -> None:
        """The loss at one point: here its own errors are the easiest to read."""
        try:
            value = self._called_twice(w)
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError("surface", _explained(error, self.dim)) from error
        if not isinstance(value, torch.Tensor):
            raise ArgumentError(
                "surface",
                f"the loss must return a torch scalar, got {type(value).__name__}; "
                "compute it from w with torch operations, without .item(), float() or numpy",
            )
        if value.ndim != 0:
            raise ArgumentError(
                "surface",
                f"the loss of one weight vector must be a scalar, got shape {tuple(value.shape)}; "
                "try .sum(), .mean() or an index such as [0]",
            )
        if not value.is_floating_point():
            raise ArgumentError("surface", f"the loss must be a floating point number, got {value.dtype}")
        if not value.requires_grad:
            raise ArgumentError(
                "surface",
                "the loss has no gradient: its result does not depend on w through torch operations; "
                "compute it from w without .item(), .detach(), torch.tensor(...) or torch.no_grad()",
            )

    def _check_batch(self, name: str, w: torch.Tensor) -> None:
        """Value and gradient on all paths, as a simulation will ask for them."""
        try:
            value, gradient = self.value(w), self.gradient(w)
        except Exception as error:
            raise ArgumentError("surface", _explained(error, self.dim)) from error
        _require_finite(name, "the loss", value, w)
        _require_finite(name, "the gradient of the loss", gradient, w)


def _somewhere(dim: int) -> torch.Tensor:
    """A point (dim,) with different coordinates, none of them 0."""
    return torch.arange(1, dim + 1, dtype=torch.float64).cos()


def require_surface(surface: object) -> LossSurface:
    """The surface; ValueError for anything else."""
    if not isinstance(surface, LossSurface):
        raise ArgumentError("surface", f"expected a LossSurface(loss, dim), got {shown(surface)}")
    return surface


def _require_finite(name: str, what: str, values: torch.Tensor, w: torch.Tensor) -> None:
    finite = torch.isfinite(values.reshape(len(values), -1)).all(dim=1)
    if not finite.all():
        path = int(finite.logical_not().nonzero()[0])
        place = ", ".join(f"{x:g}" for x in w[path, :8].tolist()) + (", …" if w.shape[1] > 8 else "")
        raise ArgumentError(
            name,
            f"{what} is not finite for {int((~finite).sum())} of {_count(len(w), 'path')}, "
            f"first for path {path} at ({place}); start where the loss is finite and smooth",
        )


# What torch says when it meets each common mistake (lower case), and what the user should do about it.
_ADVICE = {
    "control flow": "vmap runs all paths at once, so use torch.where(condition, a, b) instead of if or while",
    "dynamic shape": "use torch.where(condition, a, b) instead of selecting elements with a mask",
    ".item()": "compute the loss with torch operations only, without .item() or float()",
    "numpy": "use the torch function of the same name instead of numpy's",
    "data pointer": "compute the loss with torch operations only, without numpy or .tolist()",
    "random": "the loss must give the same result at every call: draw random numbers outside of it",
    "dtype": "give constants the type and device of w with .to(w)",
    "same device": "give constants the type and device of w with .to(w)",
    "in-place": "build a new tensor, for instance with torch.stack or torch.where, instead of changing one",
    "inplace": "build a new tensor, for instance with torch.stack or torch.where, instead of changing one",
}


def _explained(error: Exception, dim: int) -> str:
    """One line for an exception that the loss raised, with what to try."""
    said = " ".join(str(error).split())
    advice = next((text for sign, text in _ADVICE.items() if sign in said.lower()), None)
    if advice is None:
        advice = f"the loss is called with one weight vector w of shape ({dim},)"
    said = said if len(said) <= 160 else said[:160] + "…"
    return f"the loss raised {type(error).__name__}: {said} ({advice})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
