"""Exact escape times, in one or two dimensions."""

from __future__ import annotations

from sam_sde.dynamics import Dynamics
from sam_sde.parameters import Point
from sam_sde.regions import Region
from sam_sde.theory.exact.coefficients import Coefficients
from sam_sde.theory.exact.on_line import solve_line
from sam_sde.theory.exact.on_plane import solve_plane
from sam_sde.theory.exact.result import ExactEscape


def require_solvable(dynamics: Dynamics, *, start: Point, region: Region) -> None:
    """Raises ArgumentError where it is seen at the start that `exact_escape_times` cannot be had."""
    Coefficients(dynamics, start, region)


def exact_escape_times(dynamics: Dynamics, *, start: Point, region: Region) -> ExactEscape:
    """E τ and more for the first time τ at which dw = f dt + g dW leaves a region, in one or two dimensions.

    Solves L u = -1 inside, u = 0 on the boundary, L = f·∇ + ½ tr(g gᵀ ∇∇ᵀ): in one dimension by quadrature of
    logarithms, up to times of 1e300; in two by Markov chains on grids, to about 1e-4. The SDE is meant: an Euler path
    with a finite dt and the algorithm itself differ from it.

    start: one point (dim,). region: may go on without end where the drift confines the paths.

    Raises
        ArgumentError: more than two weights, momentum with a velocity, schedules, noise that vanishes somewhere inside,
            a start that is not inside, a region without a boundary, a mean time beyond 1e300.

    >>> exact_escape_times(sam, start=[0, 0], region=Ball([0, 0], 1.0)).mean_time
    """
    coefficients = Coefficients(dynamics, start, region)
    return solve_line(coefficients) if coefficients.dim == 1 else solve_plane(coefficients)
