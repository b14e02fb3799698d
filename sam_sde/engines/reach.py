"""Which steps may cross the boundary: the others need no closer look."""

import math

from sam_sde.engines.problem import EscapeProblem
from sam_sde.regions.crossing import bridge_reach, shift_distance


def reach_of(problem: EscapeProblem) -> float:
    """How far inside the boundary a step may begin or end and yet cross it; infinite where no bound is known."""
    if problem.crossing == "none":
        return 0.0
    largest, slope = problem.dynamics.largest_variance(), problem.region.slope
    if largest is None or slope is None:
        return math.inf
    variance = largest * slope**2 * problem.dt
    reach = bridge_reach(variance) if problem.crossing == "bridge" else shift_distance(variance)
    return 1.0001 * reach  # more than rounding in float32 can exclude
