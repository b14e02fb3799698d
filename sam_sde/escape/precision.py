"""Where single precision cannot be right, although steps are summed apart: what is evaluated at rounded weights.

Far from zero the weights have few digits left for what matters: a gradient that changes within a unit in their last
place is not seen, and a loss that cancels has lost its digits.
"""

import torch

from sam_sde.dynamics import Dynamics, GradientDynamics, PerturbedSGD
from sam_sde.dynamics.perturbations import Normalized, NormalizedByFullGradient
from sam_sde.regions import Region

# Relative errors from which there is a warning: of a gradient or a level; of a gradient beside the noise of all time.
ERROR = 0.01
BESIDE_NOISE = 0.1

# What rounding of the weights changes in the gradient, over what drives paths there. Below this the mean escape time
# from a quadratic saddle is right to 1 %.
BLIND = 1.0

FEWEST_UNITS = 4  # in the last place of the weights, that SAM's radius should have

LOOK_AHEAD = 32  # steps

REMEDY = "try dtype: float64, or move the problem towards zero"


def precision_warnings(
    dynamics: Dynamics, start: torch.Tensor, t_max: float, dtype: torch.dtype, region: Region | None = None
) -> list[str]:
    """Why paths from `start` (dim,) to t_max may come out wrong in single precision; one sentence for each reason.

    Nothing is said of double precision, nor of losses, noises and regions that cannot be evaluated in it.
    """
    if dtype != torch.float32:
        return []
    exact = start.double()[None]
    try:
        found = [warning for part in dynamics.parts for warning in _of_optimizer(part, exact, t_max)]
        found.append(None if region is None else _of_region(region, exact))
    except Exception:  # whatever a function that knows one dtype raises
        return []
    return [f"single precision: {warning}; {REMEDY}" for warning in dict.fromkeys(found) if warning]


def unit_in_the_last_place(w: torch.Tensor) -> float:
    """Of the largest weight, in single precision."""
    return torch.finfo(torch.float32).eps * w.abs().max().item()


def _of_optimizer(dynamics: Dynamics, exact: torch.Tensor, t_max: float) -> list[str | None]:
    if not isinstance(dynamics, GradientDynamics):
        return []
    gradient = dynamics.surface.gradient(exact)
    size, variance = gradient.norm().item(), _variance(dynamics, exact)
    found = [_wrong_gradient(dynamics, exact, gradient, (variance / t_max) ** 0.5)]
    found.append(_blind(dynamics, exact, size, variance))
    found.append(_small_radius(dynamics, exact))
    return found


def _variance(dynamics: GradientDynamics, w: torch.Tensor) -> float:
    """tr(g gᵀ) of plain steps at w (1, dim)."""
    return dynamics.noise_scale**2 * dynamics.noise.trace(w).item()


def _wrong_gradient(
    dynamics: GradientDynamics, exact: torch.Tensor, gradient: torch.Tensor, noise: float
) -> str | None:
    """noise: the drift that moves weights as far as the noise does in all time."""
    rounded = dynamics.surface.gradient(exact.float()).double()
    error, size = (rounded - gradient).norm().item(), gradient.norm().item()
    if error <= ERROR * size or error <= BESIDE_NOISE * noise:
        return None
    return f"the gradient at the start has norm {rounded.norm().item():.3g} there, and {size:.3g} in double precision"


def _blind(dynamics: GradientDynamics, exact: torch.Tensor, size: float, variance: float) -> str | None:
    """Whether weights may stay where they are rounded to, instead of following a gradient that changes there."""
    half_a_unit = 0.5 * unit_in_the_last_place(exact)
    signs = torch.cos(torch.arange(1, exact.shape[1] + 1, device=exact.device)).sign().to(exact)[None]
    slope = dynamics.surface.hessian_product(exact, signs).norm().item()
    if not variance and size <= 8 * torch.finfo(exact.dtype).eps * slope * exact.norm().item():
        return None  # at a critical point without noise, nothing moves
    driven = max(size, (variance * slope / signs.norm().item()) ** 0.5)
    if not half_a_unit * slope > BLIND * driven:  # not a number where there is no Hessian
        return None
    return (
        f"the gradient at the start changes by {half_a_unit * slope:.3g} where weights are rounded (to "
        f"{2 * half_a_unit:.3g}), and that is more than moves them there, {driven:.3g}"
    )


def _small_radius(dynamics: GradientDynamics, exact: torch.Tensor) -> str | None:
    if not isinstance(dynamics, PerturbedSGD):
        return None
    if not isinstance(dynamics.perturbation, Normalized | NormalizedByFullGradient):
        return None
    rho, unit = dynamics.perturbation.rho, unit_in_the_last_place(exact)
    if rho == 0 or rho >= FEWEST_UNITS * unit:
        return None
    return f"rho = {rho:g} is {rho / unit:.2g} units in the last place of the weights at the start ({unit:.2g})"


def _of_region(region: Region, exact: torch.Tensor) -> str | None:
    """Of a level that is a distance nothing is lost; another one is evaluated at rounded weights."""
    if region.slope is not None:
        return None
    level, rounded = region.levels(exact), region.levels(exact.float()).double()
    face = torch.zeros(1, dtype=torch.int64, device=exact.device)
    unit = region.normal(exact, face).abs().max().item() * unit_in_the_last_place(exact)
    depth = -level.max().item()
    error = max((rounded - level).abs().max().item(), unit)
    if error <= ERROR * depth:
        return None
    return f"the region's level at the start is {-depth:.3g} and has an error of {error:.2g} there"


def overflow_warning(dynamics: Dynamics, dt: float, points: torch.Tensor) -> str | None:
    """What helps paths that failed in single precision: their last finite weights `points` (paths, dim) tell.

    In double precision the drift takes some of them on from there for a few steps of dt, and in single precision not.
    """
    if points.dtype != torch.float32 or not len(points):
        return None
    try:
        on = [_goes_on(dynamics, dt, w) for w in (points, points.double())]
    except Exception:  # whatever a function that knows one dtype raises
        return None
    if not (on[1] & ~on[0]).any():
        return None
    return "paths failed where single precision overflows and double precision does not; try dtype: float64"


def _goes_on(dynamics: Dynamics, dt: float, w: torch.Tensor) -> torch.Tensor:
    """Whether the drift leads from the weights to finite states (paths,), for a few steps."""
    state = dynamics.initial_state(w, w.new_zeros(len(w), dynamics.channels))
    for step in range(LOOK_AHEAD):
        state = state + dt * dynamics.f(step * dt, state)
    return torch.isfinite(state).all(-1)
