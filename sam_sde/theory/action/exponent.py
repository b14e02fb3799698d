"""The exponent of an escape time where it costs no more than a warning is worth."""

from __future__ import annotations

import warnings

from sam_sde.dynamics import Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Point
from sam_sde.regions import Region
from sam_sde.surfaces import FiniteSum
from sam_sde.theory.action.least import quick_action

MOST_FOR_A_WARNING = 3  # weights
KNOWN = 0.02  # relative error up to which an exponent is worth telling


def escape_exponent(dynamics: Dynamics, *, start: Point, region: Region) -> float | None:
    """V·B/η of the way of least action, to about 1 %: log τ grows as that for little noise; in a few seconds.

    Returns None where it takes longer or is not defined: over three weights, a loss over data, what `least_action`
    refuses, no barrier on the way.
    """
    if getattr(dynamics, "dim", MOST_FOR_A_WARNING + 1) > MOST_FOR_A_WARNING:
        return None
    if isinstance(getattr(dynamics, "surface", None), FiniteSum):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = quick_action(dynamics, start=start, region=region)
    except ArgumentError:
        return None
    return found.exponent if found.action > 0 and found.error <= KNOWN * found.action else None
